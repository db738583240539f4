"""Utterances as a torch dataset: normalised features and target tokens, augmented in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from asr_ligru.config import AugmentConfig
from asr_ligru.data.batching import Key
from asr_ligru.data.distort import NO_CHANGES, Distortion
from asr_ligru.data.source import FeatureSource
from asr_ligru.features.augment import draw_speed, generator, spec_augment
from asr_ligru.features.framing import Framing
from asr_ligru.typing import Batch, Utterance


@dataclass(frozen=True)
class Example:
    """One utterance as the model sees it: features (T, F), target ids, epoch, and the ids of a CTC head."""

    utt_id: str
    feats: Tensor
    tokens: tuple[int, ...]
    epoch: int
    ctc_tokens: tuple[int, ...] = ()


class SpeechDataset(Dataset[Example]):
    """Utterances by (epoch, index).

    Args:
        utterances: what to read.
        tokens: target ids of each.
        source: where features come from.
        seed: of the run.
        augment: random changes; None for evaluation.
        distortion: of the samples, where ``augment`` asks for any.
        of_frames: whether the targets are those of frames, and change with speed and tempo.
        ctc_tokens: target ids of each for a hybrid model's CTC head, at any speed; empty without one.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        tokens: Sequence[Sequence[int]],
        source: FeatureSource,
        seed: int = 0,
        augment: AugmentConfig | None = None,
        *,
        distortion: Distortion | None = None,
        of_frames: bool = False,
        ctc_tokens: Sequence[Sequence[int]] = (),
    ) -> None:
        self.utterances = utterances
        self.tokens = tokens
        self.source = source
        self.seed = seed
        self.augment = augment
        self.distortion = distortion
        self.of_frames = of_frames
        self.ctc_tokens = ctc_tokens

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, key: Key) -> Example:
        epoch, index = key
        utterance = self.utterances[index]
        feats, speed = self._feats(utterance, epoch)
        tokens = self.tokens[index]
        if self.of_frames and speed != 1.0:
            framing = Framing.of(self.source.config)
            tokens = stretched(tokens, len(feats), speed, framing.window / framing.shift)
        ctc_tokens = self.ctc_tokens[index] if self.ctc_tokens else ()
        return Example(utterance.utt_id, feats, tuple(tokens), epoch, tuple(ctc_tokens))

    def _feats(self, utterance: Utterance, epoch: int) -> tuple[Tensor, float]:
        """Return features and how many times as fast they are spoken."""
        if self.augment is None:
            return self.source.feats(utterance), 1.0
        rng = generator(self.seed, epoch, utterance.utt_id)
        speed = draw_speed(self.augment, rng)
        changes = self.distortion.draw(epoch, utterance.utt_id) if self.distortion else NO_CHANGES
        feats = self.source.feats(utterance, speed, changes)
        masked = spec_augment(feats, self.augment, rng, num_bins=self.source.frontend.inner_size)
        return masked, speed * changes.tempo


def stretched(targets: Sequence[int], num_frames: int, speed: float, window: float) -> list[int]:
    """Return the targets of frames spoken ``speed`` times as fast: each that of the frame whose middle is nearest.

    Args:
        targets: of the frames at normal speed; with none there are none.
        num_frames: frames there are now.
        speed: factor.
        window: length of a frame's window in frame shifts.
    """
    last = len(targets) - 1
    places = [round((frame + window / 2) * speed - window / 2) for frame in range(num_frames if targets else 0)]
    return [targets[min(max(place, 0), last)] for place in places]


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples to a batch."""
    tokens, token_lens = _padded([e.tokens for e in examples])
    ctc_tokens, ctc_token_lens = _padded([e.ctc_tokens for e in examples])
    return Batch(
        utt_ids=tuple(e.utt_id for e in examples),
        feats=pad_sequence([e.feats for e in examples], batch_first=True),
        feat_lens=torch.tensor([len(e.feats) for e in examples]),
        tokens=tokens,
        token_lens=token_lens,
        epoch=examples[0].epoch,
        ctc_tokens=ctc_tokens,
        ctc_token_lens=ctc_token_lens,
    )


def _padded(ids: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    rows = [torch.tensor(row, dtype=torch.int64) for row in ids]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])
