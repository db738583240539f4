"""Word, character and sentence errors of a set of utterances: the only place that counts them.

Errors are summed over the whole set before they are divided (corpus level), so an utterance weighs as much as it
has reference words. Counts are jiwer's: the least number of edits, spaces being characters for the character rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Any, Literal

import jiwer

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.score.bootstrap import bootstrap_interval
from asr_ligru.text.normalize import PHONE_PROFILES, normalize

FORMAT = 1  # of wer.json
_LISTED = 20  # ids in an error message
_NAMED_CHARS = 100  # of an id in an error message
_MAX_CHARS = 1_000_000  # of a text: a day of speech

Unit = Literal["words", "chars", "sentences"]
Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Counts:
    """Edits that turn a reference into a hypothesis.

    Attributes:
        ref: reference units, >= 0.
        sub: substitutions.
        dels: deletions.
        ins: insertions.
    """

    ref: int = 0
    sub: int = 0
    dels: int = 0
    ins: int = 0

    @property
    def errors(self) -> int:
        """Return all edits."""
        return self.sub + self.dels + self.ins

    @property
    def rate(self) -> float | None:
        """Return errors per reference unit, above 1 where insertions abound; None without a reference unit."""
        return self.errors / self.ref if self.ref else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.ref + other.ref, self.sub + other.sub, self.dels + other.dels, self.ins + other.ins)


@dataclass(frozen=True, slots=True)
class UtteranceScore:
    """One utterance's errors.

    Attributes:
        utt_id: its id.
        ref: reference words, normalised.
        hyp: hypothesis words, normalised; empty when missing.
        words: word edits.
        chars: character edits.
        pairs: the word alignment: (ref, hyp), None standing for an insertion's ref or a deletion's hyp.
        speaker: empty when unknown.
        snr_db: signal-to-noise ratio, decibels; None when unknown.
    """

    utt_id: str
    ref: str
    hyp: str
    words: Counts
    chars: Counts
    pairs: tuple[Pair, ...] = field(repr=False)
    speaker: str = ""
    snr_db: float | None = None

    @property
    def sentences(self) -> Counts:
        """Return one reference sentence, substituted if anything in it is wrong."""
        return Counts(ref=1, sub=int(self.words.errors > 0))


@dataclass(frozen=True)
class Scores:
    """The errors of a set of utterances.

    Attributes:
        profile: the normalisation profile both sides went through.
        utterances: in the references' order.
        missing: ids that had no hypothesis and count as deletions.
    """

    profile: str
    utterances: tuple[UtteranceScore, ...]
    missing: tuple[str, ...] = ()

    @property
    def word_rate(self) -> str:
        """Return what the rate of ``words`` is called: "WER" or "PER"."""
        return rate_name(self.profile)

    @cached_property
    def words(self) -> Counts:
        """Return the word edits of the whole set."""
        return sum((u.words for u in self.utterances), Counts())

    @cached_property
    def chars(self) -> Counts:
        """Return the character edits of the whole set."""
        return sum((u.chars for u in self.utterances), Counts())

    @cached_property
    def sentences(self) -> Counts:
        """Return how many sentences there are (``ref``) and how many have an error (``sub``)."""
        return sum((u.sentences for u in self.utterances), Counts())

    def interval(self, unit: Unit = "words", by: Literal["utterance", "speaker"] = "utterance") -> list[float] | None:
        """Return the bounds of the rate's 95 % bootstrap interval, or None with fewer than two units to draw.

        Args:
            unit: which rate.
            by: what is drawn with replacement. Utterances of one speaker are alike, so drawing speakers gives
                the wider and more honest interval; it needs every utterance's speaker.
        """
        groups: dict[str, Counts] = {}
        for number, utterance in enumerate(self.utterances):
            if by == "speaker" and not utterance.speaker:
                return None
            key = utterance.speaker if by == "speaker" else str(number)
            groups[key] = groups.get(key, Counts()) + getattr(utterance, unit)
        return bootstrap_interval([g.errors for g in groups.values()], [g.ref for g in groups.values()])

    def to_json(self) -> dict[str, Any]:
        """Return the content of wer.json; rates are fractions of one."""
        return {
            "format": FORMAT,
            "profile": self.profile,
            "utterances": len(self.utterances),
            "words": {**_counts_json(self.words), **self._intervals("words")},
            "chars": {**_counts_json(self.chars), **self._intervals("chars")},
            "sentences": {
                "ref": self.sentences.ref,
                "errors": self.sentences.errors,
                "rate": self.sentences.rate,
                **self._intervals("sentences"),
            },
            "missing": list(self.missing),
        }

    def _intervals(self, unit: Unit) -> dict[str, list[float] | None]:
        return {
            "interval": self.interval(unit),
            "interval_by_speaker": self.interval(unit, "speaker"),
        }


def score(
    refs: Mapping[str, str],
    hyps: Mapping[str, str],
    *,
    profile: str = "none",
    allow_missing: bool = False,
    speakers: Mapping[str, str] | None = None,
    snr_db: Mapping[str, float] | None = None,
) -> Scores:
    """Count the errors of ``hyps`` against ``refs``, matched by utterance id.

    Args:
        refs: reference text by id. An empty one counts insertions into the sums and has no rate of its own.
        hyps: hypothesis text by id.
        profile: how both sides are normalised, see ``text.normalize``.
        allow_missing: count an utterance without hypothesis as deletions, and list it.
        speakers: speaker by id, for intervals by speaker.
        snr_db: signal-to-noise ratio by id, decibels.

    Raises:
        ConfigError: no such profile.
        DataError: ids differ, a text has more than a million characters, or no reference has a word.
    """
    missing = tuple(utt_id for utt_id in refs if utt_id not in hyps)
    _refuse_ids(hyps.keys() - refs.keys(), "hypotheses have no reference", "score against the set that was decoded")
    if not allow_missing:
        _refuse_ids(
            missing, "references have no hypothesis", "decode them, or count them as deletions: --allow-missing"
        )
    ref_texts = [_ready(utt_id, text, profile) for utt_id, text in refs.items()]
    hyp_texts = [_ready(utt_id, hyps.get(utt_id, ""), profile) for utt_id in refs]
    if not any(ref_texts):
        raise DataError(
            f"no reference words in {len(refs)} utterances, so there is no error rate",
            fix="check that the references hold the transcripts",
        )
    words = jiwer.process_words(ref_texts, hyp_texts)
    chars = jiwer.process_characters(ref_texts, hyp_texts)
    utterances = (
        UtteranceScore(
            utt_id=utt_id,
            ref=ref_texts[n],
            hyp=hyp_texts[n],
            words=_count(words.alignments[n]),
            chars=_count(chars.alignments[n]),
            pairs=tuple(_pairs(words.references[n], words.hypotheses[n], words.alignments[n])),
            speaker=(speakers or {}).get(utt_id, ""),
            snr_db=(snr_db or {}).get(utt_id),
        )
        for n, utt_id in enumerate(refs)
    )
    return Scores(profile, tuple(utterances), missing)


def rate_name(profile: str) -> str:
    """Return "PER" for a profile whose words are phones, else "WER"."""
    return "PER" if profile in PHONE_PROFILES else "WER"


def kaldi_line(counts: Counts, name: str = "WER") -> str:
    """Return ``%WER 5.95 [ 46 / 773, 3 ins, 3 del, 40 sub ]``, as Kaldi's compute-wer prints it.

    Args:
        counts: with at least one reference unit.
        name: "WER", "PER", "CER" or "SER"; a sentence rate has no insertions or deletions to print.
    """
    kinds = "" if name == "SER" else f", {counts.ins} ins, {counts.dels} del, {counts.sub} sub"
    return f"%{name} {100 * (counts.rate or 0.0):.2f} [ {counts.errors} / {counts.ref}{kinds} ]"


def _counts_json(counts: Counts) -> dict[str, Any]:
    return {
        "ref": counts.ref,
        "sub": counts.sub,
        "del": counts.dels,
        "ins": counts.ins,
        "errors": counts.errors,
        "rate": counts.rate,
    }


def _ready(utt_id: str, text: str, profile: str) -> str:
    """Return a text normalised; counting edits takes a time that grows with the square of its length."""
    if len(text) > _MAX_CHARS:
        what = f"a text of {len(text)} characters, at most {_MAX_CHARS} are scored"
        raise DataError(what, where=printable(utt_id[:_NAMED_CHARS]), fix="cut the recording into utterances")
    return normalize(text, profile)


def _refuse_ids(ids: Iterable[str], problem: str, fix: str) -> None:
    names = sorted(ids)
    if names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise DataError(
            f"{len(names)} {problem}",
            where=printable(", ".join(names[:_LISTED])) + more,
            fix=fix,
        )


def _pairs(ref: list[str], hyp: list[str], chunks: list[Any]) -> Iterator[Pair]:
    """Yield the alignment of one utterance of a jiwer output."""
    for chunk in chunks:
        ref_part = ref[chunk.ref_start_idx : chunk.ref_end_idx]
        hyp_part = hyp[chunk.hyp_start_idx : chunk.hyp_end_idx]
        yield from zip_longest(ref_part, hyp_part)


def _count(chunks: list[Any]) -> Counts:
    """Return the counts of one utterance of a jiwer output."""
    sizes = dict.fromkeys(("equal", "substitute", "delete", "insert"), 0)
    for chunk in chunks:
        sizes[chunk.type] += max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
    sub, dels, ins = sizes["substitute"], sizes["delete"], sizes["insert"]
    return Counts(ref=sizes["equal"] + sub + dels, sub=sub, dels=dels, ins=ins)
