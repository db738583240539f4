"""Tests between two systems, against NIST's sc_stats, kaldialign and R."""

from __future__ import annotations

import json
import random
from pathlib import Path

import kaldialign
import pytest

from asr_ligru.errors import DataError
from asr_ligru.score.significance import holm, mapsswe, matched_pairs, paired_bootstrap, segment_errors
from asr_ligru.score.wer import Pair, Scores, score

CASES = json.loads((Path(__file__).parent / "fixtures" / "mapsswe_cases.json").read_text(encoding="utf-8"))
SCLITE_ROUNDING = 5.01e-4  # it prints three decimals


def alignment(steps: str) -> list[Pair]:
    pairs = [(step, step) if ">" not in step else step.split(">") for step in steps.split()]
    return [(ref or None, hyp or None) for ref, hyp in pairs]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed{case['seed']}")
def test_matched_pairs_on_sclite_alignments_equals_sc_stats(case: dict[str, object]) -> None:
    both = zip(case["A"], case["B"], strict=True)
    result = matched_pairs([errors for a, b in both for errors in segment_errors([alignment(a)], [alignment(b)])])
    assert result.segments == case["segments"]
    assert result.mean == pytest.approx(case["mean"], abs=SCLITE_ROUNDING)
    assert result.deviation == pytest.approx(case["deviation"], abs=SCLITE_ROUNDING)
    assert result.z == pytest.approx(case["z"], abs=SCLITE_ROUNDING)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("x y z", "x y z", []),
        ("x>q y z w", "x y z w>q", [(1, 0), (0, 1)]),
        ("x>q y z> w", "x y z w", [(2, 0)]),
        ("x>q y >i z w", "x y z w", [(2, 0)]),
        ("x y >i", "x y", [(1, 0)]),
        (">i", "", [(1, 0)]),
    ],
)
def test_segment_errors_cuts_after_two_good_words(a: str, b: str, expected: list[tuple[int, int]]) -> None:
    assert segment_errors([alignment(a)], [alignment(b)]) == expected


def test_mapsswe_p_is_that_of_the_normal_distribution() -> None:
    result = matched_pairs([(2, 0), (0, 1), (1, 1), (2, 1)])
    assert result.z == pytest.approx(0.775, abs=1e-3)  # mean 0.5, deviation 1.291, 4 segments
    assert result.p == pytest.approx(0.4386, abs=1e-4)


@pytest.mark.parametrize("errors", [[], [(1, 0)], [(1, 0), (1, 0)], [(1, 1), (1, 1)]])
def test_matched_pairs_without_variation_claims_nothing(errors: list[tuple[int, int]]) -> None:
    assert (matched_pairs(errors).z, matched_pairs(errors).p) == (0.0, 1.0)


def systems(rate_a: float, rate_b: float) -> tuple[Scores, Scores]:
    rng = random.Random(7)
    refs = {f"u{n}": " ".join(rng.choices("abcdef", k=rng.randint(1, 9))) for n in range(200)}

    def heard(rate: float) -> dict[str, str]:
        return {u: " ".join("x" if rng.random() < rate else w for w in ref.split()) for u, ref in refs.items()}

    return score(refs, heard(rate_a)), score(refs, heard(rate_b))


@pytest.mark.parametrize("rate_b", [0.2, 0.18, 0.22])
def test_paired_bootstrap_share_of_improvements_equals_kaldialign(rate_b: float) -> None:
    a, b = systems(0.2, rate_b)
    refs, hyps_a, hyps_b = (
        [u.ref.split() for u in a.utterances],
        [u.hyp.split() for u in a.utterances],
        [u.hyp.split() for u in b.utterances],
    )
    theirs = kaldialign.bootstrap_wer_ci(refs, hyps_a, hyps_b)["p_s2_improv_over_s1"]
    assert paired_bootstrap([a], [b]).better == pytest.approx(theirs, abs=0.02)


def test_tests_of_clearly_different_systems_agree() -> None:
    a, b = systems(0.3, 0.1)
    assert mapsswe([a], [b]).p < 1e-6
    result = paired_bootstrap([a], [b])
    assert result.p < 1e-3
    assert result.change == pytest.approx(b.words.rate - a.words.rate)
    assert result.interval[0] < result.change < result.interval[1] < 0


def test_tests_of_a_system_with_itself_find_nothing() -> None:
    a, _ = systems(0.2, 0.2)
    assert mapsswe([a], [a]).p == 1.0
    assert paired_bootstrap([a], [a]).p == 1.0


def test_mapsswe_swapped_systems_change_only_the_sign() -> None:
    a, b = systems(0.2, 0.15)
    assert mapsswe([a], [b]).z == -mapsswe([b], [a]).z
    assert mapsswe([a], [b]).p == mapsswe([b], [a]).p


def test_mapsswe_different_utterances_is_data_error() -> None:
    with pytest.raises(DataError, match="2 are not in all"):
        mapsswe(
            [score({"a": "x", "b": "y"}, {"a": "x", "b": "y"})], [score({"b": "x", "c": "y"}, {"b": "x", "c": "y"})]
        )


def test_tests_over_seeds_take_their_mean() -> None:
    a, b = systems(0.2, 0.15)
    assert mapsswe([a, a], [b]) == mapsswe([a], [b])
    assert paired_bootstrap([a, b], [a]).change == pytest.approx((a.words.rate - b.words.rate) / 2)
    assert segment_errors([alignment("x>q y z"), alignment("x y z>q")], [alignment("x y z")]) == [(1.0, 0.0)]


def test_paired_bootstrap_lucky_seed_is_no_proof() -> None:
    good, bad = systems(0.05, 0.4)
    lucky = paired_bootstrap([good, good, bad], [good, good, good])
    assert lucky.p < 0.001
    assert lucky.p_seeds is not None
    assert lucky.p_seeds > 0.2  # 8 of 27 draws of three seeds are without the bad one
    steady = paired_bootstrap([bad, bad, bad], [good, good, good])
    assert steady.p_seeds == steady.p
    assert paired_bootstrap([bad], [good, good]).p_seeds is None


def test_holm_equals_r() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.8), "holm"), p.adjust(c(0.04, 0.001, 0.03), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.8]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.8])
    assert holm([0.04, 0.001, 0.03]) == pytest.approx([0.06, 0.003, 0.06])
    assert holm([]) == []
