"""Hybrid runs: they learn words from an HMM's states, go on bit by bit, align anew, and say what they leave out."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru import cli
from asr_ligru.compose import compose
from asr_ligru.config import Config
from asr_ligru.data import audio
from asr_ligru.errors import ConfigError
from asr_ligru.models.hybrid import HybridModel
from asr_ligru.models.load import load_model
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.hybrid import HybridObjective
from asr_ligru.train.interrupt import Interrupted
from asr_ligru.train.run import train
from asr_ligru.typing import Batch
from tests.hmm.hybrid_case import tiny_hmm
from tests.run_metrics import metrics_of
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, say, write_corpus
from tests.tolerance import assert_close

SETTINGS = (
    *OVERRIDES,
    "model=hybrid",
    "model.stack_frames=2",
    "cell.dropout=0",
    "train.lr=0.02",
    "hmm.lda_dim=6",
    *(f"hmm.{stage}_gauss=60" for stage in ("mono", "tri", "lda", "sat")),
)
QUICK = ("train.epochs=16", "train.eval_every=8", "train.batch_frames=300")
LEXICON = "ab A\ncd C\nef E\ngh G\n"


def config(folder: Path, name: str, *more: str) -> Config:
    return compose([*SETTINGS, f"corpus.dir={folder / 'corpus'}", f"exp_dir={folder / name}", *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the corpus of tones, its lexicon, and a finished run on it."""
    folder = tmp_path_factory.mktemp("hybrid")
    write_corpus(folder / "corpus")
    (folder / "corpus" / "lexicon.txt").write_text(LEXICON, encoding="utf-8")
    train(config(folder, "exp", *QUICK))
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def metrics(run_dir: Path) -> list[dict[str, Any]]:
    return metrics_of(run_dir)


def test_hybrid_run_learns_the_tones_and_its_folder_decodes(folder: Path, tmp_path: Path, capsys: Any) -> None:
    run = json.loads((folder / "exp" / "run.json").read_text(encoding="utf-8"))
    assert (run["tokens"], run["left_out"], run["status"]) == ("states", 0, "done")
    assert json.loads((folder / "exp" / "wer.json").read_text(encoding="utf-8"))["words"]["rate"] == 0
    assert metrics(folder / "exp")[-1]["dev_frame_error"] < 0.4  # of 15 states, three to a tone
    model = load_model(folder / "exp")
    assert isinstance(model.network, HybridModel)
    assert model.hmm is not None
    assert float(model.hmm.states.log_priors.exp().sum()) == pytest.approx(1.0)
    assert model.frame_s == 0.01
    audio.write(tmp_path / "new.wav", say(["cd", "ab"], seed=9), SAMPLE_RATE_HZ)
    capsys.readouterr()
    assert cli.main(["decode", str(folder / "exp"), str(tmp_path / "new.wav")]) == 0
    assert capsys.readouterr().out.strip().endswith("cd ab")


def test_hybrid_run_interrupted_and_continued_equals_unbroken_bitwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["train.epochs=2", "train.augment.speed=[0.9,1.1]", "train.augment.time_masks=1", "decode.split=none"]
    unbroken = train(config(folder, "unbroken", *more))
    plain = AsrBrain.fit_batch

    def fit_batch(self: AsrBrain, batch: Batch) -> Any:
        if self.state.step == 3:
            self.stop.signum = 15
        return plain(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(AsrBrain, "fit_batch", fit_batch)
        with pytest.raises(Interrupted):
            train(config(folder, "broken", *more))
    broken = train(config(folder, "broken", *more))
    assert metrics(unbroken) == metrics(broken)
    expected, got = (load_model(run).network.state_dict() for run in (unbroken, broken))
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_hybrid_run_gmm_hmm_of_a_part_aligns_all_utterances(folder: Path) -> None:
    run = train(config(folder, "part", *QUICK, "hmm.max_hours=0.003"))
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["left_out"] == 0
    assert metrics(run)[-1]["dev_wer"] < 0.2


def test_hybrid_run_aligned_by_a_network_keeps_its_states_and_learns(folder: Path) -> None:
    more = [f"train.align_with={folder / 'exp'}", "train.epochs=16", "train.eval_every=16", "decode.split=none"]
    run = train(config(folder, "realigned", "train.batch_frames=300", *more))
    assert metrics(run)[-1]["dev_frame_error"] < 0.5
    hmms = [load_model(path).hmm for path in (folder / "exp", run)]
    assert all(hmm is not None for hmm in hmms)
    assert torch.equal(*(hmm.states.tree.table for hmm in hmms if hmm))


@pytest.mark.parametrize(
    ("change", "message"), [("features.num_bins=10", "other features"), ("model.stack_frames=1", "no hybrid model")]
)
def test_align_with_a_model_that_cannot_is_refused(change: str, message: str, folder: Path) -> None:
    named = folder / "exp"
    if message == "no hybrid model":
        named = folder / "ctc"
        train(config(folder, "ctc", "model=ctc", "train.epochs=1", "decode.split=none"))
    with pytest.raises(ConfigError, match=message):
        train(config(folder, f"refused {message}", f"train.align_with={named}", change))


def test_word_without_phones_is_counted_and_its_utterances_kept_for_scoring_only(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_corpus(tmp_path / "corpus", num_train=12)
    (tmp_path / "corpus" / "lexicon.txt").write_text(LEXICON.replace("gh G\n", ""), encoding="utf-8")
    with caplog.at_level(logging.WARNING, "asr_ligru"):
        run = train(config(tmp_path, "exp", "train.epochs=1", "decode.split=dev"))
    texts = [record["text"] for record in lines(tmp_path / "corpus" / "train.jsonl")]
    left_out = sum("gh" in text.split() for text in texts)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["left_out"] == left_out > 0
    scored = [word for line in lines(tmp_path / "corpus" / "dev.jsonl") for word in line["text"].split()]
    assert record["unwritable_words"] == scored.count("gh") > 0
    bad = lines(run / "bad_utterances.jsonl")
    assert {(b["stage"], b["reason"]) for b in bad} == {("align", "no pronunciation for 'gh'")}
    assert "without pronunciation" in caplog.text
    assert len((run / "hyp.jsonl").read_text(encoding="utf-8").splitlines()) == 6


def test_corpus_without_lexicon_is_spelled(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_corpus(tmp_path / "corpus", num_train=12)
    with caplog.at_level(logging.WARNING, "asr_ligru"):
        run = train(config(tmp_path, "exp", "train.epochs=1", "decode.split=none"))
    assert "no lexicon.txt" in caplog.text
    hmm = load_model(run).hmm
    assert hmm is not None
    assert set(hmm.vocabulary.topology.phones) == {"SIL", *"abcdefgh"}


def test_losses_weigh_phones_beside_states() -> None:
    hmm, rng = tiny_hmm(), torch.Generator().manual_seed(0)
    states, phones = (torch.randn(2, 5, n, generator=rng).log_softmax(-1) for n in (12, 4))
    lens = torch.tensor([5, 3])
    batch = Batch(("a", "b"), torch.zeros(2, 5, 1), lens, torch.randint(12, (2, 5), generator=rng), lens)
    found = {}
    for weight in (0.0, 0.5):
        objective = HybridObjective(hmm, None, compose(["model=hybrid", f"model.phone_weight={weight}"]))  # type: ignore[arg-type]
        found[weight] = objective.losses((states, phones, batch.feat_lens), batch)
    rows = [(b, t, int(batch.tokens[b, t])) for b, n in ((0, 5), (1, 3)) for t in range(n)]
    of_states = [-sum(float(states[b, t, s]) for b, t, s in rows if b == which) for which in (0, 1)]
    of_phones = [-sum(float(phones[b, t, s // 3]) for b, t, s in rows if b == which) for which in (0, 1)]
    assert_close(found[0.0], torch.tensor(of_states))
    assert_close(found[0.5], torch.tensor(of_states) + 0.5 * torch.tensor(of_phones))
    assert not any(math.isnan(x) for x in of_states)
