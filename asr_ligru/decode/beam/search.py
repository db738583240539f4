"""The beam search: SpeechBrain's, deaf to padding, aware of how sentences end, with times and confidences."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr_ligru import torchaudio_import
from asr_ligru.decode.align import align_tokens
from asr_ligru.decode.beam.scorer import Ngram, WordScorer
from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.greedy import BestPath, timed_words
from asr_ligru.decode.result import MOST_RESCORED, Candidate, Rescorer, Result, TimedWord
from asr_ligru.errors import ConfigError
from asr_ligru.text.sentences import WORD_START
from asr_ligru.text.units import BLANK_ID, UNK, Tokenizer

torchaudio_import.ensure()
from speechbrain.decoders.ctc import CTCBeamSearcher  # noqa: E402

logging.getLogger("speechbrain.decoders.ctc").setLevel(logging.ERROR)  # it warns of small vocabularies and no spaces

_NO_MARK = "\0"  # begins no token


class BeamDecoder:
    """Search the likeliest words under a CTC model over characters, BPE or words and a language model.

    The scores of paths that spell the same words are summed; a reading's score is that sum's natural logarithm, the
    weighted language model's probability and the bonuses.

    Args:
        tokenizer: the model's output units.
        settings: the weights, and how far to look.
        ngram: the language model, or None.
        hot_words: words to favour.
        temperature: what scores are divided by for confidences, > 0.
        rescorer: what adds to the scores of the readings that the search has kept; None for nothing.

    Raises:
        ConfigError: the tokens are phones.

    Source: Hannun et al. 2014, with SpeechBrain's pruning.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        settings: BeamSettings,
        ngram: Ngram | None = None,
        hot_words: Iterable[str] = (),
        temperature: float = 1.0,
        rescorer: Rescorer | None = None,
    ) -> None:
        if tokenizer.kind == "phone":
            fix = "decode with a lexicon: --decoder wfst"
            raise ConfigError("beam search spells words in characters, BPE or words; this model has phones", fix=fix)
        self._tokenizer = tokenizer
        self._settings = settings
        self._temperature = temperature
        self._rescorer = rescorer
        self._search = _Searcher(tokenizer, settings, WordScorer(ngram, settings, hot_words))

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        """Decode a batch; see ``decode.result.Decoder``."""
        rows = zip(log_probs.float().cpu(), log_prob_lens.tolist(), strict=True)
        return [self._decode(row[:length], n_best) for row, length in rows]

    def _decode(self, log_probs: Tensor, n_best: int) -> Result:
        texts, scores = self._search.readings(log_probs.numpy())
        if self._rescorer:
            texts = texts[:MOST_RESCORED]
            scores = scores[:MOST_RESCORED] + np.array(self._rescorer(texts))
            order = np.argsort(-scores, kind="stable")
            texts, scores = [texts[i] for i in order], scores[order]
        posteriors = np.exp((scores - scores.max()) / self._temperature)
        sure = _word_posteriors([text.split(" ") for text in texts], posteriors / posteriors.sum())
        timed = self._times(log_probs, texts[0])
        words = tuple(replace(word, confidence=float(p)) for word, p in zip(timed, sure, strict=True))
        listed = tuple(map(Candidate, texts[:n_best], map(float, scores[:n_best])))
        return Result(texts[0], float(scores[0]), words, listed)

    def _times(self, log_probs: Tensor, text: str) -> tuple[TimedWord, ...]:
        """Return the words where the best path for the text has them."""
        tokens = self._tokenizer.encode(text)
        spans = align_tokens(log_probs, tokens)
        if spans is None:  # BPE: other, fewer pieces were heard than those the text is usually divided in
            spans = _spread(len(tokens), len(log_probs))
        return timed_words(self._tokenizer, BestPath(tokens, 0.0, [1.0] * len(tokens), spans))


class _Searcher(CTCBeamSearcher):  # type: ignore[misc]
    """SpeechBrain's search with another language model, which also scores how sentences end."""

    def __init__(self, tokenizer: Tokenizer, settings: BeamSettings, scorer: WordScorer) -> None:
        tokens = [f"{WORD_START}{t}" for t in tokenizer.tokens] if tokenizer.kind == "word" else list(tokenizer.tokens)
        tokens[BLANK_ID] = ""
        super().__init__(
            blank_index=BLANK_ID,
            vocab_list=tokens,
            beam_size=settings.beam_size,
            beam_prune_logp=-settings.beam_threshold,
            token_prune_min_logp=-settings.token_threshold,
            prune_history=False,  # it drops readings that the n-best list should have
            topk=settings.beam_size,
            spm_token=_NO_MARK if tokenizer.kind == "char" else WORD_START,
        )
        self.lm = scorer
        self._unknown_id = tokenizer.tokens.index(UNK) if UNK in tokenizer.tokens[:2] else None
        self._at_end = False

    def readings(self, log_probs: npt.NDArray[np.float32]) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Return texts and scores of one utterance, (T', V) natural log, the best first; at least one."""
        if self._unknown_id is not None:  # nothing that is spelled with it is right
            log_probs = log_probs.copy()
            log_probs[:, self._unknown_id] = -np.inf
        kept = self._frames_that_matter(log_probs)
        shift = float(log_probs[~kept, BLANK_ID].sum(dtype=np.float64))
        found = self.decode_log_probs(log_probs[kept], int(kept.sum()))
        scores: dict[str, float] = {}
        for reading in found:
            scores.setdefault(reading.text, float(reading.lm_score) + shift)
        return list(scores), np.array(list(scores.values()))

    def _frames_that_matter(self, log_probs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which frames are not just one more where the search would try the blank only."""
        tried = log_probs > self.token_prune_min_logp
        blank = ~tried[:, 1:].any(axis=1) & (log_probs.argmax(axis=1) == BLANK_ID)
        again: npt.NDArray[np.bool_] = blank & np.concatenate([[False], blank[:-1]])
        return ~again

    def finalize_decoding(self, *args: Any, is_end: bool = False, **options: Any) -> list[Any]:
        """Score what is left of a word, and at the end the sentence's end, which SpeechBrain's leaves out."""
        self._at_end = is_end
        try:
            done: list[Any] = super().finalize_decoding(*args, is_end=is_end, **options)
        finally:
            self._at_end = False
        return done

    def get_lm_beams(self, *args: Any, is_eos: bool = False) -> list[Any]:
        """Score readings with the language model."""
        scored: list[Any] = super().get_lm_beams(*args, is_eos=is_eos or self._at_end)
        return scored


def _word_posteriors(readings: Sequence[list[str]], posteriors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return for each word of the first reading the share of readings that have it at its place."""
    best = [word for word in readings[0] if word]
    sure = np.zeros(len(best))
    for reading, posterior in zip(readings, posteriors, strict=True):
        for start, _, size in SequenceMatcher(None, best, reading, autojunk=False).get_matching_blocks():
            sure[start : start + size] += posterior
    return np.minimum(sure, 1.0)


def _spread(num_tokens: int, num_frames: int) -> list[tuple[int, int]]:
    starts = [n * num_frames // num_tokens for n in range(num_tokens)]
    return [(start, max(start + 1, (n + 1) * num_frames // num_tokens)) for n, start in enumerate(starts)]
