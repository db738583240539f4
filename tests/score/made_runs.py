"""Runs as training leaves them, made up: for the tests and for tools/bench_report.py."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from asr_ligru.config import CellConfig, Config, CorpusConfig, FeaturesConfig, TokensConfig, TrainConfig, as_dict
from asr_ligru.score.wer import score

VOCABULARY = "one two three four five six seven eight nine oh".split()


def heard(text: str, rate: float, rng: random.Random) -> str:
    """Return ``text`` with about ``rate`` of its words wrong."""
    edits = [[[word], [rng.choice(VOCABULARY)], [], [word, rng.choice(VOCABULARY)]] for word in text.split()]
    return " ".join(w for words in edits for w in rng.choices(words, [1 - rate, rate / 2, rate / 4, rate / 4])[0])


def write_json(path: Path, tree: Any) -> None:
    path.write_text(json.dumps(tree), encoding="utf-8")


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def write_run(
    parent: Path,
    cell: str = "ligru",
    seed: int = 1,
    *,
    name: str = "",
    features: str = "fbank",
    corpus: str = "an4",
    rate: float = 0.1,
    utterances: int = 60,
    finished: bool = True,
    hidden_size: int = 256,
    profile: str = "none",
    texts: tuple[dict[str, str], dict[str, str]] | None = None,
    **facts: Any,
) -> Path:
    """Write one run's folder below ``parent`` and return it; ``facts`` go into its run.json."""
    folder = parent / (name or f"{corpus}/{cell}-{features}-{seed}")
    folder.mkdir(parents=True)
    config = Config(
        cell=CellConfig(name=cell, hidden_size=hidden_size),
        features=FeaturesConfig(name=features),
        tokens=TokensConfig(),
        corpus=CorpusConfig(name=corpus),
        train=TrainConfig(epochs=10),
        seed=seed,
        run_name=f"{corpus}_ctc",
        exp_dir=str(folder),
    )
    write_json(folder / "config.json", as_dict(config))
    epochs = 10 if finished else 4
    curve = [
        {
            "epoch": e,
            "step": 50 * e,
            "train_loss": 3 / e,
            "dev_loss": 3.2 / e,
            "dev_wer": rate * (1 + 4 / e),
            "lr": 1e-3,
        }
        for e in range(1, epochs + 1)
    ]
    write_lines(folder / "metrics.jsonl", curve)
    if not finished:
        return folder
    if texts is None:
        spoken = random.Random(0)
        refs = {f"u{n}": " ".join(spoken.choices(VOCABULARY, k=spoken.randint(2, 9))) for n in range(utterances)}
        rng = random.Random(f"{cell} {seed} {features}")
        texts = refs, {u: heard(ref, rate, rng) for u, ref in refs.items()}
    refs, hyps = texts
    write_lines(folder / "hyp.jsonl", [{"id": u, "ref": refs[u], "hyp": hyps[u], "status": "ok"} for u in refs])
    write_json(folder / "wer.json", score(refs, hyps, profile=profile).to_json())
    run = {
        "run": f"{corpus}_ctc",
        "cell": cell,
        "features": features,
        "tokens": "char",
        "corpus": corpus,
        "split": "test",
        "seed": seed,
        "parameters": 1_414_000,
        "rtf": 0.0123,
        "train_s": 1312.0,
        "epochs": 10,
        "best_epoch": 9,
        "dev_wer": rate * 1.2,
        "commit": "0123456789abcdef",
        "command": f"asr-ligru train recipe={corpus}_ctc_{cell} seed={seed}",
        "hardware": "x86_64, 2 threads",
        "status": "done",
        "synthetic": corpus == "demo",
    }
    write_json(folder / "run.json", run | facts)
    return folder
