"""A whole run: it learns, it leaves what was promised, and continuing it changes no bit."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.compose import compose
from asr_ligru.config import Config
from asr_ligru.data import audio
from asr_ligru.errors import ConfigError, DataError, DivergedError
from asr_ligru.models.folder import read_model_folder
from asr_ligru.models.load import load_model
from asr_ligru.train import checkpoint, objective
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.interrupt import Interrupted
from asr_ligru.train.lock import run_lock
from asr_ligru.train.run import train
from tests.run_metrics import metrics_of
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def config(corpus: Path, exp_dir: Path, *more: str) -> Config:
    return compose([*OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={exp_dir}", "train.epochs=3", *more])


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a SIGTERM come during update ``step``."""
    plain = AsrBrain.fit_batch

    def fit_batch(self: AsrBrain, batch: Any) -> Any:
        if self.state.step == step:
            self.stop.signum = 15
        return plain(self, batch)

    monkeypatch.setattr(AsrBrain, "fit_batch", fit_batch)


def tensors_and_metrics(run_dir: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    return read_model_folder(run_dir / "model").tensors, metrics_of(run_dir)


def test_train_learns_the_tones_and_leaves_its_files(corpus: Path, tmp_path: Path) -> None:
    more = [
        "seed=2",  # of eight seeds one mistakes 4 of the 12 words, the others none to 2
        "tokens=word",
        "cell.dropout=0",
        "train.epochs=40",
        "train.lr=0.02",
        "train.average_best=2",
        "model.stack_frames=4",
    ]
    run_dir = train(config(corpus, tmp_path, *more, "train.batch_frames=200"), "typed this")
    run = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    wer = json.loads((run_dir / "wer.json").read_text(encoding="utf-8"))
    assert wer["words"]["rate"] < 0.2
    assert (run["command"], run["status"], run["epochs"], run["left_out"]) == ("typed this", "done", 40, 0)
    assert run["parameters"] == sum(
        t.numel() for n, t in tensors_and_metrics(run_dir)[0].items() if n.endswith(("weight", "bias", ".u"))
    )
    assert len((run_dir / "hyp.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    assert len(checkpoint.steps(run_dir / "checkpoints")) <= 3
    assert 0 <= run["word_ece"] < 0.5 < run["word_confidence"]
    assert load_model(run_dir).temperature == run["temperature"] > 0
    assert all(m["grad_max"] >= m["grad_norm"] > 0 for m in tensors_and_metrics(run_dir)[1])
    timed = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(0 < m["data_wait"] < 1 and m["train_s"] > 0 for m in timed)
    assert abs(sum(m["train_s"] for m in timed) - run["train_s"]) < 0.1


@pytest.mark.parametrize("cell", ["ligru", "libru", "gru"])
@pytest.mark.parametrize("step", [1, 7])
def test_train_interrupted_and_continued_equals_unbroken_bitwise(
    cell: str, step: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [f"cell={cell}", "train.augment.speed=[0.9,1.1]", "train.augment.time_masks=1", "cell.hidden_size=12"]
    unbroken = train(config(corpus, tmp_path / "unbroken", *more))
    with monkeypatch.context() as patch:
        interrupt_at(step, patch)
        with pytest.raises(Interrupted) as caught:
            train(config(corpus, tmp_path / "broken", *more))
    assert caught.value.code == 143
    torch.manual_seed(99)  # what was drawn in between must not matter
    broken = train(config(corpus, tmp_path / "broken", *more))
    expected, got = tensors_and_metrics(unbroken), tensors_and_metrics(broken)
    assert expected[1] == got[1]
    assert all(torch.equal(expected[0][name], got[0][name]) for name in expected[0])


def test_train_with_workers_equals_without(corpus: Path, tmp_path: Path) -> None:
    more = ["train.augment.speed=[0.9,1.1]", "train.augment.freq_masks=1"]
    alone = train(config(corpus, tmp_path / "0", *more))
    helped = train(config(corpus, tmp_path / "2", "train.num_workers=2", *more))
    assert tensors_and_metrics(alone)[1] == tensors_and_metrics(helped)[1]


def test_train_with_every_augmentation_is_the_same_with_workers_and_when_continued(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    audio.write(sounds / "noise.wav", 0.1 * torch.rand(5000), SAMPLE_RATE_HZ)
    (sounds / "broken.wav").write_bytes(b"RIFF")
    changes = ["noise_prob=0.5", f"noise_dir={sounds}", "room_prob=0.5", f"room_dir={sounds}", "volume_db=[-9,3]"]
    changes += ["tempo=[0.9,1.1]", "speed=[0.9,1.1]", "codec_prob=0.5", "telephone_prob=0.5", "time_masks=1"]
    more = [f"train.augment.{each}" for each in changes]
    unbroken = train(config(corpus, tmp_path / "unbroken", *more))
    with monkeypatch.context() as patch:
        interrupt_at(5, patch)
        with pytest.raises(Interrupted):
            train(config(corpus, tmp_path / "broken", "train.num_workers=2", *more))
    broken = train(config(corpus, tmp_path / "broken", *more))
    expected, got = tensors_and_metrics(unbroken), tensors_and_metrics(broken)
    assert expected[1] == got[1]
    assert all(torch.equal(expected[0][name], got[0][name]) for name in expected[0])
    assert "2 noises or impulse responses cannot be used: broken.wav" in caplog.text
    assert len((unbroken / "bad_sounds.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_train_in_bf16_is_near_float32_and_continues_bitwise(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["train.epochs=2", "cell.dropout=0"]
    exact = train(config(corpus, tmp_path / "fp32", *more))
    unbroken = train(config(corpus, tmp_path / "unbroken", "train.precision=bf16", *more))
    with monkeypatch.context() as patch:
        interrupt_at(5, patch)
        with pytest.raises(Interrupted):
            train(config(corpus, tmp_path / "broken", "train.precision=bf16", *more))
    broken = train(config(corpus, tmp_path / "broken", "train.precision=bf16", *more))
    expected, got = tensors_and_metrics(unbroken), tensors_and_metrics(broken)
    assert expected[1] == got[1]
    assert all(torch.equal(expected[0][name], got[0][name]) for name in expected[0])
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in expected[0].values())
    losses = [[m["train_loss"] for m in tensors_and_metrics(run)[1]] for run in (exact, unbroken)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_losses_and_statistics_in_bf16_are_float32(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[str, torch.dtype]] = set()
    losses, update = AsrBrain.compute_objectives, AsrBrain._update

    def watched_losses(self: AsrBrain, predictions: Any, batch: Any, stage: Any) -> torch.Tensor:
        found = losses(self, predictions, batch, stage)
        seen.update({("log_probs", predictions[0].dtype), ("loss", found.dtype)})
        return found

    def watched_update(self: AsrBrain) -> bool:
        seen.update(("gradient", p.grad.dtype) for p in self.modules.parameters() if p.grad is not None)
        seen.update(("statistic", b.dtype) for b in self.modules.buffers() if b.is_floating_point())
        return update(self)

    monkeypatch.setattr(AsrBrain, "compute_objectives", watched_losses)
    monkeypatch.setattr(AsrBrain, "_update", watched_update)
    train(config(corpus, tmp_path, "train.precision=bf16", "train.epochs=1", "train.max_steps=2"))
    assert seen == {(name, torch.float32) for name in ("log_probs", "loss", "gradient", "statistic")}


def test_train_with_accumulation_uses_the_last_incomplete_group(corpus: Path, tmp_path: Path) -> None:
    run_dir = train(config(corpus, tmp_path, "train.accumulate=4"))
    plain = train(config(corpus, tmp_path / "plain"))
    steps = tensors_and_metrics(run_dir)[1][0]["step"]
    batches = tensors_and_metrics(plain)[1][0]["step"]
    assert steps == -(-batches // 4)


def test_train_again_when_finished_changes_nothing_and_scores_another_split(corpus: Path, tmp_path: Path) -> None:
    run_dir = train(config(corpus, tmp_path))
    before = (run_dir / "run.json").read_bytes()
    train(config(corpus, tmp_path))
    assert (run_dir / "run.json").read_bytes() == before
    train(config(corpus, tmp_path, "decode.split=dev"))
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["split"] == "dev"


def test_train_counts_scored_words_that_the_model_cannot_write(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    lines = [json.loads(x) for x in (corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    lines[0]["text"], lines[1]["text"] = "äb ab ä", "ñab"
    (corpus / "test.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
    run_dir = train(config(corpus, tmp_path / "run"))
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["unwritable_words"] == 3


@pytest.fixture(scope="module")
def begun(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was stopped in the middle of its first epoch."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(1, patch)
        with pytest.raises(Interrupted):
            train(config(corpus, folder, "train.epochs=2"))
    return folder


@pytest.mark.parametrize(
    ("key", "refused"),
    [
        ("cell.hidden_size=13", True),
        ("features.num_bins=11", True),
        ("tokens=word", True),
        ("seed=2", True),
        ("model.stack_frames=2", True),
        ("corpus.normalize=upper", True),
        ("train.lr=0.002", False),
        ("train.max_grad_norm=1", False),
        ("train.batch_frames=300", False),
        ("train.augment.speed=[0.9,1.1]", False),
        ("train.patience=1", False),
        ("cell.backend=reference", False),
    ],
)
def test_train_continued_with_another_key_refuses_only_architecture_and_says_the_rest(
    key: str, refused: bool, begun: Path, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exp, name = tmp_path / "exp", key.partition("=")[0]
    shutil.copytree(begun, exp)
    caplog.set_level(logging.INFO, "asr_ligru")
    if refused:
        with pytest.raises(ConfigError, match=f"another architecture: {name}[.:]"):
            train(config(corpus, exp, key, "train.epochs=2"))
    else:
        train(config(corpus, exp, key, "train.epochs=2"))
        assert f"going on with other settings: {name}: " in caplog.text
        assert [m["epoch"] for m in tensors_and_metrics(exp)[1]] == [1, 2]
        assert all(t.isfinite().all() for t in tensors_and_metrics(exp)[0].values())


def test_train_goes_on_with_a_run_of_before_there_were_other_models(corpus: Path, tmp_path: Path) -> None:
    run_dir = train(config(corpus, tmp_path, "train.max_steps=2"))
    old = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    del old["streams"], old["model"]["phone_weight"]
    (run_dir / "config.json").write_text(json.dumps(old), encoding="utf-8")
    train(config(corpus, tmp_path, "decode.split=dev"))
    assert "streams" in json.loads((run_dir / "config.json").read_text(encoding="utf-8"))


def test_train_in_a_folder_in_use_names_the_process(corpus: Path, tmp_path: Path) -> None:
    with run_lock(tmp_path), pytest.raises(ConfigError, match="in use by process"):
        train(config(corpus, tmp_path))


def test_train_without_a_prepared_corpus_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="asr-ligru prepare demo"):
        train(config(tmp_path / "nowhere", tmp_path))


def test_train_with_a_truncated_file_records_it_and_goes_on(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    path = corpus / "wav" / "train" / "3.wav"
    path.write_bytes(path.read_bytes()[:900])
    run_dir = train(config(corpus, tmp_path / "run"))
    (line,) = (run_dir / "bad_utterances.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["id"] == "train-3"
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["left_out"] == 1


def test_train_with_too_many_bad_files_ends_with_their_number(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    for number in range(5):
        (corpus / "wav" / "train" / f"{number}.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="5 of 24 utterances are unusable"):
        train(config(corpus, tmp_path / "run"))


def test_train_with_an_unknown_character_in_dev_names_it(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    text = (corpus / "dev.jsonl").read_text(encoding="utf-8")
    (corpus / "dev.jsonl").write_text(text.replace("ab", "äb"), encoding="utf-8")
    with pytest.raises(DataError, match="unknown character"):
        train(config(corpus, tmp_path / "run"))


def test_train_leaves_empty_and_too_long_transcripts_out(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    lines = [json.loads(x) for x in (corpus / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    lines[0]["text"], lines[1]["text"] = "", "ab " * 200
    (corpus / "train.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
    run_dir = train(config(corpus, tmp_path / "run"))
    bad = [json.loads(x) for x in (run_dir / "bad_utterances.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(b["id"], b["stage"]) for b in bad] == [("train-0", "text"), ("train-1", "length")]


def test_train_with_another_sample_rate_names_both(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unusable"):
        train(config(corpus, tmp_path, "features.sample_rate_hz=16000"))
    assert "8000" in (tmp_path / "bad_utterances.jsonl").read_text(encoding="utf-8")


@pytest.fixture
def third_loss_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the loss of the third batch NaN."""
    plain, seen = objective.ctc_losses, []

    def losses(*args: Any) -> torch.Tensor:
        seen.append(1)
        return plain(*args) * (float("nan") if len(seen) == 3 else 1.0)

    monkeypatch.setattr(objective, "ctc_losses", losses)


@pytest.mark.usefixtures("third_loss_nan")
def test_train_with_a_nan_loss_stops_before_the_update(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"update 3 .*(?s:.*)sligru"):
        train(config(corpus, tmp_path))
    record = json.loads((tmp_path / "nonfinite-step-3.json").read_text(encoding="utf-8"))
    assert {u["loss"] for u in record["utterances"]} == {"nan"}


@pytest.mark.usefixtures("third_loss_nan")
def test_train_with_an_allowed_nan_skips_it_and_counts(corpus: Path, tmp_path: Path) -> None:
    run_dir = train(config(corpus, tmp_path, "train.max_nonfinite=1"))
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["skipped_batches"] == 1
    assert all(t.isfinite().all() for t in tensors_and_metrics(run_dir)[0].values())


def test_curriculum_counts_what_an_epoch_leaves_out(corpus: Path, tmp_path: Path) -> None:
    run_dir = train(config(corpus, tmp_path, "train.curriculum_start_frames=50"))
    left_out = [m["left_out"] for m in tensors_and_metrics(run_dir)[1]]
    assert left_out[0] > left_out[1] >= left_out[2] == 0
