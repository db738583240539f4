"""TIMIT: the standard sets and the standard foldings of its phones."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from asr_ligru.data.prepare import prepare_corpus
from tests.recipes.fakes import left_out, lines, prepared, timit, tone

TEXTS = {
    "": ("sil hh ix cl p ae sil", "sil sh ix cl t sil", "sil uw vcl jh ax sil"),
    "61/": ("h# hh ix pcl p ae q h#", "h# sh ix tcl t h#", "h# ux dcl jh ax-h h#"),
    "39/": ("sil hh ih sil p ae sil", "sil sh ih sil t sil", "sil uw sil jh ah sil"),
}


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("above", ["", "timit/data"])
def test_prepare_fake_in_either_case_gives_sets_and_foldings(tmp_path: Path, upper: bool, above: str) -> None:
    timit(tmp_path / "in" / above, upper)
    report, splits = prepared("timit", tmp_path, tmp_path / "in")
    for folder, (train, dev, test) in TEXTS.items():
        assert [text for _, text in splits[f"{folder}train"]] == [train, splits[f"{folder}train"][1][1]]
        assert (splits[f"{folder}dev"], splits[f"{folder}test"]) == ([("faks0_si1027", dev)], [("mdab0_si1027", test)])
        size = len((tmp_path / "out" / folder / "lexicon.txt").read_text(encoding="utf-8").splitlines())
        assert size == int(folder[:-1] or 48)
    assert report.left_out == []
    assert report.notes == ["1 sentences of the test speakers outside of the core test and development sets"]
    assert report.counts["train"].hours * 3600 == pytest.approx(1.6)


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    timit(tmp_path / "in")
    folder = tmp_path / "in" / "TRAIN" / "DR1" / "FCJF0"
    tone(folder / "SI9.WAV")
    tone(folder / "SI1027.WAV.wav")  # a copy that some have beside the original
    lines(folder / "SX8.PHN", "0 100 h#", "100 200 xx")
    lines(folder / "SX7.PHN", "0 100 h#")
    report, splits = prepared("timit", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("", "line 2"),
        ("SI9", "no transcript names it"),
        ("fcjf0_sx7", "cannot open audio file"),
    ]
    assert len(splits["train"]) == 2


def test_speakers_are_those_lhotse_and_kaldi_name() -> None:
    published = pytest.importorskip("lhotse.recipes.timit")
    dev, test = published.get_speakers()
    speakers = resources.recipe_module("timit", "speakers")
    assert set(dev) == speakers.DEV
    assert set(test) == speakers.CORE_TEST
    assert (len(speakers.DEV), len(speakers.CORE_TEST)) == (50, 24)


def test_prepare_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="timit is not downloaded"):
        prepare_corpus("timit", None, tmp_path / "out", download=True)
