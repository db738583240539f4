"""A loss, a gradient or a sample that is not finite: nothing is learned from it, and the message says whose it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru import cli
from asr_ligru.data import audio
from asr_ligru.train import checkpoint, objective
from asr_ligru.train.brain import AsrBrain
from asr_ligru.typing import Batch
from tests.tiny_corpus import OVERRIDES, write_corpus

UPDATE = 4  # that something is wrong in, of the six of the first two epochs
Poison = Callable[[AsrBrain, Batch], None]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)


def train(corpus: Path, exp_dir: Path, *more: str) -> int:
    return cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={exp_dir}", "train.epochs=4",
                     "train.augment.speed=[0.9,1.1]", "train.save_every_s=1e-6", *more])  # fmt: skip


def poison_loss(brain: AsrBrain, batch: Batch) -> None:
    """Make the loss of the first utterance NaN."""
    plain = brain.compute_objectives

    def compute_objectives(*args: Any) -> Tensor:
        losses = plain(*args)
        return losses * torch.tensor([math.nan, *[1.0] * (len(losses) - 1)])

    brain.compute_objectives = compute_objectives


def poison_gradient(brain: AsrBrain, batch: Batch) -> None:
    """Make one number of one parameter's gradient infinite, as an overflow would."""
    parameter = list(brain.modules.model.parameters())[-1]

    def overflow(grad: Tensor) -> Tensor:
        return grad.index_fill(0, torch.tensor([0]), math.inf)

    parameter.register_hook(overflow)


def poison_sample(brain: AsrBrain, batch: Batch) -> None:
    """Make one feature of the first utterance NaN."""
    batch.feats[0, 2, 1] = math.nan


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a place for what is poisoned: set ``poison``, get the ``batch`` and the tensors ``after`` it."""
    found: dict[str, Any] = {}
    plain = AsrBrain.fit_batch

    def fit_batch(self: AsrBrain, batch: Batch) -> Tensor:
        found["model"] = self.modules.model
        if self.state.step == UPDATE - 1:
            found["batch"] = batch
            found["poison"](self, batch)
        return plain(self, batch)

    monkeypatch.setattr(AsrBrain, "fit_batch", fit_batch)
    return found


@pytest.mark.parametrize("cell", ["ligru", "libru"])
@pytest.mark.parametrize(
    ("poison", "what"), [(poison_loss, "loss is"), (poison_gradient, "gradient is"), (poison_sample, "features are")]
)
def test_train_not_finite_ends_with_5_and_the_parameters_of_the_last_good_step(
    poison: Poison, what: str, cell: str, corpus: Path, tmp_path: Path, seen: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    seen["poison"] = poison
    assert train(corpus, tmp_path, f"cell={cell}") == 5
    message = capsys.readouterr().err
    found = checkpoint.latest(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == UPDATE - 1
    assert all(torch.equal(tensor, found.tensors["model"][name]) for name, tensor in seen["model"].state_dict().items())
    whose = list(seen["batch"].utt_ids)
    assert len(whose) == 6
    all_of_them = f"utterances {', '.join(whose[:5])} and 1 more"
    named = all_of_them if what == "gradient is" else f"utterance {whose[0]}"
    assert f"the {what} not finite at update {UPDATE} ({named})" in message
    assert ("cell=sligru" in message) == (cell == "ligru")
    assert "Traceback" not in message
    record = json.loads((tmp_path / f"nonfinite-step-{UPDATE}.json").read_text(encoding="utf-8"))
    assert [u["id"] for u in record["utterances"]] == list(seen["batch"].utt_ids)


def test_train_after_a_loss_not_finite_goes_on_as_if_it_had_not_happened(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(corpus, tmp_path / "unbroken") == 0
    plain = objective.ctc_losses
    with monkeypatch.context() as patch:
        patch.setattr(objective, "ctc_losses", lambda *args: plain(*args) * math.nan)
        assert train(corpus, tmp_path / "broken") == 5
    assert train(corpus, tmp_path / "broken") == 0
    models = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("unbroken", "broken")]
    assert models[0] == models[1]


def test_train_samples_not_finite_in_a_file_make_it_a_bad_utterance(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", num_train=12)
    path = corpus / "wav" / "train" / "3.wav"
    content = path.read_bytes()  # a header of 32-bit floats, and samples of all ones: NaN
    path.write_bytes(content[:20] + b"\3" + content[21:34] + b"\x20" + content[35:44] + b"\xff" * (len(content) - 44))
    with pytest.raises(Exception, match="finite"):
        audio.read(path)
    assert train(corpus, tmp_path / "exp") == 0
    (record,) = (tmp_path / "exp" / "bad_utterances.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(record)["id"] == "train-3"
