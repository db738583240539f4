"""From a manifest to what models are trained on; what cannot be used is recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.hmm.align import Transcript
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.known_times import PhoneTimes, phones_near
from asr_ligru.hmm.speakers import Speakers
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.vocabulary import Vocabulary
from asr_ligru.typing import BadUtterance, Utterance

_FIXES = {
    "audio": "correct the recordings; another sample rate: --sample-rate-hz, in recipes features.sample_rate_hz",
    "text": "correct texts or lexicon",
}


@dataclass(frozen=True, eq=False)
class Material:
    """Utterances and their features.

    Attributes:
        utterances: the usable ones.
        base: (T, F) normalised cepstra of each, without differences.
        speakers: of the utterances.
        topology: the phones.
        transcripts: pronunciations of the words of each; empty ones where the words do not matter.
        near: (T, K) phones that each frame of it may belong to; None for an utterance whose times are not known.
    """

    utterances: list[Utterance]
    base: list[Tensor]
    speakers: Speakers
    topology: Topology
    transcripts: list[Transcript]
    near: list[Tensor | None]


def load(
    utterances: Sequence[Utterance],
    source: FeatureSource,
    vocabulary: Vocabulary,
    bad: list[BadUtterance],
    *,
    spoken: bool = True,
    times: PhoneTimes | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Material:
    """Read features and look words up.

    Args:
        utterances: of a manifest.
        source: where features come from; its speaker statistics are taken from these utterances.
        vocabulary: the words.
        bad: gets a record of each utterance that is left out.
        spoken: whether the words matter; an utterance whose words are not known is left out then.
        times: when the phones of utterances are spoken, where that is known.
        tick: called after each utterance read.
    """
    known = []
    for utterance in utterances:
        problem = _problem(utterance, vocabulary) if spoken else ""
        if problem:
            bad.append(BadUtterance(utterance.utt_id, "text", problem, str(utterance.audio_path)))
        else:
            known.append(utterance)
    good, unreadable = source.scan(known, fit=True, tick=tick)
    bad += unreadable
    kept = [utterance for utterance, _ in good]
    base = [source.feats(utterance) for utterance in kept]
    phones = vocabulary.topology.phones
    return Material(
        kept,
        base,
        Speakers.of([u.utt_id for u in kept], [u.speaker for u in kept]),
        vocabulary.topology,
        [vocabulary.transcript(u.text) if spoken else [] for u in kept],
        [
            phones_near(times[u.utt_id], phones, len(frames), source.config) if times and u.utt_id in times else None
            for u, frames in zip(kept, base, strict=True)
        ],
    )


def refuse_none(used: Sequence[object], utterances: Sequence[Utterance], bad: Sequence[BadUtterance]) -> None:
    """Raise a DataError with the first reason where nothing of what was to be used could be."""
    if not used:
        first = f"{bad[0].utt_id}: {bad[0].reason}" if bad else "the manifest is empty"
        fix = _FIXES["audio" if bad and bad[0].stage == "audio" else "text"]
        raise DataError(f"none of {len(utterances)} utterances can be used; {first}", fix=fix)


def drawn(utterances: Sequence[Utterance], max_hours: float) -> list[Utterance]:
    """Return utterances of so many hours, the same ones whatever their order; all of them when it is 0."""
    if not max_hours:
        return list(utterances)
    left_s, chosen = 3600 * max_hours, set()
    for utterance in sorted(utterances, key=lambda u: hashlib.sha256(u.utt_id.encode()).digest()):
        if left_s <= 0:
            break
        chosen.add(utterance.utt_id)
        left_s -= utterance.duration_s
    return [utterance for utterance in utterances if utterance.utt_id in chosen]


def _problem(utterance: Utterance, vocabulary: Vocabulary) -> str:
    missing = vocabulary.missing([utterance])
    if missing:
        return f"no pronunciation for {', '.join(repr(m.word) for m in missing)}"
    return "" if utterance.text.split() else "empty transcript"


def unaligned(material: Material, alignments: Sequence[Alignment | None]) -> list[BadUtterance]:
    """Return a record of each utterance that has no alignment: it has fewer frames than its words have states."""
    return [
        BadUtterance(u.utt_id, "align", f"{len(frames)} frames, too few for its words", str(u.audio_path))
        for u, frames, alignment in zip(material.utterances, material.base, alignments, strict=True)
        if alignment is None
    ]
