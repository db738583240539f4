"""Other systems' hypotheses in a table, against the tests themselves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.score.commands import score_files
from asr_ligru.score.significance import holm, mapsswe, paired_bootstrap
from asr_ligru.score.versus import versus
from asr_ligru.score.wer import Scores, score

RNG = random.Random(3)
REFS = {f"u{n}": " ".join(RNG.choices("abcdef", k=8)) for n in range(80)}


def system(rate: float) -> Scores:
    rng = random.Random(rate)
    return score(REFS, {u: " ".join("x" if rng.random() < rate else w for w in r.split()) for u, r in REFS.items()})


def test_versus_shows_corrected_tests_of_each_other_system() -> None:
    own, others = system(0.1), {"near": system(0.12), "far": system(0.16)}
    near, far = (line.split() for line in versus(own, others).splitlines()[-2:])
    p = holm([paired_bootstrap([own], [other]).p for other in others.values()])
    p_mapsswe = holm([mapsswe([own], [other]).p for other in others.values()])
    assert [near[0], far[0]] == ["near", "far"]
    for row, other, boot, pairs in zip((near, far), others.values(), p, p_mapsswe, strict=True):
        assert row[1] == f"{100 * other.words.rate:.2f}"
        assert row[2] == f"{100 * (other.words.rate - own.words.rate):+.2f}"
        assert row[6:8] == [f"{value:.3f}" if value >= 0.001 else "<0.001" for value in (boot, pairs)]


def test_score_files_against_other_files(tmp_path: Path) -> None:
    for name, content in (("r", "a x y\nb z w\n"), ("1", "a x y\nb z\n"), ("2", "a x x\nb z w\n"), ("3", "a x\n")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    text = score_files(tmp_path / "r", tmp_path / "1", against=[tmp_path / "2", tmp_path / "1"])
    assert text.startswith("%WER 25.00 [ 1 / 4")
    assert [line.split()[1:3] for line in text.splitlines()[-2:]] == [["25.00", "+0.00"]] * 2
    with pytest.raises(DataError, match="1 references have no hypothesis"):
        score_files(tmp_path / "r", tmp_path / "1", against=[tmp_path / "3"])
