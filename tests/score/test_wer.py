"""Error counts against jiwer and kaldialign, and what happens at the edges."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import jiwer
import kaldialign
import pytest

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.score.wer import Counts, kaldi_line, score

WORDS = ["one", "two", "three", "oh", "o", "\u05db\u05df", "na\u00efve"]


def random_texts(count: int, seed: int) -> tuple[dict[str, str], dict[str, str]]:
    rng = random.Random(seed)

    def texts() -> dict[str, str]:
        return {f"u{n}": " ".join(rng.choices(WORDS, k=rng.randint(0, 12))) for n in range(count)}

    return texts(), texts()


def check_against_both(count: int) -> None:
    refs, hyps = random_texts(count, seed=count)
    scores = score(refs, hyps)
    for utterance in scores.utterances:
        ref, hyp = refs[utterance.utt_id], hyps[utterance.utt_id]
        theirs = jiwer.process_words([ref], [hyp])
        assert (utterance.words.sub, utterance.words.dels, utterance.words.ins) == (
            theirs.substitutions,
            theirs.deletions,
            theirs.insertions,
        )
        assert utterance.words.errors == kaldialign.edit_distance(ref.split(), hyp.split())["total"]
        assert utterance.chars.errors == kaldialign.edit_distance(ref, hyp)["total"]
    assert scores.words.rate == jiwer.wer(list(refs.values()), list(hyps.values()))
    assert scores.chars.rate == jiwer.cer(list(refs.values()), list(hyps.values()))


def test_score_random_pairs_equals_jiwer_and_kaldialign() -> None:
    check_against_both(1_000)


@pytest.mark.slow
def test_score_many_random_pairs_equals_jiwer_and_kaldialign() -> None:
    check_against_both(10_000)


def test_score_alignment_restores_both_sides() -> None:
    refs, hyps = random_texts(300, seed=5)
    for utterance in score(refs, hyps).utterances:
        assert [r for r, _ in utterance.pairs if r is not None] == refs[utterance.utt_id].split()
        assert [h for _, h in utterance.pairs if h is not None] == hyps[utterance.utt_id].split()


def test_score_sums_over_the_corpus_before_dividing() -> None:
    scores = score({"a": "x", "b": "p q r"}, {"a": "y", "b": "p q r"})
    assert scores.words.rate == 0.25  # not the mean of 1 and 0
    assert scores.sentences.rate == 0.5


def test_score_empty_reference_counts_insertions_and_has_no_rate() -> None:
    scores = score({"a": "", "b": "x y"}, {"a": "p q", "b": "x y"})
    assert scores.utterances[0].words.rate is None
    assert scores.words == Counts(ref=2, ins=2)
    assert scores.words.rate == 1.0


def test_score_empty_hypothesis_is_all_deletions() -> None:
    assert score({"a": "x y z"}, {"a": " "}).words == Counts(ref=3, dels=3)


def test_score_only_insertions_exceeds_one() -> None:
    assert score({"a": "x"}, {"a": "p x q r"}).words.rate == 3.0


@pytest.mark.parametrize("refs", [{}, {"a": ""}, {"a": "", "b": " \u00a0"}])
def test_score_no_reference_words_is_data_error(refs: dict[str, str]) -> None:
    with pytest.raises(DataError, match=f"no reference words in {len(refs)} utterances"):
        score(refs, dict.fromkeys(refs, "x"))


def test_score_missing_hypothesis_is_listed() -> None:
    with pytest.raises(DataError, match="2 references have no hypothesis") as caught:
        score({"a": "x", "b\x1b[2J": "y", "c": "z"}, {"c": "z"})
    assert "a, b\\x1b[2J" in str(caught.value)
    assert "--allow-missing" in str(caught.value)


def test_score_many_missing_are_counted_beyond_the_list() -> None:
    with pytest.raises(DataError, match="300 references have no hypothesis") as caught:
        score({f"u{n}": "x" for n in range(300)}, {})
    assert "and 280 more" in str(caught.value)


def test_score_allowed_missing_are_deletions_and_named() -> None:
    scores = score({"a": "x y", "b": "z"}, {"b": "z"}, allow_missing=True)
    assert scores.words == Counts(ref=3, dels=2)
    assert scores.missing == ("a",)
    assert scores.to_json()["missing"] == ["a"]


@pytest.mark.parametrize("allow_missing", [True, False])
def test_score_extra_hypothesis_is_data_error(allow_missing: bool) -> None:
    with pytest.raises(DataError, match="1 hypotheses have no reference") as caught:
        score({"a": "x"}, {"a": "x", "zz": "y"}, allow_missing=allow_missing)
    assert "zz" in str(caught.value)


def test_score_both_sides_go_through_the_named_profile() -> None:
    refs, hyps = {"a": "Ten\u00a0Four, caf\u00e9"}, {"a": "ten four cafe\u0301"}
    assert score(refs, hyps, profile="lower-nopunct").words.errors == 0
    assert score(refs, hyps, profile="lower-nopunct").to_json()["profile"] == "lower-nopunct"
    assert score(refs, hyps).words == Counts(ref=3, sub=2)


def test_score_unknown_profile_is_config_error() -> None:
    with pytest.raises(ConfigError, match="'lowr'"):
        score({"a": "x"}, {"a": "x"}, profile="lowr")


def test_interval_agrees_with_kaldialign() -> None:
    refs, hyps = random_texts(400, seed=1)
    theirs = kaldialign.bootstrap_wer_ci([r.split() for r in refs.values()], [h.split() for h in hyps.values()])
    low, high = score(refs, hyps).interval() or []
    assert low == pytest.approx(theirs["ci95min"], rel=0.01)
    assert high == pytest.approx(theirs["ci95max"], rel=0.01)


def test_interval_of_one_utterance_is_unknown() -> None:
    assert score({"a": "x y"}, {"a": "x"}).interval() is None


def test_interval_by_speaker_of_alike_utterances_is_wider() -> None:
    refs = {f"u{n}": "a b c d" for n in range(200)}
    hyps = {f"u{n}": "a b" if n % 20 < 10 else "a b c d" for n in range(200)}
    scores = score(refs, hyps, speakers={f"u{n}": f"s{n % 20}" for n in range(200)})
    (low, high), (speaker_low, speaker_high) = scores.interval() or [], scores.interval(by="speaker") or []
    assert speaker_high - speaker_low > 2 * (high - low)


def test_interval_by_speaker_with_unknown_speaker_is_unknown() -> None:
    scores = score({"a": "x", "b": "y"}, {"a": "x", "b": "z"}, speakers={"a": "s"})
    assert scores.interval(by="speaker") is None


def test_interval_is_seeded() -> None:
    refs, hyps = random_texts(50, seed=2)
    assert score(refs, hyps).interval() == score(refs, hyps).interval()


def test_kaldi_line_prints_as_compute_wer() -> None:
    assert kaldi_line(Counts(ref=773, sub=40, dels=3, ins=3)) == "%WER 5.95 [ 46 / 773, 3 ins, 3 del, 40 sub ]"
    assert kaldi_line(Counts(ref=130, sub=39), "SER") == "%SER 30.00 [ 39 / 130 ]"


TWO_GIGABYTES = """
import random, resource
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))
from asr_ligru.score.wer import score
words = [f"w{n}" for n in range(2000)]
ref, hyp = (" ".join(random.Random(seed).choices(words, k=50_000)) for seed in (1, 2))
print(score({"a": ref}, {"a": hyp}).words.ref)
"""


@pytest.mark.slow
def test_score_fifty_thousand_word_pair_fits_in_two_gigabytes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWO_GIGABYTES], env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True
    )
    assert (done.stdout, done.stderr) == (b"50000\n", b"")
