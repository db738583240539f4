"""Which utterances are worked on together where a whole set would not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence

from asr_ligru.typing import Utterance


def whole_speakers(utterances: Sequence[Utterance], hours: float) -> list[list[Utterance]]:
    """Divide utterances into parts of at least so many hours, but for the last, all of a speaker's in one part.

    Args:
        utterances: one without a speaker counts as a speaker's only one.
        hours: of speech, > 0.

    Returns:
        The parts, speakers in the order in which they first occur.
    """
    of_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        of_speaker.setdefault(utterance.speaker or utterance.utt_id, []).append(utterance)
    parts: list[list[Utterance]] = []
    left_s = 0.0
    for spoken in of_speaker.values():
        if left_s <= 0:
            parts.append([])
            left_s = 3600 * hours
        parts[-1] += spoken
        left_s -= sum(utterance.duration_s for utterance in spoken)
    return parts
