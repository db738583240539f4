"""From a recording of any length to segments with text and times, in memory that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from asr_ligru.data.audio_blocks import Source
from asr_ligru.decode.batches import decode_all
from asr_ligru.decode.recording import Recording, Settings, Stretch
from asr_ligru.decode.result import Candidate, Decoder, Result, TimedWord
from asr_ligru.decode.speakers import adapt
from asr_ligru.decode.transcript import Segment, Word
from asr_ligru.errors import AsrLigruError
from asr_ligru.models.load import LoadedModel

_SHORTEST_S = 0.001  # of a word
_SAME_WORD_S = 0.5  # as far apart may the middles of one word lie that was recognised twice


def transcribe(
    model: LoadedModel,
    source: Source,
    *,
    decoder: Decoder | None = None,
    n_best: int = 1,
    channel: str = "mix",
    raw_rate_hz: int | None = None,
    speaker: str = "",
) -> Iterator[Segment]:
    """Transcribe one recording of any length.

    What is not much longer than the utterances of the model's training is decoded as a whole, the rest cut at silences.
    Where nobody pauses, two pieces overlap and are joined at a word that both have.

    Args:
        model: what decodes.
        source: an audio file of any format, rate and number of channels, or an open binary stream.
        decoder: from log probabilities to words; None for greedy.
        n_best: readings of each segment, >= 1; where pieces were joined there is one.
        channel: "mix" averages the channels, "0", "1", ... picks one, "split" decodes each.
        raw_rate_hz: sample rate of a recording without a header, 16-bit mono, low byte first; None refuses it.
        speaker: who speaks, for models that adapt to speakers; empty when unknown.

    Yields:
        Segments, those of one channel in the order of time, as soon as they are known. Times are the recording's.

    Raises:
        DataError: the recording cannot be read, or no longer; what was yielded before is sound.
        ConfigError: ``channel`` is no known choice.
        EnvironmentError_: out of memory, or the format needs the ``media`` extra.
    """
    settings = Settings(decoder, n_best, channel, raw_rate_hz)
    if speaker and not hasattr(source, "read"):  # a stream is there once only
        adapt(model, speaker, [Recording(model, source, settings)])
    recording = Recording(model, source, settings, speaker)

    def results() -> Iterator[tuple[Stretch, Result]]:
        for stretch, result in decode_all(model, recording.feats(), settings):
            if isinstance(result, AsrLigruError):
                raise result
            if result is not None:
                yield stretch, result

    yield from segments(results(), model.frame_s)


def segments(heard: Iterable[tuple[Stretch, Result]], frame_s: float) -> Iterator[Segment]:
    """Turn results into segments, those of pieces that overlap without what both have.

    Args:
        heard: pieces of one recording, those of one channel in order.
        frame_s: seconds from one output frame to the next.

    Yields:
        A segment for each piece; one of each channel waits for what follows it.
    """
    waiting: dict[int | None, Segment] = {}
    for stretch, result in heard:
        segment = _segment(stretch, result, frame_s)
        before = waiting.get(stretch.channel)
        if before is not None:
            if stretch.overlap_s:
                before, segment = _apart(before, segment)
            yield before
        waiting[stretch.channel] = segment
    yield from waiting.values()


def _segment(stretch: Stretch, result: Result, frame_s: float) -> Segment:
    words = tuple(_word(stretch, word, frame_s) for word in result.words)
    return Segment(
        start_s=stretch.start_s,
        end_s=stretch.end_s,
        text=result.text,
        words=words,
        confidence=_mean(words),
        score=result.score,
        n_best=result.n_best,
        channel=stretch.channel,
    )


def _word(stretch: Stretch, word: TimedWord, frame_s: float) -> Word:
    start_s = stretch.start_s + word.start * frame_s
    end_s = min(stretch.end_s, stretch.start_s + word.end * frame_s)  # the last frames may be filled up
    return Word(word.text, start_s, max(end_s, start_s + _SHORTEST_S), word.confidence)


def _mean(words: tuple[Word, ...]) -> float:
    """Return the geometric mean of the words' confidences; 1 without words."""
    logs = [math.log(max(word.confidence, 1e-30)) for word in words]
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


def _apart(left: Segment, right: Segment) -> tuple[Segment, Segment]:
    """Divide what two segments heard of the same stretch: at a word both have, or in the middle."""
    middle_s = (right.start_s + left.end_s) / 2
    same = [
        (abs(_middle_s(a) - middle_s), i + 1, j + 1, a.end_s)
        for i, a in enumerate(left.words)
        for j, b in enumerate(right.words)
        if a.text == b.text and abs(_middle_s(a) - _middle_s(b)) <= _SAME_WORD_S
    ]
    if same:
        _, i, j, cut_s = min(same)
    else:
        cut_s = middle_s
        i = sum(_middle_s(word) < cut_s for word in left.words)
        j = sum(_middle_s(word) < cut_s for word in right.words)
    return _part(left, left.words[:i], left.start_s, cut_s), _part(right, right.words[j:], cut_s, right.end_s)


def _middle_s(word: Word) -> float:
    return (word.start_s + word.end_s) / 2


def _part(segment: Segment, words: tuple[Word, ...], start_s: float, end_s: float) -> Segment:
    text = " ".join(word.text for word in words)
    n_best = (Candidate(text, segment.score),)
    return replace(
        segment, start_s=start_s, end_s=end_s, text=text, words=words, confidence=_mean(words), n_best=n_best
    )
