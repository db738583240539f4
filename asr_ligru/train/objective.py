"""What is trained for, and how a development set is judged: CTC over tokens, or an HMM's tied states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import Config
from asr_ligru.decode.greedy import BestPath, GreedyDecoder, best_paths
from asr_ligru.decode.result import Result
from asr_ligru.models.build import Model
from asr_ligru.score.wer import score
from asr_ligru.text.tokenizer import Tokenizer
from asr_ligru.train.corpus import Corpus, Split
from asr_ligru.train.hybrid import HybridObjective
from asr_ligru.train.loss import ctc_losses
from asr_ligru.typing import Batch

Predictions = Sequence[Tensor]


class Objective(Protocol):
    """Judges a model's output."""

    def predict(self, model: Model, feats: Tensor, feat_lens: Tensor) -> Predictions:
        """Return the model's output for a batch of features (B, T, F): log probabilities, then what belongs to them."""
        ...

    def losses(self, predictions: Predictions, batch: Batch) -> Tensor:
        """Return the loss of each utterance, (B,) float32 nats."""
        ...

    def observe(self, predictions: Predictions, batch: Batch) -> None:
        """Take note of a batch of the development set."""
        ...

    def metrics(self) -> dict[str, float]:
        """Return figures on all that the processes observed, ``dev_wer`` among them (fractions), and forget it."""
        ...

    def readings(self, predictions: Predictions, temperatures: Sequence[float]) -> list[list[Result]]:
        """Return what is read in a batch, for each temperature of its confidences."""
        ...


def objective_of(config: Config, corpus: Corpus) -> Objective:
    """Return what ``model.name`` asks for."""
    if corpus.hmm is None:
        return CtcObjective(corpus.tokenizer, corpus.dev, config.corpus.scoring)
    return HybridObjective(corpus.hmm, corpus.dev, config)


class CtcObjective:
    """CTC; the development set is decoded greedily.

    Args:
        tokenizer: the output units.
        dev: the development set.
        profile: the text profile that its errors are counted under.
    """

    def __init__(self, tokenizer: Tokenizer, dev: Split, profile: str = "none") -> None:
        self.tokenizer, self.dev, self.profile = tokenizer, dev, profile
        self.paths: dict[str, BestPath] = {}

    def predict(self, model: Model, feats: Tensor, feat_lens: Tensor) -> Predictions:
        """Return log probabilities and their lengths."""
        log_probs, lens = model(feats, feat_lens)
        return log_probs, lens

    def losses(self, predictions: Predictions, batch: Batch) -> Tensor:
        """Return the loss of each utterance, (B,) float32 nats."""
        return ctc_losses(predictions[0], predictions[1], batch)

    def observe(self, predictions: Predictions, batch: Batch) -> None:
        """Decode a batch."""
        self.paths.update(zip(batch.utt_ids, best_paths(predictions[0], predictions[1]), strict=True))

    def metrics(self) -> dict[str, float]:
        """Return the share of wrong words."""
        paths, self.paths = self.paths, {}
        hyps = ranks.merged({utt_id: self.tokenizer.decode(path.tokens) for utt_id, path in paths.items()})
        words = score({u.utt_id: u.text for u in self.dev.utterances}, hyps, profile=self.profile).words
        return {"dev_wer": words.errors / words.ref}

    def readings(self, predictions: Predictions, temperatures: Sequence[float]) -> list[list[Result]]:
        """Return what is read in a batch, for each temperature of its confidences."""
        return [GreedyDecoder(self.tokenizer, t)(predictions[0], predictions[1]) for t in temperatures]
