"""Words from the tied states of a hybrid model: every path through the lexicon is compared, none is pruned."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from asr_ligru.decode.result import Candidate, Result, TimedWord
from asr_ligru.hmm.decode_words import SearchOptions, Spoken
from asr_ligru.hmm.hybrid import HybridHmm


class WordDecoder:
    """Decodes with any sequence of the lexicon's words.

    Args:
        hmm: words, phones and states.
        options: what is weighed.
        temperature: what makes confidences as high as the decoder is right, > 0; see ``train.calibration``.

    Attributes:
        loop: the search.
    """

    def __init__(self, hmm: HybridHmm, options: SearchOptions, temperature: float = 1.0) -> None:
        self._hmm, self._temperature = hmm, temperature
        self.loop = hmm.loop(options)

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        """Decode a batch.

        Args:
            log_probs: (B, T, P) natural log.
            log_prob_lens: (B,) frames.
            n_best: the best reading is all there is.

        Returns:
            B results. A word's confidence is the mean probability of its phones in the frames it is aligned with.
        """
        return self.readings(log_probs, log_prob_lens, [self._temperature])[0]

    def readings(self, log_probs: Tensor, log_prob_lens: Tensor, temperatures: Sequence[float]) -> list[list[Result]]:
        """Decode a batch once, and return its results for each temperature; they differ in confidences alone."""
        rows = [row[:length] for row, length in zip(log_probs, log_prob_lens.tolist(), strict=True)]
        found = self.loop.decode(self._hmm.states, rows)
        return [[self._result(s, row, t) for s, row in zip(found, rows, strict=True)] for t in temperatures]

    def _result(self, spoken: Spoken | None, log_probs: Tensor, temperature: float) -> Result:
        if spoken is None:
            return Result("", 0.0, (), (Candidate("", 0.0),))
        alignment = spoken.alignment
        phones = log_probs.new_zeros(len(log_probs), self._hmm.num_phones)
        phones.index_add_(1, self._hmm.phone_of_state, (log_probs / temperature).softmax(1))
        sure = phones.gather(1, alignment.phone_of_frame[:, None])[:, 0].clamp(max=1.0)
        words = tuple(
            TimedWord(spoken.words[span.label], span.first, span.end, float(sure[span.first : span.end].mean()))
            for span in alignment.word_spans()
        )
        text = " ".join(spoken.words)
        return Result(text, alignment.score, words, (Candidate(text, alignment.score),))
