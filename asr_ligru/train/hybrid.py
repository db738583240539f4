"""Training of hybrid models: cross-entropy of tied states and phones, and how a development set is judged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import Config, DecodeConfig
from asr_ligru.decode.result import Decoder, Result
from asr_ligru.decode.wfst.build import hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions as GraphOptions
from asr_ligru.decode.wfst.decoder import WfstDecoder
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import EnvironmentError_
from asr_ligru.hmm.decode_words import SearchOptions
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.models.build import Model
from asr_ligru.models.hybrid import HybridModel
from asr_ligru.score.wer import score
from asr_ligru.text.arpa import read_arpa
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.train.loss import frame_losses
from asr_ligru.train.split import Split
from asr_ligru.typing import Batch

_BEAM = 14.0  # on AN4 what is found with it is what comparing every path gives
log = logging.getLogger(__name__)


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
        self.profile = config.corpus.scoring
        weights = config.decode
        self.decoder = WordDecoder(hmm, SearchOptions(weights.acoustic_scale, weights.word_score))
        self.search = _search(hmm, weights) or self.decoder
        self._texts: dict[str, str] = {}
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
        """Decode a batch and count its wrong frames."""
        states, _, lens = predictions
        results = self.search(states.cpu(), lens)
        self._texts.update((utt_id, result.text) for utt_id, result in zip(batch.utt_ids, results, strict=True))
        for rows, targets, known in zip(states.cpu(), batch.tokens, batch.token_lens.tolist(), strict=True):
            self._wrong += int((rows[:known].argmax(1) != targets[:known]).sum())
            self._frames += known

    def metrics(self) -> dict[str, float]:
        """Return the shares of wrong words and of frames in a wrong state."""
        texts = ranks.merged(self._texts)
        words = score({u.utt_id: u.text for u in self.dev.utterances}, texts, profile=self.profile).words
        counts = torch.tensor([self._wrong, self._frames])
        ranks.add_up(counts)
        frames = int(counts[0]) / max(1, int(counts[1]))
        self._texts, self._wrong, self._frames = {}, 0, 0
        return {"dev_wer": words.errors / words.ref, "dev_frame_error": frames}

    def readings(self, predictions: Sequence[Tensor], temperatures: Sequence[float]) -> list[list[Result]]:
        """Return what is read in a batch, for each temperature of its confidences."""
        return self.decoder.readings(predictions[0].cpu(), predictions[2], temperatures)


def _search(hmm: HybridHmm, weights: DecodeConfig) -> Decoder | None:
    """Return the search that takes a tenth of the time, where its extra is installed or ``decode`` asks for it."""
    lm = read_arpa(Path(weights.lm)) if weights.lm else hmm.lm
    lexicon = Lexicon.read(Path(weights.lexicon)) if weights.lexicon else hmm.vocabulary.lexicon
    states = hmm.states
    try:
        graph = hmm_graph(states.tree, states.transitions, lm, lexicon)
    except EnvironmentError_ as error:
        if weights.name == "wfst":
            raise
        log.info("%s; every path is compared instead, which takes longer", error.what)
        return None
    options = GraphOptions(weights.acoustic_scale, weights.word_score, max(weights.beam, _BEAM))
    return WfstDecoder(graph, options, states.log_priors)
