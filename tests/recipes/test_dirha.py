"""DIRHA: sentences cut out of long recordings by the samples that its descriptions name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.fakes import left_out, lines, prepared, read, tone

RATE_HZ = 48000


def _source(name: str, begin: str, end: str) -> str:
    fields = {"name": name, "spk_id": "SP1", "gender": "M", "begin_sample": begin, "end_sample": end, "txt": "so it is"}
    return f"<SOURCE>{''.join(f'<{key}>{value}</{key}>' for key, value in fields.items())}</SOURCE>"


def _fake(root: Path) -> None:
    for kind in ("Real", "Sim"):
        folder = root / "DIRHA_English_wsj" / kind / "SES1" / "Livingroom" / "Circular_Array"
        sources = [_source("wsj0_a", "24001", "72000"), _source("wsj0_b", "72001", "96000")]
        lines(folder / "LA6.xml", "<root>", *sources, "</root>")
        tone(folder / "LA6.wav", 2.5, RATE_HZ)
        tone(folder / "LA1.wav", 2.5, RATE_HZ)


def test_prepare_fake_has_real_and_simulated_sentences(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    report, splits = prepared("dirha", tmp_path, tmp_path / "in")
    texts = [("SES1-SP1-wsj0_a", "SO IT IS"), ("SES1-SP1-wsj0_b", "SO IT IS")]
    assert splits == {"dev": texts, "test": texts}
    first = read(report, "test")[0]
    assert (first.offset_s, first.duration_s, first.speaker) == (pytest.approx(0.5), pytest.approx(1.0), "SP1")
    assert "Real" in first.audio_path.parts
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    folder = tmp_path / "in" / "DIRHA_English_wsj" / "Real"
    array = Path("Livingroom") / "Circular_Array"
    lines(folder / "SES2" / array / "LA6.xml", f"<root>{_source('wsj0_c', '1', 'x')}</root>")
    tone(folder / "SES2" / array / "LA6.wav", 1.0, RATE_HZ)
    lines(folder / "SES3" / array / "LA6.xml", f"<root>{_source('wsj0_d', '1', '48000')}</root>")
    tone(folder / "SES4" / array / "LA6.wav", 1.0, RATE_HZ)
    report, _ = prepared("dirha", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("SES2-SP1-wsj0_c", "source 0 lacks one of name, spk_id, begin_sample, end_sample, txt"),
        ("SES3", "cannot open audio file"),
        ("LA6", "no transcript names it"),
    ]
