"""Files of hypotheses with confidences, made one: what ``asr-ligru rover`` reads and writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_ligru.config import as_dict, build
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import atomic_write, json_text, printable, read_json
from asr_ligru.score.lines import parse_lines
from asr_ligru.score.rover import Heard, Place, Vote, elect, word_network
from asr_ligru.score.texts import read_texts
from asr_ligru.score.timed import read_ctm

FORMAT = 1
_MAX_PAIRS = 200_000_000  # of words to align: two readings of an hour and a half


@dataclass(frozen=True)
class System:
    """What one system heard.

    Attributes:
        words: by utterance id.
        unsure: words without confidence, for which 1 is taken.
        failed: why there is no text, by utterance id.
    """

    words: dict[str, list[Heard]] = field(default_factory=dict)
    unsure: int = 0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Networks:
    """Systems, aligned.

    Attributes:
        places: of each utterance that at least one system has.
        missing: of each system, the utterances that it has not and another one has; the others vote there.
        failed: why no system has an utterance that is in a file, by id.
    """

    places: dict[str, list[Place]]
    missing: list[list[str]]
    failed: dict[str, str]


def read_system(path: Path) -> System:
    """Read a system's hypotheses.

    Args:
        path: ``.jsonl`` as ``asr-ligru decode --format json --confidence`` and ``rover`` write it, ``.ctm`` with
            confidences, or any file of texts that ``score`` reads; where a file has none, words have confidence 1.

    Raises:
        DataError: unreadable, or malformed lines.
    """
    if path.suffix == ".ctm":
        return _of_ctm(path)
    texts = read_texts(path, "hyp")  # checks what both kinds have in common
    sure = _confidences(path) if path.suffix == ".jsonl" else {}
    system = System({}, failed=dict(texts.failed))
    unsure = 0
    for utt_id, text in texts.texts.items():
        if utt_id not in texts.failed:
            said = text.split()
            known = sure.get(utt_id, [])
            system.words[utt_id] = known if len(known) == len(said) else [Heard(word) for word in said]
            unsure += len(said) if len(known) != len(said) else 0
    return System(system.words, unsure, system.failed)


def _of_ctm(path: Path) -> System:
    words: dict[str, list[Heard]] = {}
    unsure = 0
    for word in read_ctm(path):
        confidence = word.confidence
        words.setdefault(" ".join(word.place), []).append(Heard(word.word, 1.0 if confidence is None else confidence))
        unsure += confidence is None
    names = {place: place.rpartition(" ")[0] for place in words}  # without channel, where there is one
    single = len(set(names.values())) == len(names)
    return System({names[place] if single else place: heard for place, heard in words.items()}, unsure)


def _confidences(path: Path) -> dict[str, list[Heard]]:
    """Return the words of each line that has confidences."""
    found: dict[str, list[Heard]] = {}

    def take(number: int, line: str) -> None:
        record = json.loads(line)
        words = [word for segment in record.get("segments") or [] for word in segment.get("words") or []]
        if words and all("confidence" in word for word in words):
            found[record["id"]] = [_heard(word) for word in words]

    parse_lines(path, take)
    return found


def _heard(word: Mapping[str, Any]) -> Heard:
    text, confidence = word.get("text"), word["confidence"]
    if not isinstance(text, str) or isinstance(confidence, bool) or not isinstance(confidence, (int, float)):
        raise ValueError("a word needs a text and a number as confidence")
    if not 0 <= confidence <= 1 or math.isnan(confidence):
        raise ValueError(f"expected a confidence from 0 to 1, got {confidence}")
    return Heard(text, float(confidence))


def align_systems(systems: Sequence[System]) -> Networks:
    """Align what systems heard, utterance by utterance.

    Args:
        systems: at least two; the first is the one that the others are aligned with.

    Raises:
        ConfigError: fewer than two.
        DataError: an utterance is too long, as a recording of hours is.
    """
    if len(systems) < 2:
        raise ConfigError("one system has nothing to vote with", fix="name the hypotheses of two systems or more")
    ids = list(dict.fromkeys(utt_id for system in systems for utt_id in system.words))
    for utt_id in ids:
        _refuse_long(utt_id, [len(system.words.get(utt_id, ())) for system in systems])
    places = {
        utt_id: word_network([system.words[utt_id] for system in systems if utt_id in system.words]) for utt_id in ids
    }
    missing = [[utt_id for utt_id in ids if utt_id not in system.words] for system in systems]
    failed = {utt_id: why for system in systems for utt_id, why in system.failed.items() if utt_id not in places}
    return Networks(places, missing, failed)


def _refuse_long(utt_id: str, counts: Sequence[int]) -> None:
    """Alignment takes a byte and a third of a microsecond for each pair of words."""
    fewer, most = sorted(counts)[-2:]
    if fewer * most > _MAX_PAIRS:
        what = f"{printable(utt_id[:100])}: {fewer} and {most} words are too many to align"
        raise DataError(what, fix="cut the recording into utterances, and give their words as .trn, .jsonl or text")


def text_of(places: Sequence[Place], vote: Vote) -> str:
    """Return the elected words."""
    return " ".join(heard.word for heard in elect(places, vote))


def render(networks: Networks, vote: Vote, as_trn: bool = False) -> str:
    """Return the elected words of all utterances, a line each.

    Args:
        networks: what was heard.
        vote: how words are chosen.
        as_trn: as ``words (id)``; else as the JSON lines that ``read_system`` reads.
    """
    if as_trn:
        texts = {utt_id: text_of(places, vote) for utt_id, places in networks.places.items()}
        texts |= dict.fromkeys(networks.failed, "")
        return "".join(f"{text} ({utt_id})\n".lstrip(" ") for utt_id, text in texts.items())
    lines = [_record(utt_id, elect(places, vote)) for utt_id, places in networks.places.items()]
    lines += [{"id": utt_id, "status": why, "text": ""} for utt_id, why in networks.failed.items()]
    return "".join(f"{json_text(line)}\n" for line in lines)


def _record(utt_id: str, words: Sequence[Heard]) -> dict[str, Any]:
    text = " ".join(heard.word for heard in words)
    said = [{"text": heard.word, "confidence": round(heard.confidence, 3)} for heard in words]
    return {"id": utt_id, "status": "ok", "text": text, "segments": [{"text": text, "words": said}] if words else []}


def write_vote(path: Path, vote: Vote, tuned: Mapping[str, Any]) -> None:
    """Write how words are chosen, and how that was found, as JSON."""
    body = {"format": FORMAT, "decoder": "rover", "settings": as_dict(vote), "tuned": dict(tuned)}
    atomic_write(path, json_text(body) + "\n")


def read_vote(path: Path) -> Vote:
    """Read what ``write_vote`` wrote.

    Raises:
        DataError: not such a file.
        ConfigError: a setting unknown or out of range.
    """
    fix = "write it again: asr-ligru rover HYP ... --tune REF -o FILE"
    try:
        body = read_json(path)
    except DataError as error:
        raise DataError(error.what, where=error.where, fix=fix) from error
    settings = body.get("settings") if isinstance(body, dict) and body.get("decoder") == "rover" else None
    if not isinstance(settings, dict) or body.get("format") != FORMAT:
        raise DataError(f"not a vote of format {FORMAT}", where=printable(str(path)), fix=fix)
    return build(Vote, settings)
