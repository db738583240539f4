"""Several kinds of features of the same frames, one after another.

Source: Ravanelli et al. 2019 (arXiv 1811.07453), section 3: cepstra, filter banks and fMLLR features together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig, StreamsConfig
from asr_ligru.errors import DataError
from asr_ligru.features.frontend import Frontend


def beside(features: FeaturesConfig, streams: StreamsConfig) -> list[FeaturesConfig]:
    """Return the features that stand beside ``features``: normalised alike, without context."""
    plain = replace(features, cmvn_variance=True, deltas=0, splice=0)
    found = []
    if streams.fbank:
        found.append(replace(plain, name="fbank", num_bins=streams.fbank))
    if streams.mfcc:
        found.append(replace(plain, name="mfcc", num_ceps=streams.mfcc, num_bins=max(features.num_bins, streams.mfcc)))
    return found


def with_streams(first: Frontend, streams: StreamsConfig) -> Frontend:
    """Return a front end of its features and those of ``streams``; itself where there are none."""
    others = [Frontend(config) for config in beside(first.config, streams)]
    return StreamsFrontend([first, *others]) if others else first


class StreamsFrontend(Frontend):
    """Normalises each of several kinds of raw features by itself.

    Args:
        parts: front ends of the same frames.
    """

    def __init__(self, parts: Sequence[Frontend]) -> None:
        super().__init__(parts[0].config)
        self.parts = tuple(parts)
        self.extract = self._extract
        self.raw_size = sum(part.raw_size for part in parts)
        self._measure()

    @property
    def needs_fit(self) -> bool:
        """Whether one of them has to be fitted."""
        return any(part.needs_fit for part in self.parts)

    def fit(self, corpus: Iterable[tuple[str, Tensor]]) -> None:
        """Fit each; see ``Frontend.fit``."""
        if self.needs_fit:
            for part, own in self._shared(corpus):
                part.fit(own)

    def add_speakers(self, corpus: Iterable[tuple[str, Tensor]]) -> None:
        """Take each kind's statistics of speakers; see ``Frontend.add_speakers``."""
        for part, own in self._shared(corpus):
            part.add_speakers(own)

    def __call__(self, raw: Tensor, speaker: str = "") -> Tensor:
        """Return (T, F) of one utterance; see ``Frontend.__call__``."""
        if raw.shape[1] != self.raw_size:
            raise DataError(f"expected {self.raw_size} raw features in a frame, got {raw.shape[1]}")
        return torch.cat([part(own, speaker) for part, own in zip(self.parts, self._split(raw), strict=True)], 1)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of all, each name with the number of its part before it."""
        return {f"{i}.{name}": t for i, part in enumerate(self.parts) for name, t in part.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state_dict`` returned; see ``Frontend.load_state_dict``."""
        for i, part in enumerate(self.parts):
            part.load_state_dict({n.removeprefix(f"{i}."): t for n, t in state.items() if n.startswith(f"{i}.")})
        self._measure()

    def _measure(self) -> None:
        self.size = self.inner_size = sum(part.size for part in self.parts)

    def _extract(self, wav: Tensor) -> Tensor:
        return torch.cat([part.extract(wav) for part in self.parts], 1)

    def _split(self, raw: Tensor) -> tuple[Tensor, ...]:
        return torch.split(raw, [part.raw_size for part in self.parts], 1)

    def _shared(self, corpus: Iterable[tuple[str, Tensor]]) -> list[tuple[Frontend, list[tuple[str, Tensor]]]]:
        """Return each part with what is its own of a corpus."""
        split = [(speaker, self._split(raw)) for speaker, raw in corpus]
        return [(part, [(speaker, own[i]) for speaker, own in split]) for i, part in enumerate(self.parts)]
