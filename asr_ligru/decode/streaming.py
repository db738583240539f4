"""Decode while somebody speaks: the network's state goes from chunk to chunk, and nothing is computed twice.

In the end the text is that of the whole recording decoded at once, by the best path. A word is shown as soon as the
frames that tell it are there: after the window of one frame, the frames on its right that splicing and differences
look at, the frames that are stacked into one, and the chunk that brings them (``Stream.latency_s``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor

from asr_ligru.data.audio_stream import BLOCK_S, live_blocks
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.recording import Stretch
from asr_ligru.decode.transcribe import segments
from asr_ligru.decode.transcript import Segment
from asr_ligru.errors import ConfigError
from asr_ligru.features.deltas import WINDOW
from asr_ligru.features.framing import Framing
from asr_ligru.models.ctc import CtcModel
from asr_ligru.models.load import LoadedModel
from asr_ligru.nn.recurrent import State


@dataclass(frozen=True, slots=True)
class Update:
    """What was heard so far since the last pause.

    Attributes:
        segment: its text, words and times, seconds from the beginning.
        final: whether a pause or the end came; it will not change any more.
    """

    segment: Segment
    final: bool


class LiveFeatures:
    """The network's input from samples that come in pieces, equal to that of the whole recording.

    Args:
        model: whose features.

    Attributes:
        context: frames on either side that a frame's features depend on.
    """

    def __init__(self, model: LoadedModel) -> None:
        config = model.config.features
        self._model, self._framing = model, Framing.of(config)
        self.context = config.splice + WINDOW * config.deltas
        self._samples = torch.zeros(0)
        self._raw = torch.zeros(0, model.frontend.raw_size)  # with the context of the frames to come
        self._past = 0  # frames of it that were returned

    def feed(self, wav: Tensor, last: bool) -> Tensor:
        """Return the frames (T, F) whose surroundings are known; T may be 0.

        Args:
            wav: (N,) further samples.
            last: nothing follows.
        """
        self._samples = torch.cat([self._samples, wav])
        count, shift = self._framing.num_frames(len(self._samples)), self._framing.shift
        if count:
            raw = self._model.frontend.extract(self._samples[: (count - 1) * shift + self._framing.window])
            self._raw, self._samples = torch.cat([self._raw, raw]), self._samples[count * shift :]
        ready = len(self._raw) - (0 if last else self.context)
        if ready <= self._past:
            return torch.zeros(0, self._model.frontend.size)
        feats = self._model.frontend(self._raw)[self._past : ready]
        dropped = max(0, ready - self.context)
        self._raw, self._past = self._raw[dropped:], ready - dropped
        return feats


class Stream:
    """One recording, decoded as it comes in.

    Args:
        model: with a network of one direction, and normalisation that needs no future.
        pause_s: a pause as long as this, seconds, makes what was said before final.

    Raises:
        ConfigError: the model cannot stream; the message names the setting.
    """

    def __init__(self, model: LoadedModel, pause_s: float = 1.0) -> None:
        self._network = _streaming_network(model)
        self._model = model
        self._decode = GreedyDecoder(model.tokenizer, model.temperature)
        self._features = LiveFeatures(model)
        self._pause = max(1, round(pause_s / model.frame_s))
        self._feats = torch.zeros(0, model.frontend.size)  # not yet stacked
        self._state: State | None = None
        self._log_probs = torch.zeros(0, model.tokenizer.vocab_size)  # since the last pause
        self._start = 0  # output frames before them
        self._shown = ""

    @property
    def latency_s(self) -> float:
        """Return the seconds from a sound to the text that it changes, computing left out."""
        features = self._model.config.features
        frames = self._features.context + self._network.stack.factor
        return (features.frame_length_ms + (frames - 1) * features.frame_shift_ms) / 1000 + BLOCK_S

    def feed(self, wav: Tensor, last: bool = False) -> Iterator[Update]:
        """Take further samples.

        Args:
            wav: (N,) at the model's sample rate; N may be 0.
            last: nothing follows.

        Yields:
            What is heard now, if that has changed.
        """
        self._feats = torch.cat([self._feats, self._features.feed(wav, last)])
        factor = self._network.stack.factor
        take = len(self._feats) if last else len(self._feats) // factor * factor
        if take:
            self._log_probs = torch.cat([self._log_probs, self._run(self._feats[:take])])
            self._feats = self._feats[take:]
        yield from self._heard(last)

    @torch.inference_mode()
    def _run(self, feats: Tensor) -> Tensor:
        x, lens = self._network.stack(feats[None], torch.tensor([len(feats)]))
        x, self._state = self._network.encoder(x, lens, self._state)
        return torch.log_softmax(self._network.head(x[0]).float(), dim=-1)

    def _heard(self, last: bool) -> Iterator[Update]:
        total = len(self._log_probs)
        spoken = self._log_probs.argmax(dim=-1).nonzero()
        quiet = total - (int(spoken[-1]) + 1 if len(spoken) else 0)
        final = last or quiet >= self._pause
        (result,) = self._decode(self._log_probs[None], torch.tensor([total])) if total else (None,)
        if result is not None and result.text and (final or result.text != self._shown):
            frame_s = self._model.frame_s
            stretch = Stretch(None, self._start * frame_s, (self._start + total) * frame_s, 0.0)
            yield Update(next(segments([(stretch, result)], frame_s)), final)
            self._shown = result.text
        if final:
            self._log_probs, self._start, self._shown = self._log_probs[total:], self._start + total, ""


def stream(
    model: LoadedModel, file: BinaryIO, *, raw_rate_hz: int | None = None, pause_s: float = 1.0
) -> Iterator[Update]:
    """Transcribe 16-bit audio from a pipe while it comes in.

    Args:
        model: as of ``Stream``.
        file: WAV, or samples without a header.
        raw_rate_hz: sample rate of mono samples without a header; None for WAV.
        pause_s: as of ``Stream``.

    Yields:
        What was heard since the last pause, each time that has changed.

    Raises:
        ConfigError: the model cannot stream.
        DataError: the audio is of another format, or there is none.
    """
    live = Stream(model, pause_s)
    for block in live_blocks(file, sample_rate_hz=model.config.features.sample_rate_hz, raw_rate_hz=raw_rate_hz):
        yield from live.feed(block)
    yield from live.feed(torch.zeros(0), last=True)


def _streaming_network(model: LoadedModel) -> CtcModel:
    config, network = model.config, model.network
    if not isinstance(network, CtcModel):
        raise _cannot("a hybrid model is decoded when everything has been said", "train with model=ctc")
    if not network.encoder.streams:
        raise _cannot("cell.bidirectional=true needs the end first", "train with cell.bidirectional=false")
    if config.features.name == "fmllr":
        raise _cannot("features=fmllr adapts to all of a speaker", "train with features=fbank40")
    if config.features.cmvn in ("utterance", "speaker"):
        fix = "train with features.cmvn=global or none"
        raise _cannot(f"features.cmvn={config.features.cmvn} needs the mean of the whole recording", fix)
    return network


def _cannot(why: str, fix: str) -> ConfigError:
    return ConfigError(f"this model cannot stream: {why}", fix=fix)
