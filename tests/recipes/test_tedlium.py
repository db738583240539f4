"""TED-LIUM: segments of talks as their STM files place them, of the releases with and without links."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from tests.recipes.fakes import left_out, lines, prepared, read, tone


def _fake(root: Path, train: str = "train") -> None:
    for split in (train, "dev", "test"):
        folder = root / split
        tone(folder / "sph" / "AnnaHuey_2010X.sph", 4.0)
        lines(
            folder / "stm" / "AnnaHuey_2010X.stm",
            ";; a comment",
            "AnnaHuey_2010X 1 AnnaHuey_2010X 0.50 2.25 <o,f0,female> and so(2) it 's <sil> here {NOISE} (Anna-1)",
            "AnnaHuey_2010X 1 inter_segment_gap 2.25 3 <o,,unknown> ignore_time_segment_in_scoring",
            "AnnaHuey_2010X 1 AnnaHuey_2010X 3 4.2 <F0_F> they 're",
        )


@pytest.mark.parametrize("release", ["TEDLIUM_release2", "TEDLIUM_release-3/legacy"])
def test_prepare_fake_has_the_segments_of_each_release(tmp_path: Path, release: str) -> None:
    _fake(tmp_path / "in" / release)
    report, splits = prepared("tedlium", tmp_path, tmp_path / "in")
    texts = [("AnnaHuey_2010X-0000050-0000225", "and so it's here"), ("AnnaHuey_2010X-0000300-0000420", "they're")]
    assert splits == dict.fromkeys(("train", "dev", "test"), texts)
    first, last = read(report, "train")
    assert (first.offset_s, first.duration_s, first.speaker) == (0.5, 1.75, "AnnaHuey_2010X")
    assert (last.offset_s, last.duration_s) == (3.0, 1.0)  # cut where the talk ends
    assert left_out(report) == [("AnnaHuey_2010X-0000225-0000300", "not scored")] * 3
    assert report.notes == []


def test_prepare_fake_unpacked_without_links_trains_on_all_data(tmp_path: Path) -> None:
    _fake(tmp_path / "in" / "legacy", "../data")
    report, splits = prepared("tedlium", tmp_path, tmp_path / "in")
    assert [len(found) for found in splits.values()] == [2, 2, 2]
    assert read(report, "train")[0].audio_path.parts[-3:-1] == ("data", "sph")
    assert "links are not unpacked" in report.notes[0]


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    tone(tmp_path / "in" / "train" / "sph" / "Silent_2000.sph")
    lines(tmp_path / "in" / "train" / "stm" / "Lost_2001.stm", "Lost_2001 1 Lost_2001 0 1 <o,f0,male> lost", "broken")
    lines(tmp_path / "in" / "test" / "stm" / "Lost_2001.stm", "Lost_2001 1 Lost_2001 0 1 <o,f0,male> lost")
    report, splits = prepared("tedlium", tmp_path, tmp_path / "in")
    lost = ("Lost_2001-0000000-0000100", "cannot open audio file")
    found = [bad for bad in left_out(report) if bad[1] != "not scored"]
    assert found == [lost, ("", "line 2"), ("Silent_2000", "no transcript names it"), lost]
    assert [len(found) for found in splits.values()] == [2, 2, 3]  # kept where it is scored


@pytest.mark.parametrize("release", ["release1", "release2", "release3"])
def test_checksum_is_the_one_torchaudio_states(release: str) -> None:
    from asr_ligru.torchaudio_import import ensure

    ensure()
    from torchaudio.datasets import tedlium as published

    stated = published._RELEASE_CONFIGS[release]
    (archive,) = (a for a in resources.recipe_module("tedlium").ARCHIVES if a.part == release)
    assert (archive.url, archive.digest) == (stated["url"].replace("http:", "https:"), stated["checksum"])
