"""A corpus is found where the user said, or the message says what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.data.layout import find_audio, find_folder, read_lines
from asr_ligru.errors import DataError


@pytest.mark.parametrize("above", ["", "corpus", "downloads/corpus"])
def test_find_folder_looks_two_folders_down(tmp_path: Path, above: str) -> None:
    mark = tmp_path / above / "etc" / "list.txt"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert find_folder(tmp_path, "other", "etc/list.txt") == tmp_path / above


def test_find_folder_takes_the_nearest(tmp_path: Path) -> None:
    for folder in ("", "a", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "1_0.wav").touch()
    assert find_folder(tmp_path, "[01]_[01].wav") == tmp_path


def test_find_folder_three_down_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c" / "mark").mkdir(parents=True)
    with pytest.raises(DataError, match="expected mark in the corpus folder; found a"):
        find_folder(tmp_path, "mark")


def test_find_folder_in_nothing_a_file_or_an_empty_folder_says_which(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, message in (("absent", "found nothing"), ("file", "found a file"), ("empty", "the folder is empty")):
        with pytest.raises(DataError, match=message) as caught:
            find_folder(tmp_path / name, "mark")
        assert str(tmp_path / name) in str(caught.value)
        assert "--root" in caught.value.fix


def test_find_folder_message_is_printable(tmp_path: Path) -> None:
    (tmp_path / "\x1b[2J").mkdir()
    with pytest.raises(DataError) as caught:
        find_folder(tmp_path, "mark")
    assert "\x1b" not in caught.value.what


def test_find_audio_prefers_the_first_suffix_and_falls_back_to_it(tmp_path: Path) -> None:
    assert find_audio(tmp_path, "a", (".sph", ".wav")) == tmp_path / "a.sph"
    (tmp_path / "a.wav").touch()
    assert find_audio(tmp_path, "a", (".sph", ".wav")) == tmp_path / "a.wav"
    (tmp_path / "a.sph").touch()
    assert find_audio(tmp_path, "a", (".sph", ".wav")) == tmp_path / "a.sph"


def test_read_lines_keeps_numbers_and_drops_blanks(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeffeins\r\n\r\n  zwei \u2028 drei\n".encode())
    assert list(read_lines(path)) == [(1, "eins"), (3, "zwei \u2028 drei")]


def test_read_lines_of_latin_1_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("gr\xfc\xdfe".encode("latin-1"))
    with pytest.raises(DataError, match="byte 0xfc at position 2"):
        list(read_lines(path))
