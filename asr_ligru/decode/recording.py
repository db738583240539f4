"""From a recording of any length to features of pieces that can be decoded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from asr_ligru.data.audio_blocks import Source, read_blocks
from asr_ligru.decode.result import Decoder
from asr_ligru.decode.segment import Cutter, Piece
from asr_ligru.models.load import LoadedModel

_SHORTEST_LIMIT_S = 5.0  # however short a model's utterances were
_WHOLE = 1.5  # times the longest utterance of training is not cut


@dataclass(frozen=True)
class Settings:
    """How recordings are read and decoded.

    Attributes:
        decoder: from log probabilities to words; None for greedy.
        n_best: readings of each segment, >= 1.
        channel: "mix" averages the channels, "0", "1", ... picks one, "split" decodes each.
        raw_rate_hz: sample rate of recordings without a header; None refuses them.
        batch_size: most segments decoded at once; None goes by their length.
    """

    decoder: Decoder | None = None
    n_best: int = 1
    channel: str = "mix"
    raw_rate_hz: int | None = None
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a piece lies in its recording.

    Attributes:
        channel: which, from 0; None for all mixed.
        start_s: its beginning, seconds.
        end_s: its end.
        overlap_s: how much of its beginning the piece before it holds, too.
    """

    channel: int | None
    start_s: float
    end_s: float
    overlap_s: float


class Recording:
    """A recording that is read once, from its beginning to its end.

    Args:
        model: whose features are wanted.
        source: an audio file, or an open binary stream.
        settings: how it is read.
        speaker: who speaks; empty when unknown.
        offset_s: where to begin, seconds; times are counted from there.
        duration_s: how much to read, seconds; None for all that follows. What a corpus could hold as an utterance is
            never cut.

    Attributes:
        duration_s: of what was read so far, seconds.
        silent_s: of what was left out as silence, over all channels.
    """

    def __init__(
        self,
        model: LoadedModel,
        source: Source,
        settings: Settings,
        speaker: str = "",
        offset_s: float = 0.0,
        duration_s: float | None = None,
    ) -> None:
        self._model = model
        self._speaker = speaker
        self._split = settings.channel == "split"
        self._rate_hz = model.config.features.sample_rate_hz
        self._blocks = read_blocks(
            source,
            sample_rate_hz=self._rate_hz,
            channel=settings.channel,
            raw_rate_hz=settings.raw_rate_hz,
            offset_s=offset_s,
            duration_s=duration_s,
        )
        self._piece_s = max(_SHORTEST_LIMIT_S, model.longest_s)
        is_utterance = duration_s is not None and duration_s <= model.config.corpus.max_seconds
        self._whole_s = math.inf if is_utterance else _WHOLE * self._piece_s
        self.duration_s = 0.0
        self.silent_s = 0.0

    def feats(self) -> Iterator[tuple[Stretch, Tensor]]:
        """Yield the pieces as the network's input (T, F), those of one channel in order.

        Raises:
            AsrLigruError: it cannot be read, or no longer.
        """
        for stretch, raw in self.raw_feats():
            yield stretch, self._model.frontend(raw, self._speaker)

    def raw_feats(self) -> Iterator[tuple[Stretch, Tensor]]:
        """Yield them as features before normalisation, instead."""
        cutters: list[Cutter] = []
        for block in self._blocks:
            cutters = cutters or [Cutter(self._rate_hz, self._piece_s, self._whole_s) for _ in block]
            self.duration_s += block.shape[-1] / self._rate_hz
            for number, (cutter, wav) in enumerate(zip(cutters, block, strict=True)):
                yield from (self._raw(number, piece) for piece in cutter.feed(wav))
        for number, cutter in enumerate(cutters):
            yield from (self._raw(number, piece) for piece in cutter.finish())
            self.silent_s += cutter.silent / self._rate_hz

    def _raw(self, channel: int, piece: Piece) -> tuple[Stretch, Tensor]:
        start, end, overlap = (n / self._rate_hz for n in (piece.start, piece.start + len(piece.wav), piece.overlap))
        stretch = Stretch(channel if self._split else None, start, end, overlap)
        return stretch, self._model.frontend.extract(piece.wav)
