"""Hybrid models with a CTC head, and CTC of inner layers: runs learn both, go on bit by bit; their folders decode."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru import cli
from asr_ligru.compose import compose
from asr_ligru.config import Config
from asr_ligru.data import audio
from asr_ligru.models.ctc import CtcModel
from asr_ligru.models.load import load_model
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.interrupt import Interrupted
from asr_ligru.train.run import train
from asr_ligru.typing import Batch
from tests.run_metrics import metrics_of
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, say, write_corpus

SETTINGS = (
    *OVERRIDES,
    "tokens=word",
    "model.stack_frames=2",
    "cell.dropout=0",
    "cell.num_layers=2",
    "train.lr=0.02",
    "hmm.lda_dim=6",
    *(f"hmm.{stage}_gauss=60" for stage in ("mono", "tri", "lda", "sat")),
)
JOINT = ("model=hybrid", "model.ctc_weight=0.5", "model.inter_ctc_layers=[1]")
LEXICON = "ab A\ncd C\nef E\ngh G\n"


def config(folder: Path, name: str, *more: str) -> Config:
    return compose([*SETTINGS, f"corpus.dir={folder / 'corpus'}", f"exp_dir={folder / name}", *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the corpus of tones, its lexicon, and a finished run with both heads."""
    folder = tmp_path_factory.mktemp("joint")
    write_corpus(folder / "corpus")
    (folder / "corpus" / "lexicon.txt").write_text(LEXICON, encoding="utf-8")
    more = ["model.ctc_weight=1", "train.epochs=30", "train.eval_every=30", "train.batch_frames=200"]
    train(config(folder, "exp", *JOINT, *more))
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_joint_run_learns_both_and_one_folder_decodes_by_either(folder: Path, tmp_path: Path, capsys: Any) -> None:
    run = json.loads((folder / "exp" / "run.json").read_text(encoding="utf-8"))
    assert (run["tokens"], run["left_out"], run["without_ctc"]) == ("states+word", 0, 0)
    last = lines(folder / "exp" / "metrics.jsonl")[-1]
    assert last["dev_wer"] < 0.2
    assert last["dev_ctc_wer"] < 0.3  # of a CTC head that says nothing: 1
    assert last["dev_frame_error"] < 0.4
    audio.write(tmp_path / "new.wav", say(["cd", "ab"], seed=9), SAMPLE_RATE_HZ)
    texts = {}
    for decoder in (None, "words", "greedy", "beam"):
        capsys.readouterr()
        named = ["--decoder", decoder] if decoder else []
        assert cli.main(["decode", str(folder / "exp"), str(tmp_path / "new.wav"), *named]) == 0
        texts[decoder] = capsys.readouterr().out.strip()
    assert texts == dict.fromkeys(texts, "cd ab")


def test_joint_model_by_tokens_is_a_ctc_model_of_the_same_tensors(folder: Path) -> None:
    model = load_model(folder / "exp")
    tokens = model.by_tokens()
    assert isinstance(tokens.network, CtcModel)
    assert (model.frame_s, tokens.frame_s) == (0.01, 0.02)
    assert tokens.by_tokens() is tokens
    feats = [model.feats(say(words, 1)) for words in (["ab"], ["gh", "cd"])]
    padded, lens = torch.nn.utils.rnn.pad_sequence(feats, batch_first=True), torch.tensor([len(f) for f in feats])
    with torch.no_grad():
        _, _, _, expected, steps, *_ = model.network.all_heads(padded, lens)
    log_probs, of_tokens = tokens.log_probs(feats)
    assert torch.equal(of_tokens, steps)
    for row, (got, n) in enumerate(zip(log_probs, steps.tolist(), strict=True)):
        assert torch.equal(got[:n], expected[row, :n])


@pytest.mark.parametrize("heads", [JOINT, ("model=ctc", "model.inter_ctc_layers=[1]")], ids=["joint", "ctc"])
def test_run_with_inner_layers_interrupted_and_continued_equals_unbroken_bitwise(
    heads: tuple[str, ...], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [*heads, "train.epochs=2", "train.augment.speed=[0.9,1.1]", "decode.split=none"]
    runs = [config(folder, str(tmp_path / name), *more) for name in ("unbroken", "broken")]
    train(runs[0])
    plain = AsrBrain.fit_batch

    def fit_batch(self: AsrBrain, batch: Batch) -> Any:
        if self.state.step == 3:
            self.stop.signum = 15
        return plain(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(AsrBrain, "fit_batch", fit_batch)
        with pytest.raises(Interrupted):
            train(runs[1])
    train(runs[1])
    unbroken, broken = (Path(run.exp_dir) for run in runs)
    assert metrics_of(unbroken) == metrics_of(broken)
    expected, got = (load_model(run).network.state_dict() for run in (unbroken, broken))
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_utterance_too_short_for_its_tokens_keeps_its_states_and_is_counted(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_corpus(tmp_path / "corpus", num_train=12)
    (tmp_path / "corpus" / "lexicon.txt").write_text(LEXICON, encoding="utf-8")
    short = [
        {**record, "duration": 0.1} if number == 3 else record  # 8 frames, one step for two characters
        for number, record in enumerate(lines(tmp_path / "corpus" / "train.jsonl"))
    ]
    short[3]["text"] = "ab"
    text = "".join(json.dumps(record) + "\n" for record in short)
    (tmp_path / "corpus" / "train.jsonl").write_text(text, encoding="utf-8")
    more = [*JOINT, "tokens=char", "model.stack_frames=8", "train.epochs=1", "decode.split=none"]
    with caplog.at_level(logging.WARNING, "asr_ligru"):
        run = train(config(tmp_path, "exp", *more))
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert (record["left_out"], record["without_ctc"]) == (0, 1)
    (bad,) = lines(run / "bad_utterances.jsonl")
    assert (bad["id"], bad["stage"]) == ("train-3", "ctc")
    assert bad["reason"] == "2 tokens do not fit in 1 output frames of the CTC head; its states are used"
    assert "1 utterances without loss of the CTC head, such as train-3" in caplog.text


def test_network_with_both_heads_aligns_a_plain_hybrid(folder: Path) -> None:
    more = ["model=hybrid", f"train.align_with={folder / 'exp'}", "train.epochs=1", "decode.split=none"]
    run = train(config(folder, "realigned", *more))
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["status"] == "done"
    assert lines(run / "metrics.jsonl")[-1]["dev_frame_error"] < 1
