"""What an exported ``hyperparams.yaml`` names, so that SpeechBrain's ``EncoderASR`` runs a model of this toolkit.

``EncoderASR`` calls the encoder, then ``best_tokens``, then ``Texts.decode_ids``; its pretrainer calls ``load``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asr_ligru.decode.greedy import best_paths
from asr_ligru.models.load import LoadedModel, load_model


class Encoder(nn.Module):
    """Log probabilities from wavs; nothing until ``load`` gives it a model.

    Attributes:
        model: the model.
    """

    model: LoadedModel

    def __init__(self) -> None:
        super().__init__()
        self.network: nn.Module = nn.Identity()  # the model's, to be moved to other devices as part of this

    def forward(self, wavs: Tensor, wav_lens: Tensor) -> Tensor:
        """Return log probabilities (B, T', V), all on the blank behind an utterance's end.

        Args:
            wavs: (B, N) in [-1, 1] at the model's sample rate.
            wav_lens: (B,) share of N that each has.
        """
        samples = (wav_lens * wavs.shape[1]).round().long().tolist()
        log_probs, lens = self.model.log_probs(
            [self.model.feats(wav[:n].cpu()) for wav, n in zip(wavs, samples, strict=True)]
        )
        behind = torch.arange(log_probs.shape[1], device=lens.device) >= lens.unsqueeze(1)
        only_blank = torch.full_like(log_probs, -torch.inf)
        only_blank[..., 0] = 0.0
        return torch.where(behind.unsqueeze(-1), only_blank, log_probs)


class Texts:
    """Words from token ids.

    Args:
        encoder: whose tokens they are.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def decode_ids(self, ids: Sequence[int]) -> str:
        """Return the words of ids after CTC collapsing."""
        return self._encoder.model.tokenizer.decode(ids)


def best_tokens(log_probs: Tensor, wav_lens: Tensor, blank_id: int) -> list[list[int]]:
    """Return the ids of each utterance's best path; the shares ``wav_lens`` are not needed."""
    lens = torch.full((len(log_probs),), log_probs.shape[1])
    return [path.tokens for path in best_paths(log_probs, lens, blank_id)]


def load(encoder: Encoder, path: str | Path) -> None:
    """Give an encoder the model of a ``.zip``; no code in it is run."""
    encoder.model = load_model(Path(path)).by_tokens()
    encoder.network = encoder.model.network
