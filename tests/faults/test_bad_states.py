"""Targets of hybrid models that cannot be: refused by utterance or by file, before training begins."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru import cli
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety.files import read_json
from asr_ligru.safety.sealed import seal_folder
from asr_ligru.train.targets import FrameTargets
from tests.tiny_corpus import OVERRIDES, write_corpus

SETTINGS = (
    *OVERRIDES,
    "train.epochs=1",
    "decode.split=none",
    "hmm.lda_dim=6",
    *(f"hmm.{stage}_gauss=60" for stage in ("mono", "tri", "lda", "sat")),
)
HYBRID = ("model=hybrid",)
NUM_TRAIN = 12


def train(folder: Path, name: str, *more: str) -> int:
    given = [*SETTINGS, f"corpus.dir={folder / 'corpus'}", f"exp_dir={folder / name}", *more]
    return cli.main(["train", *given])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus, the GMM-HMM on it, and a run of each kind of model."""
    folder = tmp_path_factory.mktemp("prepared")
    write_corpus(folder / "corpus", num_train=NUM_TRAIN)
    assert train(folder, "hybrid", *HYBRID) == 0
    assert train(folder, "ctc") == 0
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """Return a copy to spoil; its utterances are read from the first."""
    return shutil.copytree(prepared, tmp_path / "copy")


def assert_refused(folder: Path, said: str, code: int, capsys: pytest.CaptureFixture[str], *more: str) -> None:
    """Train; the run is refused with all parts of a message and leaves no checkpoint."""
    capsys.readouterr()
    assert train(folder, "exp", *HYBRID, *more) == code
    message = capsys.readouterr().err
    assert said in message
    assert "\n  in: " in message
    assert "\n  fix: " in message
    assert "Traceback" not in message
    assert not (folder / "exp" / "checkpoints").exists()


def spoilt(pdfs: Tensor, kind: str, num_states: int) -> Tensor:
    """Return the states of an utterance, changed."""
    wrong = {"minus one": -1, "P": num_states, "P + 1": num_states + 1, "a million": 10**6}
    if kind in wrong:
        return torch.cat([pdfs[:3], torch.tensor([wrong[kind]]), pdfs[4:]])
    return {"none": pdfs[:0], "one too few": pdfs[:-1], "one too many": torch.cat([pdfs, pdfs[-1:]])}[kind]


KINDS = ("minus one", "P", "P + 1", "a million", "none", "one too few", "one too many")


@pytest.mark.parametrize(
    ("kind", "split"),
    [
        pytest.param(kind, split, marks=() if (kind, split) in {("P", "train"), ("none", "dev")} else pytest.mark.fuzz)
        for kind in KINDS
        for split in ("train", "dev")
    ],
)
def test_states_of_an_utterance_that_cannot_be_are_refused_by_name(
    kind: str, split: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain_states, plain_pdfs, of_split = FrameTargets._states, Alignment.pdfs, iter(("train", "dev"))
    calls: list[str] = []

    def states(self: FrameTargets, *given: Any) -> Any:
        calls.append(next(of_split))
        with monkeypatch.context() as patch:
            patch.setattr(Alignment, "pdfs", pdfs)
            return plain_states(self, *given)

    def pdfs(self: Alignment, tree: ContextTree) -> Tensor:
        calls.append("an utterance")
        found = plain_pdfs(self, tree)
        return spoilt(found, kind, tree.num_pdfs) if calls[-4:] == [split, *["an utterance"] * 3] else found

    monkeypatch.setattr(FrameTargets, "_states", states)
    assert_refused(folder, f"data error: {split}-2: ", 3, capsys)


def stage_of(folder: Path) -> Path:
    (stage,) = folder.glob("corpus/fmllr/*/sat")
    return stage


def reseal(folder: Path, seal: str, name: str, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors of a file, and write a seal that says so."""
    body = read_json(folder / seal)
    tensors = dict(unpack(folder / name))
    change(tensors)
    files = {listed: (folder / listed).read_bytes() for listed in body["files"]} | {name: pack(tensors)}
    seal_folder(folder, files, seal=seal, format=body["format"], head=body["head"])


def one_frame_fewer(tensors: dict[str, Tensor]) -> None:
    tensors["num_frames"][0] -= 1
    for name in ("positions", "states"):
        tensors[name] = tensors[name][1:]


def last_one_gone(tensors: dict[str, Tensor]) -> None:
    phones, frames = int(tensors["num_phones"][-1]), int(tensors["num_frames"][-1])
    for name in ("num_phones", "num_frames", "scores"):
        tensors[name] = tensors[name][:-1]
    for name, count in (("phones", phones), ("words", phones), ("positions", frames), ("states", frames)):
        tensors[name] = tensors[name][:-count]


FORGED: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "state out of range": lambda t: t["states"].__setitem__(0, 3),
    "state below zero": lambda t: t["states"].__setitem__(0, -1),
    "phone out of range": lambda t: t["phones"].__setitem__(0, 99),
    "phone below zero": lambda t: t["phones"].__setitem__(0, -1),
    "place that falls": lambda t: t["positions"].__setitem__(9, 0),
    "one frame fewer": one_frame_fewer,
    "last one gone": last_one_gone,
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k == "state out of range" else pytest.mark.fuzz) for k in FORGED]
)
def test_kept_alignments_that_do_not_fit_are_refused_with_their_folder(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reseal(stage_of(folder), "stage.json", "alignments.safetensors", FORGED[kind])
    assert_refused(folder, "do not fit the utterances", 3, capsys)


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("act", [flip, lambda path: path.write_bytes(path.read_bytes()[:-1]), Path.unlink])
def test_kept_alignments_altered_are_refused_with_their_file(
    act: Callable[[Path], object], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    act(stage_of(folder) / "alignments.safetensors")
    assert_refused(folder, "alignments.safetensors", 3, capsys)


@pytest.mark.parametrize(
    ("named", "said", "code", "more"),
    [
        ("nowhere", "nowhere", 3, ()),
        ("ctc", "no hybrid model", 2, ()),
        ("hybrid", "other features", 2, ("features.num_bins=10",)),
    ],
)
def test_models_to_align_with_that_are_of_another_kind_are_refused(
    named: str, said: str, code: int, more: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(folder, said, code, capsys, f"train.align_with={folder / named}", *more)


def words_of_nobody(lexicon: Path) -> None:
    lines = lexicon.read_text(encoding="utf-8").splitlines()
    lexicon.write_text("".join(f"x{line}\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize("kind", ["lacks a state", "another size", "other words"])
def test_foreign_models_to_align_with_are_refused(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "hybrid" / "model"
    changes: dict[str, tuple[str, Callable[[dict[str, Tensor]], object]]] = {
        "lacks a state": ("lacks states", lambda t: t["tree"].view(-1).__setitem__(0, -1)),
        "another size": ("other numbers of states", lambda t: t.update(stay=t["stay"][:-1])),
        "other words": ("no usable utterance", lambda t: None),
    }
    if kind == "other words":
        words_of_nobody(model / "lexicon.txt")
    said, change = changes[kind]
    reseal(model, "model.json", "hmm.safetensors", change)
    assert_refused(folder, said, 3, capsys, f"train.align_with={folder / 'hybrid'}")
