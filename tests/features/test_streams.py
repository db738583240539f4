"""Several kinds of features in one frame: each as it is alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr_ligru.config import CorpusConfig, FeaturesConfig, StreamsConfig
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.features.frontend import Frontend
from asr_ligru.features.streams import StreamsFrontend, beside, with_streams
from asr_ligru.typing import Utterance
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus

FEATURES = FeaturesConfig(name="mfcc", sample_rate_hz=SAMPLE_RATE_HZ, num_bins=12, num_ceps=6, deltas=1, cmvn="global")
STREAMS = StreamsConfig(fbank=10, mfcc=14)


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    folder = write_corpus(tmp_path / "corpus", num_train=3)
    return [replace(u, speaker="s") for u in read_manifest(folder / "train.jsonl")]


def test_with_no_streams_is_the_front_end_itself() -> None:
    first = Frontend(FEATURES)
    assert with_streams(first, StreamsConfig()) is first


def test_streams_are_each_kind_as_it_is_alone(utterances: list[Utterance], tmp_path: Path) -> None:
    together = FeatureSource(FEATURES, CorpusConfig(), tmp_path / "cache", with_streams(Frontend(FEATURES), STREAMS))
    together.scan(utterances, fit=True)
    alone = [FeatureSource(config, CorpusConfig()) for config in (FEATURES, *beside(FEATURES, STREAMS))]
    for source in alone:
        source.scan(utterances, fit=True)
    for utterance in utterances:
        for speed in (1.0, 1.1):
            got = together.feats(utterance, speed)
            assert torch.equal(got, torch.cat([source.feats(utterance, speed) for source in alone], 1))
    assert together.frontend.size == together.frontend.inner_size == got.shape[1] == 12 + 10 + 14


def test_streams_state_goes_to_another_front_end(utterances: list[Utterance]) -> None:
    source = FeatureSource(FEATURES, CorpusConfig(), None, with_streams(Frontend(FEATURES), STREAMS))
    source.scan(utterances, fit=True)
    copy = with_streams(Frontend(FEATURES), STREAMS)
    copy.load_state_dict(source.frontend.state_dict())
    raw = source.raw(utterances[0])
    assert torch.equal(copy(raw), source.frontend(raw))
    with pytest.raises(DataError, match="expected 30 raw features"):
        copy(raw[:, :20])


def test_streams_of_speakers_are_normalised_by_speaker(utterances: list[Utterance]) -> None:
    config = FeaturesConfig(sample_rate_hz=SAMPLE_RATE_HZ, num_bins=12, cmvn="speaker")
    source = FeatureSource(config, CorpusConfig(), None, with_streams(Frontend(config), StreamsConfig(mfcc=6)))
    assert isinstance(source.frontend, StreamsFrontend)
    source.scan(utterances, fit=False)
    feats = torch.cat([source.feats(u) for u in utterances]).double()
    assert float(feats.mean(0).abs().max()) < 1e-4
    assert float((feats.var(0, correction=0) - 1).abs().max()) < 1e-3
