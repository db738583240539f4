"""Phones whose times are known, from a person or another program: training keeps its alignments to them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import DataError
from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.times import Interval
from asr_ligru.safety import printable

COST = 100.0  # nats for a frame outside its phone's time: obeyed where the pronunciation allows, and always a path
_ANY = -1
_SLACK = 1  # frames that a phone may begin earlier and end later: one shorter than its states still has a path

_FIX = "name a file of lines `utterance channel beginning length phone`, as `asr-ligru fmllr align` writes it"

PhoneTimes = Mapping[str, Sequence[Interval]]


def read_phone_times(path: Path) -> dict[str, list[Interval]]:
    """Read when the phones of utterances are spoken; what lies between them is silence.

    Args:
        path: CTM (``utterance channel beginning length phone`` in seconds), as ``asr-ligru fmllr align`` writes it, or
            JSON lines with ``id`` and ``phones`` (``phone``, ``start_s``, ``end_s``), as the demo corpus has them.

    Raises:
        DataError: absent, no times in it, or a line that is neither; named by its number.
    """
    read = _json_line if path.suffix == ".jsonl" else _ctm_line
    found: defaultdict[str, list[Interval]] = defaultdict(list)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DataError(f"cannot read times of phones: {reason}", where=printable(str(path)), fix=_FIX) from error
    for number, line in enumerate(lines, start=1):
        try:
            utt_id, phones = read(line)
        except (ValueError, KeyError, TypeError) as error:
            what = f"line {number}: not the times of phones: {printable(line[:60])!r}"
            raise DataError(what, where=printable(str(path)), fix=_FIX) from error
        found[utt_id] += phones
    if not found:
        raise DataError("no times of phones in it", where=printable(str(path)))
    return found


def _ctm_line(line: str) -> tuple[str, list[Interval]]:
    utt_id, _, start, length, phone = line.split()
    return utt_id, [_interval(phone, float(start), float(start) + float(length))]


def _json_line(line: str) -> tuple[str, list[Interval]]:
    record = json.loads(line)
    return record["id"], [_interval(p["phone"], float(p["start_s"]), float(p["end_s"])) for p in record["phones"]]


def _interval(phone: str, start_s: float, end_s: float) -> Interval:
    if not 0 <= start_s <= end_s < float("inf"):
        raise ValueError(f"{start_s} to {end_s}")
    return Interval(phone, start_s, end_s)


def phones_near(spoken: Sequence[Interval], phones: Sequence[str], num_frames: int, features: FeaturesConfig) -> Tensor:
    """Return the phones (T, K) int64 that each frame may belong to: those at its window's middle and beside it.

    Args:
        spoken: when each phone is spoken, silence in between; where one is that is not among ``phones``, any may be.
        phones: names by their numbers, silence first.
        num_frames: T.
        features: for the frames' shift and window.
    """
    numbers = {phone: number for number, phone in enumerate(phones)}
    middles = (torch.arange(num_frames) * features.frame_shift_ms + features.frame_length_ms / 2) / 1000
    at = torch.full((num_frames,), SIL)
    for interval in spoken:
        at[(middles >= interval.start_s) & (middles < interval.end_s)] = numbers.get(interval.label, _ANY)
    places = torch.arange(num_frames)[:, None] + torch.arange(-_SLACK, _SLACK + 1)
    return at[places.clamp(0, max(num_frames - 1, 0))]


def costs_outside(near: Tensor, phones: Tensor) -> Tensor:
    """Return what it costs (T, C) float64, nats, to be in each of some phones at each frame.

    Args:
        near: (T, K) int64, from ``phones_near``.
        phones: (C,) int64.
    """
    other = (near[:, :, None] != phones) & (near[:, :, None] != _ANY)
    return COST * other.all(1).double()
