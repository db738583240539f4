"""The end of a run: the final model scored from audio, and one record of everything a table needs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from asr_ligru import ranks
from asr_ligru.config import Config
from asr_ligru.decode.run import Timing, decode_utterances
from asr_ligru.decode.speakers import uses_speakers
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.safety import atomic_write, json_text
from asr_ligru.score.wer import score
from asr_ligru.train.commit_id import source_commit
from asr_ligru.train.corpus import load_split
from asr_ligru.train.progress import ProgressBar
from asr_ligru.train.state import RunState
from asr_ligru.typing import BadUtterance, Hypothesis, Utterance


def score_and_record(
    run_dir: Path, config: Config, state: RunState, *, dev: Mapping[str, Any], command: str, bad: Sequence[BadUtterance]
) -> None:
    """Decode and score the split that ``decode.split`` names, then write ``run.json``, which ends the run.

    Args:
        run_dir: holds ``model``; gets ``hyp.jsonl``, ``wer.json`` and ``run.json``.
        config: of the run.
        state: at the end of training.
        dev: what ``run.json`` gets about the final model and the development set.
        command: what the user typed.
        bad: utterances left out of training.
    """
    model = load_model(run_dir)
    timing, unwritable = Timing(), 0
    if config.decode.split != "none":
        utterances = load_split(config.corpus, getattr(config.corpus, config.decode.split))
        unwritable = sum(not model.can_write(word) for u in utterances for word in u.text.split())
        hyps, timing = decode_together(model, utterances, config)
        if ranks.is_first():
            write_scores(run_dir, utterances, hyps, config.corpus.scoring)
    if not ranks.is_first():
        return
    best = state.evaluated()[0]
    record: dict[str, Any] = {
        "run": config.run_name,
        "cell": config.cell.name,
        "features": config.features_label,
        "tokens": "+".join(_targets(model)),
        "corpus": config.corpus.name,
        "split": config.decode.split,
        "seed": config.seed,
        "parameters": model.network.num_parameters(),
        "rtf": timing.rtf,
        "train_s": state.train_s,
        "epochs": len(state.metrics),
        "best_epoch": best["epoch"],
        **dev,
        **dict(zip(("left_out", "without_ctc"), map(len, by_extent(bad)), strict=True)),
        "skipped_batches": state.skipped,
        "unwritable_words": unwritable,
        "commit": source_commit(),
        "command": command,
        "hardware": hardware(config.train.device),
        "status": "done",
        "synthetic": config.corpus.name == "demo",
    }
    atomic_write(run_dir / "run.json", json_text(record, indent=1))


def decode_together(
    model: LoadedModel, utterances: Sequence[Utterance], config: Config
) -> tuple[list[Hypothesis], Timing]:
    """Decode a part of the utterances in each process of the run, whole speakers where the model adapts to them.

    Returns:
        In each process all hypotheses, in the order of ``utterances``, and the time of the slowest.
    """
    keys = [(u.speaker if uses_speakers(model) else "") or u.utt_id for u in utterances]
    own = set(ranks.share(list(dict.fromkeys(keys))))
    part = [u for u, key in zip(utterances, keys, strict=True) if key in own]
    show = config.train.progress and ranks.is_first()
    with ProgressBar(f"scoring {config.decode.split}", len(part), show, leave=False) as bar:
        hyps, timing = decode_utterances(model, part, batch_frames=config.decode.batch_frames, tick=bar.tick)
    found = ranks.merged({h.utt_id: [h.text, h.score, h.status] for h in hyps})
    times = ranks.gathered([timing.audio_s, timing.wall_s])
    whole = Timing(sum(audio_s for audio_s, _ in times), max(wall_s for _, wall_s in times))
    return [Hypothesis(u.utt_id, *found[u.utt_id]) for u in utterances], whole


def by_extent(bad: Sequence[BadUtterance]) -> tuple[list[BadUtterance], list[BadUtterance]]:
    """Return those left out of all training, and those left out of the loss of a hybrid model's CTC head alone."""
    return [b for b in bad if b.stage != "ctc"], [b for b in bad if b.stage == "ctc"]


def _targets(model: LoadedModel) -> list[str]:
    tokens = model.config.tokens.name
    return [tokens] if model.hmm is None else ["states", tokens] if model.has_two_readings else ["states"]


def hardware(device: str) -> str:
    """Return the processor's name, or the GPU's when ``device`` may be one, with the number of threads."""
    if device != "cpu" and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    threads = torch.get_num_threads()
    each = "" if ranks.count() == 1 else f"{ranks.count()} processes of "
    return f"{names[0] if names else platform.machine()}, {each}{threads} thread{'s' if threads > 1 else ''}"


def write_scores(folder: Path, utterances: Sequence[Utterance], hyps: Sequence[Hypothesis], profile: str) -> None:
    """Write ``hyp.jsonl`` (in manifest order) and ``wer.json``."""
    refs = {u.utt_id: u.text for u in utterances}
    lines = [json_text({"id": h.utt_id, "ref": refs[h.utt_id], "hyp": h.text, "status": h.status}) for h in hyps]
    atomic_write(folder / "hyp.jsonl", "\n".join(lines) + "\n")
    scores = score(
        refs, {h.utt_id: h.text for h in hyps}, profile=profile, speakers={u.utt_id: u.speaker for u in utterances}
    )
    atomic_write(folder / "wer.json", json_text(scores.to_json(), indent=1))
