"""Cutting long recordings: at pauses, without losing or moving a sample, and with overlap where nobody pauses."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
import torch

from asr_ligru.decode.segment import Cutter, Piece

RATE_HZ = 8000


def speech(seconds: float, seed: int = 0) -> torch.Tensor:
    """Return loud noise whose level goes up and down, never to quiet."""
    wav = 0.2 * torch.randn(round(seconds * RATE_HZ), generator=torch.Generator().manual_seed(seed))
    time = torch.arange(len(wav)) / RATE_HZ
    return wav * (0.6 + 0.4 * torch.sin(2 * torch.pi * 3 * time))


def quiet(seconds: float) -> torch.Tensor:
    return 0.001 * torch.randn(round(seconds * RATE_HZ), generator=torch.Generator().manual_seed(1))


def cut(wav: torch.Tensor, block: int = 4000, piece_s: float = 10.0, whole_s: float = 15.0) -> list[Piece]:
    cutter = Cutter(RATE_HZ, piece_s, whole_s)
    return [p for part in (*wav.split(block), None) for p in (cutter.finish() if part is None else cutter.feed(part))]


def seconds(pieces: Iterable[Piece]) -> list[tuple[float, float]]:
    return [(p.start / RATE_HZ, (p.start + len(p.wav)) / RATE_HZ) for p in pieces]


@pytest.mark.parametrize("length_s", [0.01, 3.0, 15.0])
def test_cutter_what_is_not_longer_than_the_limit_stays_whole(length_s: float) -> None:
    wav = torch.cat([quiet(length_s / 2), speech(length_s / 2)])
    (piece,) = cut(wav)
    assert (piece.start, piece.overlap) == (0, 0)
    assert torch.equal(piece.wav, wav)


def test_cutter_cuts_in_pauses_and_keeps_all_speech_in_its_place() -> None:
    parts = [(quiet if n % 2 else speech)(0.5 if n % 2 else 3.0 + n % 5) for n in range(15)]
    wav = torch.cat(parts)
    pieces = cut(wav)
    assert len(pieces) >= 4
    for piece in pieces:
        assert torch.equal(piece.wav, wav[piece.start : piece.start + len(piece.wav)])
        assert piece.overlap == 0
        assert len(piece.wav) <= 11.0 * RATE_HZ
    covered = torch.zeros(len(wav), dtype=torch.bool)
    for piece in pieces:
        covered[piece.start : piece.start + len(piece.wav)] = True
    assert bool(covered[wav.abs() > 0.01].all())
    edges = torch.tensor([piece.start for piece in pieces[1:]])
    assert float(wav[edges].abs().max()) < 0.01


@pytest.mark.parametrize("block", [100, 8000, 1_000_000])
def test_cutter_does_not_depend_on_the_size_of_blocks(block: int) -> None:
    wav = torch.cat([speech(4.0), quiet(0.4), speech(7.0), quiet(0.3), speech(9.0), quiet(2.0), speech(3.0)])
    assert seconds(cut(wav, block)) == seconds(cut(wav, 4000))


def test_cutter_where_nobody_pauses_pieces_overlap() -> None:
    wav = speech(40.0)
    pieces = cut(wav)
    assert len(pieces) > 4
    assert pieces[0].overlap == 0
    for before, after in pairwise(pieces):
        assert after.start == before.start + len(before.wav) - after.overlap
        assert after.overlap == 2 * RATE_HZ
        assert torch.equal(before.wav[-after.overlap :], after.wav[: after.overlap])
    assert pieces[-1].start + len(pieces[-1].wav) == len(wav)


def test_cutter_long_silences_are_left_out_and_counted() -> None:
    wav = torch.cat([speech(6.0), quiet(60.0), speech(6.0), torch.zeros(30 * RATE_HZ)])
    cutter = Cutter(RATE_HZ, 10.0, 15.0)
    pieces = [*cutter.feed(wav), *cutter.finish()]
    kept = sum(len(piece.wav) for piece in pieces)
    assert 12.0 * RATE_HZ <= kept <= 14.0 * RATE_HZ
    assert kept + cutter.silent == len(wav)
    assert [round(start) for start, _ in seconds(pieces)] == [0, 66]


def test_cutter_of_nothing_but_silence_yields_no_piece() -> None:
    cutter = Cutter(RATE_HZ, 10.0, 15.0)
    assert [*cutter.feed(torch.zeros(40 * RATE_HZ)), *cutter.finish()] == []
    assert cutter.silent == 40 * RATE_HZ


def test_cutter_follows_a_recording_that_becomes_quieter() -> None:
    def talk(level: float) -> torch.Tensor:
        parts = [torch.cat([speech(2.5, n), quiet(0.6)]) for n in range(80)]
        return level * torch.cat(parts)

    pieces = cut(torch.cat([talk(1.0), talk(0.05)]))
    assert all(piece.overlap == 0 for piece in pieces)
    assert sum(len(piece.wav) for piece in pieces) > 2 * 80 * 2.5 * RATE_HZ
