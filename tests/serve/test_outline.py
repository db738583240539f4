"""How long a recording is and how it looks."""

from __future__ import annotations

import pytest
import torch

from asr_ligru.serve.outline import outline_of
from asr_ligru.serve.refusal import Refusal


@pytest.mark.parametrize("size", [1, 79, 80, 8000])
def test_outline_of_blocks_of_any_size_is_the_same(size: int) -> None:
    wav = torch.zeros(1, 20_000)
    wav[0, 4_321] = -0.5
    wav[0, 19_999] = 0.25
    found = outline_of(iter(wav.split(size, dim=1)), 8000, 60.0)
    assert found.duration_s == 2.5
    assert len(found.peaks) == 250
    assert {i: peak for i, peak in enumerate(found.peaks) if peak} == {54: 50, 249: 25}


def test_outline_of_long_recording_has_no_more_peaks_and_keeps_the_loudest() -> None:
    wav = torch.zeros(1, 8000 * 30)
    wav[0, 120_000] = 0.9
    found = outline_of([wav], 8000, 60.0)
    assert len(found.peaks) == 1000
    assert [i for i, peak in enumerate(found.peaks) if peak] == [500]


def test_outline_of_too_long_recording_stops_reading() -> None:
    read = []

    def blocks() -> object:
        while True:
            read.append(1)
            yield torch.zeros(1, 8000)

    with pytest.raises(Refusal) as refused:
        outline_of(blocks(), 8000, 3.0)  # type: ignore[arg-type]
    assert refused.value.status == 413
    assert len(read) == 4
