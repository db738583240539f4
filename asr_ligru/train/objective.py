"""What is trained for, and how a development set is judged: CTC over tokens, or an HMM's tied states, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import Config
from asr_ligru.decode.greedy import BestPath, GreedyDecoder, best_paths
from asr_ligru.decode.result import Result
from asr_ligru.models.build import Model
from asr_ligru.models.ctc import CtcModel
from asr_ligru.models.hybrid import HybridModel
from asr_ligru.score.wer import score
from asr_ligru.text.tokenizer import Tokenizer
from asr_ligru.train.corpus import Corpus
from asr_ligru.train.hybrid import HybridObjective
from asr_ligru.train.loss import ctc_losses, with_inner
from asr_ligru.train.split import Split
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
    """Return what ``model.name`` and ``model.ctc_weight`` ask for."""
    tokens = CtcObjective(corpus.tokenizer, corpus.dev, config.corpus.scoring, config.model.inter_ctc_weight)
    if corpus.hmm is None:
        return tokens
    states, weight = HybridObjective(corpus.hmm, corpus.dev, config), config.model.ctc_weight
    return JointObjective(states, tokens, weight) if weight else states


class CtcObjective:
    """CTC; the development set is decoded greedily.

    Args:
        tokenizer: the output units.
        dev: the development set.
        profile: the text profile that its errors are counted under.
        inner_weight: share of the loss that the inner layers have, where the head reads any.
    """

    def __init__(self, tokenizer: Tokenizer, dev: Split, profile: str = "none", inner_weight: float = 0.0) -> None:
        self.tokenizer, self.dev, self.profile, self.inner_weight = tokenizer, dev, profile, inner_weight
        self.paths: dict[str, BestPath] = {}

    def predict(self, model: Model, feats: Tensor, feat_lens: Tensor) -> Predictions:
        """Return log probabilities and their lengths, then log probabilities of inner layers."""
        assert isinstance(model, CtcModel)
        return model.every_layer(feats, feat_lens)

    def losses(self, predictions: Predictions, batch: Batch) -> Tensor:
        """Return the loss of each utterance, (B,) float32 nats."""
        log_probs, lens, *inner = predictions
        return with_inner(
            ctc_losses(log_probs, lens, batch), [ctc_losses(layer, lens, batch) for layer in inner], self.inner_weight
        )

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


class JointObjective:
    """States for an HMM, which decodes the development set, and beside them CTC over tokens.

    Args:
        states: judges the first three predictions: log probabilities of states and of phones, lengths.
        tokens: judges the others, those of the CTC head.
        weight: of the CTC loss, > 0.
    """

    def __init__(self, states: HybridObjective, tokens: CtcObjective, weight: float) -> None:
        self.states, self.tokens, self.weight = states, tokens, weight

    def predict(self, model: Model, feats: Tensor, feat_lens: Tensor) -> Predictions:
        """Return what all heads say."""
        assert isinstance(model, HybridModel)
        return model.all_heads(feats, feat_lens)

    def losses(self, predictions: Predictions, batch: Batch) -> Tensor:
        """Return the loss of each utterance, (B,) float32 nats; one without tokens has that of its states alone."""
        of_states = self.states.losses(predictions[:3], batch)
        spelled = replace(batch, tokens=batch.ctc_tokens, token_lens=batch.ctc_token_lens)
        of_tokens = self.tokens.losses(predictions[3:], spelled)
        silent = (batch.ctc_token_lens == 0).to(of_tokens.device)
        return of_states + self.weight * of_tokens.masked_fill(silent, 0.0)

    def observe(self, predictions: Predictions, batch: Batch) -> None:
        """Decode a batch in both ways."""
        self.states.observe(predictions[:3], batch)
        self.tokens.observe(predictions[3:], batch)

    def metrics(self) -> dict[str, float]:
        """Return the HMM's figures, and as ``dev_ctc_wer`` the share of words that the CTC head has wrong, greedily."""
        return {**self.states.metrics(), "dev_ctc_wer": self.tokens.metrics()["dev_wer"]}

    def readings(self, predictions: Predictions, temperatures: Sequence[float]) -> list[list[Result]]:
        """Return what the HMM reads in a batch, for each temperature of its confidences."""
        return self.states.readings(predictions[:3], temperatures)
