"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks removed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asr_ligru.decode.prefixes import best_prefixes
from asr_ligru.decode.result import Candidate, Result, TimedWord
from asr_ligru.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class BestPath:
    """The best path of one utterance.

    Attributes:
        tokens: what it emits.
        score: natural-log probability of the path, summed over frames.
        confidences: of each token, its highest probability over the frames that emit it.
        spans: of each token, the first frame that emits it and the frame after the last.
    """

    tokens: list[int]
    score: float
    confidences: list[float]
    spans: list[tuple[int, int]]


def best_paths(
    log_probs: Tensor, log_prob_lens: Tensor, blank_id: int = 0, *, temperature: float = 1.0
) -> list[BestPath]:
    """Decode a batch.

    Args:
        log_probs: (B, T', V) natural log.
        log_prob_lens: (B,) frames.
        blank_id: the blank's id.
        temperature: what the log probabilities are divided by for confidences, > 0; tokens and score stay.

    Returns:
        B paths.
    """
    scores, best = log_probs.max(dim=-1)
    sure = scores if temperature == 1.0 else scores / temperature - (log_probs / temperature).logsumexp(dim=-1)
    rows = zip(scores.cpu(), sure.float().exp().cpu(), best.cpu(), log_prob_lens.tolist(), strict=True)
    return [_path(row_scores[:n], row_sure[:n], row[:n], blank_id) for row_scores, row_sure, row, n in rows]


def _path(scores: Tensor, sure: Tensor, best: Tensor, blank_id: int) -> BestPath:
    merged, part, counts = torch.unique_consecutive(best, return_inverse=True, return_counts=True)
    peaks = torch.zeros(len(merged)).scatter_reduce(0, part, sure, "amax")
    emitted = merged != blank_id
    ends = counts.cumsum(0)
    spans = torch.stack([ends - counts, ends], dim=1)[emitted]
    return BestPath(
        merged[emitted].tolist(),
        float(scores.sum()),
        peaks[emitted].tolist(),
        [(start, end) for start, end in spans.tolist()],
    )


class GreedyDecoder:
    """Read the best path as words.

    Args:
        tokenizer: the output units.
        temperature: what makes confidences as high as the model is right, > 0; see ``train.calibration``.
    """

    def __init__(self, tokenizer: Tokenizer, temperature: float = 1.0) -> None:
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        """Decode a batch; see ``decode.result.Decoder``."""
        results = [self._result(path) for path in best_paths(log_probs, log_prob_lens, temperature=self._temperature)]
        if n_best == 1:
            return results
        rows = zip(results, log_probs, log_prob_lens.tolist(), strict=True)
        return [replace(result, n_best=self._others(result, row[:length], n_best)) for result, row, length in rows]

    def _result(self, path: BestPath) -> Result:
        words = timed_words(self._tokenizer, path)
        text = " ".join(word.text for word in words)
        return Result(text, path.score, words, (Candidate(text, path.score),))

    def _others(self, result: Result, log_probs: Tensor, n_best: int) -> tuple[Candidate, ...]:
        """Return the readings, this one first; of those that differ in nothing but spaces the best counts."""
        texts = {result.text: result.score}
        for tokens, score in best_prefixes(log_probs, beam=max(16, 4 * n_best)):
            texts.setdefault(self._tokenizer.decode(tokens), score)
        return tuple(Candidate(*item) for item in list(texts.items())[:n_best])


def timed_words(tokenizer: Tokenizer, path: BestPath) -> tuple[TimedWord, ...]:
    """Return the words of a path; each lasts from its first token's first frame to its last one's end.

    A word is as sure as the least sure of its tokens.
    """
    return tuple(
        TimedWord(
            word.text,
            path.spans[word.start][0],
            path.spans[word.end - 1][1],
            min(path.confidences[word.start : word.end]),
        )
        for word in tokenizer.words(path.tokens)
    )
