"""Training of hybrid models: cross-entropy of tied states and phones, and how a development set is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from asr_ligru.config import Config
from asr_ligru.decode.result import Result
from asr_ligru.decode.words import WordDecoder
from asr_ligru.hmm.decode_words import SearchOptions
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.models.build import Model
from asr_ligru.models.hybrid import HybridModel
from asr_ligru.score.wer import score
from asr_ligru.train.corpus import Split
from asr_ligru.train.loss import frame_losses
from asr_ligru.typing import Batch


class HybridObjective:
    """Cross-entropy of each frame's tied state, and beside it of its phone; the development set is decoded with words.

    Args:
        hmm: words, phones and states.
        dev: the development set.
        config: of the run.

    Source: Ravanelli et al. 2018 (arXiv 1803.10225), section 4.
    """

    def __init__(self, hmm: HybridHmm, dev: Split, config: Config) -> None:
        self.hmm, self.dev, self.model = hmm, dev, config.model
        self.decoder = WordDecoder(hmm, SearchOptions(config.decode.acoustic_scale, config.decode.word_score))
        self._log_probs: dict[str, Tensor] = {}
        self._wrong = self._frames = 0

    def predict(self, model: Model, feats: Tensor, feat_lens: Tensor) -> Sequence[Tensor]:
        """Return log probabilities of states (B, T, P), of phones (B, T, N), and lengths."""
        assert isinstance(model, HybridModel)
        return *model.both(feats, feat_lens), feat_lens

    def losses(self, predictions: Sequence[Tensor], batch: Batch) -> Tensor:
        """Return the loss of each utterance, (B,) float32 nats."""
        states, phones, _ = predictions
        losses = frame_losses(states, batch, self.model.label_smoothing)
        if self.model.phone_weight == 0:
            return losses
        of_phones = replace(batch, tokens=self.hmm.phone_of_state[batch.tokens])
        return losses + self.model.phone_weight * frame_losses(phones, of_phones, self.model.label_smoothing)

    def observe(self, predictions: Sequence[Tensor], batch: Batch) -> None:
        """Count wrong frames and keep the probabilities for decoding."""
        states, _, lens = predictions
        for utt_id, rows, length, targets, known in zip(
            batch.utt_ids, states.cpu(), lens.tolist(), batch.tokens, batch.token_lens.tolist(), strict=True
        ):
            self._log_probs[utt_id] = rows[:length]
            self._wrong += int((rows[:known].argmax(1) != targets[:known]).sum())
            self._frames += known

    def metrics(self) -> dict[str, float]:
        """Return the shares of wrong words and of frames in a wrong state."""
        spoken = self.decoder.loop.decode(self.hmm.states, list(self._log_probs.values()))
        hyps = {u: " ".join(s.words) if s else "" for u, s in zip(self._log_probs, spoken, strict=True)}
        words = score({u.utt_id: u.text for u in self.dev.utterances}, hyps).words
        frames = self._wrong / max(1, self._frames)
        self._log_probs, self._wrong, self._frames = {}, 0, 0
        return {"dev_wer": words.errors / words.ref, "dev_frame_error": frames}

    def readings(self, predictions: Sequence[Tensor], temperatures: Sequence[float]) -> list[list[Result]]:
        """Return what is read in a batch, for each temperature of its confidences."""
        return self.decoder.readings(predictions[0].cpu(), predictions[2], temperatures)
