"""What is said in an audio file, in seconds of that file."""

from __future__ import annotations

from dataclasses import dataclass

from asr_ligru.decode.result import Candidate


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word.

    Attributes:
        text: the word.
        start_s: where it begins in the file, seconds.
        end_s: where it ends, > start_s.
        confidence: probability that it is right, in [0, 1].
    """

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a file that was decoded as one.

    Attributes:
        start_s: where it begins in the file, seconds.
        end_s: where it ends.
        text: the words, separated by single spaces; may be empty.
        words: the same with times.
        confidence: geometric mean of the words'; 1 without words.
        score: natural-log score, summed over frames.
        n_best: different readings, the best first.
        channel: the file's channel it comes from, counted from 0; None for all mixed.
    """

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    confidence: float
    score: float
    n_best: tuple[Candidate, ...]
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that is said in a file.

    Attributes:
        source: the file as the user named it, "-" for standard input.
        duration_s: of the audio, seconds.
        segments: in order of time; empty where nothing was heard or the file failed.
        status: "ok", or why there is no text, in words.
    """

    source: str
    duration_s: float
    segments: tuple[Segment, ...] = ()
    status: str = "ok"

    @property
    def text(self) -> str:
        """Return the segments' texts, separated by single spaces."""
        return " ".join(s.text for s in self.segments if s.text)
