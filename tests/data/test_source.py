"""Features of a corpus: the same with and without a cache, and every unusable utterance found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from asr_ligru.config import CorpusConfig, FeaturesConfig
from asr_ligru.data import audio, source
from asr_ligru.data.source import FeatureSource
from asr_ligru.features.augment import speed_samples
from asr_ligru.typing import Utterance
from tests.tiny_corpus import SAMPLE_RATE_HZ, say

FEATURES = FeaturesConfig(sample_rate_hz=SAMPLE_RATE_HZ, num_bins=12, cmvn="none")
CORPUS = CorpusConfig(max_seconds=30.0)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Return four utterances of two speakers: the first of each is soft."""
    folder = tmp_path_factory.mktemp("wav")
    made = []
    for number, words in enumerate((["ab"], ["cd", "ef"], ["gh"], ["ef", "ab", "gh"])):
        wav = say(words, number) * (0.1 if number < 2 else 1.0)
        audio.write(folder / f"{number}.wav", wav, SAMPLE_RATE_HZ)
        seconds = len(wav) / SAMPLE_RATE_HZ
        made.append(Utterance(f"u{number}", folder / f"{number}.wav", seconds, " ".join(words), f"s{number % 2}"))
    return made


def refuse(*args: object, **kwargs: object) -> NoReturn:
    raise AssertionError("the audio was read again")


@pytest.mark.parametrize("speed", [1.0, 0.9])
@pytest.mark.parametrize("cmvn", ["none", "utterance"])
def test_feats_cached_equal_uncached_bitwise(
    cmvn: str, speed: float, utterances: list[Utterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(FEATURES, cmvn=cmvn, deltas=1)
    plain, cached = FeatureSource(config, CORPUS), FeatureSource(config, CORPUS, tmp_path)
    expected = [plain.feats(u, speed) for u in utterances]
    first = [cached.feats(u, speed) for u in utterances]
    monkeypatch.setattr(source.audio, "read", refuse)
    again = [FeatureSource(config, CORPUS, tmp_path).feats(u, speed) for u in utterances]
    for number, feats in enumerate(expected):
        assert torch.equal(first[number], feats)
        assert torch.equal(again[number], feats)
        assert again[number].dtype == feats.dtype == torch.float32


def test_raw_cached_for_one_speed_stretch_or_channel_is_not_taken_for_another(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    long = utterances[3]
    requests = [(long, 1.0), (long, 1.1), (replace(long, offset_s=0.1, duration_s=0.5), 1.0)]
    plain, cached = FeatureSource(FEATURES, CORPUS), FeatureSource(FEATURES, CORPUS, tmp_path)
    for _ in range(2):
        for utterance, speed in requests:
            assert torch.equal(cached.raw(utterance, speed), plain.raw(utterance, speed))
    assert len(list(tmp_path.rglob("*.npy"))) == len(requests)


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_feats_speed_changes_their_number(speed: float, utterances: list[Utterance]) -> None:
    samples = speed_samples(audio.probe(utterances[3].audio_path).num_samples, speed)
    feats = FeatureSource(FEATURES, CORPUS).feats(utterances[3], speed)
    assert feats.shape == (1 + (samples - 200) // 80, 12)  # whole windows of 25 ms, 10 ms apart, at 8 kHz


def test_feats_of_a_stretch_equal_those_of_its_samples(utterances: list[Utterance], tmp_path: Path) -> None:
    wav = audio.read(utterances[3].audio_path)[1600:5600]
    audio.write(tmp_path / "cut.wav", wav, SAMPLE_RATE_HZ)
    features = FeatureSource(FEATURES, CORPUS)
    stretch = features.feats(replace(utterances[3], offset_s=0.2, duration_s=0.5))
    assert torch.equal(stretch, features.feats(Utterance("cut", tmp_path / "cut.wav", 0.5, "")))


def test_scan_finds_the_unusable_and_records_why(utterances: list[Utterance], tmp_path: Path) -> None:
    content = utterances[0].audio_path.read_bytes()
    (tmp_path / "half.wav").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.wav").write_bytes(b"")
    audio.write(tmp_path / "16k.wav", torch.zeros(16000), 16000)
    audio.write(tmp_path / "short.wav", torch.zeros(100), SAMPLE_RATE_HZ)
    names = ["half", "empty", "16k", "short", "absent"]
    bad_ones = [Utterance(name, tmp_path / f"{name}.wav", 0.01, "ab") for name in names]
    mixed = [utterances[0], *bad_ones[:3], *utterances[1:3], *bad_ones[3:], utterances[3]]
    ticks: list[int] = []
    features = FeatureSource(FEATURES, CORPUS)
    good, bad = features.scan(mixed, fit=False, tick=lambda: ticks.append(1))
    assert [u for u, _ in good] == utterances
    assert [frames for _, frames in good] == [len(features.feats(u)) for u in utterances]
    assert [b.utt_id for b in bad] == names
    assert [b.path for b in bad] == [str(u.audio_path) for u in bad_ones]
    assert {b.stage for b in bad} == {"audio"}
    assert all(b.reason and "\n" not in b.reason for b in bad)
    assert "16000 Hz, expected 8000 Hz" in bad[2].reason
    assert len(ticks) == len(mixed)


def test_scan_with_fit_normalises_by_the_mean_and_variance_of_the_usable(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    features = FeatureSource(replace(FEATURES, cmvn="global"), CORPUS, tmp_path)
    absent = Utterance("absent", tmp_path / "absent.wav", 1.0, "")
    features.scan([*utterances, absent], fit=True)
    features.scan(utterances[:1], fit=False)  # another set: it is normalised, not measured
    everything = torch.cat([features.feats(u) for u in utterances]).double()
    assert everything.mean(0).abs().max() < 1e-5
    assert (everything.var(0, unbiased=False) - 1).abs().max() < 1e-4


def test_scan_without_fit_still_knows_its_own_speakers(utterances: list[Utterance]) -> None:
    features = FeatureSource(replace(FEATURES, cmvn="speaker"), CORPUS)
    features.scan(utterances[:3:2], fit=True)  # speaker s0
    features.scan(utterances[1::2], fit=False)  # speaker s1
    for speaker in (0, 1):
        together = torch.cat([features.feats(u) for u in utterances[speaker::2]])
        assert together.mean(0).abs().max() < 1e-4
        assert features.feats(utterances[speaker]).mean(0).abs().max() > 0.1  # the soft one, beside its loud sibling
