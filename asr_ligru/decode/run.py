"""Decode utterances with a loaded model: every one gets a hypothesis, a bad one an empty one and its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from asr_ligru.config import CorpusConfig
from asr_ligru.data import audio
from asr_ligru.data.batching import BatchPlan
from asr_ligru.data.parts import whole_speakers
from asr_ligru.decode.choose import make_decoder
from asr_ligru.decode.result import Decoder, Result
from asr_ligru.errors import DataError
from asr_ligru.models.load import LoadedModel
from asr_ligru.typing import Hypothesis, Utterance

_HOURS_AT_ONCE = 2.0  # of speech, whose features and those of each speaker are held: some 250 MB


@dataclass
class Timing:
    """What decoding cost.

    Attributes:
        audio_s: seconds of audio decoded.
        wall_s: seconds it took, reading and features included.
    """

    audio_s: float = 0.0
    wall_s: float = 0.0

    @property
    def rtf(self) -> float:
        """Return the real-time factor: seconds of work for each second of audio."""
        return self.wall_s / self.audio_s if self.audio_s else 0.0


def decode_utterances(
    model: LoadedModel,
    utterances: Sequence[Utterance],
    *,
    decoder: Decoder | None = None,
    reading: CorpusConfig | None = None,
    batch_frames: int = 24000,
    tick: Callable[[], object] = lambda: None,
) -> tuple[list[Hypothesis], Timing]:
    """Decode in batches of similar length.

    Args:
        model: what decodes.
        utterances: what to decode, each with an id of its own.
        decoder: from log probabilities to words; that of ``make_decoder`` when omitted.
        reading: how audio is opened; by default as in the model's training.
        batch_frames: most frames in a padded batch.
        tick: called after each utterance, for a progress bar.

    Returns:
        Hypotheses in the order of ``utterances``, and the time it took.
    """
    decoder, reading = decoder or make_decoder(model), reading or model.config.corpus
    plan = BatchPlan(batch_frames, max_batch_size=64)
    timing = Timing()
    started = time.monotonic()
    found: dict[str, Hypothesis] = {}
    for part in whole_speakers(utterances, _HOURS_AT_ONCE):
        for hyp in _decode_part(model, part, decoder, reading, plan, timing):
            found[hyp.utt_id] = hyp
            tick()
    timing.wall_s = time.monotonic() - started
    return [found[utterance.utt_id] for utterance in utterances], timing


def _decode_part(
    model: LoadedModel,
    utterances: Sequence[Utterance],
    decoder: Decoder,
    reading: CorpusConfig,
    plan: BatchPlan,
    timing: Timing,
) -> Iterator[Hypothesis]:
    """Yield the hypotheses of utterances whose features are held together, the bad ones' first."""
    read: list[tuple[Utterance, Tensor]] = []
    for utterance in utterances:
        try:
            read.append((utterance, _read(model, utterance, reading)))
            timing.audio_s += utterance.duration_s
        except DataError as error:
            yield Hypothesis(utterance.utt_id, "", status=error.what)
    model.frontend.add_speakers((utterance.speaker, raw) for utterance, raw in read)
    feats = [model.frontend(raw, utterance.speaker) for utterance, raw in read]
    for batch in plan.batches([len(own) for own in feats], epoch=0):
        results = decode_feats(model, [feats[i] for i in batch], decoder)
        for index, result in zip(batch, results, strict=True):
            yield Hypothesis(read[index][0].utt_id, result.text, result.score)


def decode_feats(model: LoadedModel, feats: Sequence[Tensor], decoder: Decoder, n_best: int = 1) -> list[Result]:
    """Return the reading of each of B feature matrices (T, F), and up to ``n_best`` - 1 others."""
    return decoder(*model.log_probs(feats), n_best)


def _read(model: LoadedModel, utterance: Utterance, reading: CorpusConfig) -> Tensor:
    wav = audio.read(
        utterance.audio_path,
        offset_s=utterance.offset_s,
        duration_s=utterance.duration_s,
        sample_rate_hz=model.config.features.sample_rate_hz,
        resample=reading.resample,
        channel=reading.channel,
        max_seconds=reading.max_seconds,
    )
    return model.frontend.extract(wav)
