"""What an exported ``hyperparams.yaml`` names, so that SpeechBrain's ``EncoderASR`` runs a model of this toolkit.

``EncoderASR`` calls the encoder, then ``best_tokens``, then ``Texts.decode_ids``; its pretrainer calls ``load`` with
the model's ``.zip`` for each of the two that have a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asr_ligru.decode.greedy import best_paths
from asr_ligru.models.load import LoadedModel, load_model


class Encoder(nn.Module):
    """Log probabilities from wavs; nothing until it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self._model: LoadedModel | None = None
        self.network: nn.Module = nn.Identity()

    def take(self, model: LoadedModel) -> None:
        """Become a loaded model."""
        self._model, self.network = model, model.network

    def forward(self, wavs: Tensor, wav_lens: Tensor) -> Tensor:
        """Return log probabilities (B, T', V), all on the blank behind an utterance's end.

        Args:
            wavs: (B, N) in [-1, 1] at the model's sample rate.
            wav_lens: (B,) share of N that each has.
        """
        assert self._model is not None, "the pretrainer loads it first"
        samples = (wav_lens * wavs.shape[1]).round().long().tolist()
        feats = [self._model.feats(wav[:n].cpu()).to(wavs.device) for wav, n in zip(wavs, samples, strict=True)]
        log_probs, lens = self._model.log_probs(feats)
        behind = torch.arange(log_probs.shape[1], device=lens.device) >= lens.unsqueeze(1)
        log_probs = log_probs.masked_fill(behind.unsqueeze(-1), -torch.inf)
        log_probs[..., 0] = log_probs[..., 0].masked_fill(behind, 0.0)
        return log_probs


class Texts:
    """Words from token ids; nothing until it is loaded."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None

    def take(self, model: LoadedModel) -> None:
        """Become a loaded model's tokenizer."""
        self._model = model

    def decode_ids(self, ids: Sequence[int]) -> str:
        """Return the words of ids after CTC collapsing."""
        assert self._model is not None, "the pretrainer loads it first"
        return self._model.tokenizer.decode(ids)


def best_tokens(log_probs: Tensor, wav_lens: Tensor) -> list[list[int]]:
    """Return the ids of each utterance's best path; the shares ``wav_lens`` are not needed."""
    lens = torch.full((len(log_probs),), log_probs.shape[1])
    return [path.tokens for path in best_paths(log_probs, lens)]


def load(target: Encoder | Texts, path: str | Path) -> None:
    """Fill an object from a model's ``.zip``; no code in it is run."""
    target.take(load_model(Path(path)))
