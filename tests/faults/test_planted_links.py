"""Links that wait in a folder under the names of what will be written there: what they point to stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asr_ligru import cli
from asr_ligru.errors import AsrLigruError
from asr_ligru.safety import atomic_write
from asr_ligru.safety.folder_lock import locked
from tests.tiny_corpus import OVERRIDES, write_corpus

FILES = ("config.json", "metrics.jsonl", "bad_utterances.jsonl", "hyp.jsonl", "wer.json")
FOLDERS = ("model", "checkpoints/step-000003", "checkpoints/.tmp-x", "checkpoints/.old-step-000001")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "file").write_text("untouched", encoding="utf-8")
    return folder


def check_untouched(victim: Path) -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in victim.iterdir()} == {"file": "untouched"}


def train(corpus: Path, exp: Path) -> int:
    return cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={exp}", "train.epochs=1",
                     "train.save_every_s=1e-6"])  # fmt: skip


def test_train_into_a_folder_of_planted_links_touches_nothing_that_they_name(
    victim: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, exp = write_corpus(tmp_path / "corpus", num_train=12), tmp_path / "exp"
    (exp / "checkpoints").mkdir(parents=True)
    for name in FOLDERS:
        (exp / name).symlink_to(victim)
    for name in FILES[1:]:
        (exp / name).symlink_to(victim / "file")
    train(corpus, exp)  # either refused or done
    assert "Traceback" not in capsys.readouterr().err
    check_untouched(victim)


@pytest.mark.parametrize("name", [*FILES, ".lock", "run.json"])
def test_train_with_one_planted_link_for_a_file_touches_nothing_that_it_names(
    name: str, victim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = tmp_path / "exp"
    exp.mkdir()
    (exp / name).symlink_to(victim / "file")
    code = train(tmp_path / "no corpus", exp)
    assert code in (3, 4)
    assert "Traceback" not in capsys.readouterr().err
    check_untouched(victim)


@pytest.mark.parametrize("place", ["link", "pipe", "folder"])
def test_locked_with_something_in_the_way_is_refused_at_once(place: str, victim: Path, tmp_path: Path) -> None:
    lock = tmp_path / "run" / ".lock"
    lock.parent.mkdir()
    make = {"link": lambda: lock.symlink_to(victim / "file"), "pipe": lambda: os.mkfifo(lock), "folder": lock.mkdir}
    make[place]()
    with pytest.raises(AsrLigruError), locked(lock.parent, print):
        pass
    check_untouched(victim)


def test_atomic_write_over_a_dangling_link_makes_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    atomic_write(tmp_path / "link", "new")
    assert not (tmp_path / "elsewhere").exists()
