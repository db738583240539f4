"""Changes of samples: decided by (seed, epoch, utterance) alone, each independent of the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.config import AugmentConfig
from asr_ligru.data import audio
from asr_ligru.data.distort import NO_CHANGES, Distortion, distortion_of
from asr_ligru.errors import ConfigError
from asr_ligru.features.tempo import tempo_samples

RATE_HZ = 8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sounds")
    for n in range(3):
        noise = 0.1 * torch.randn(6000 + n, generator=torch.Generator().manual_seed(n))
        audio.write(made / f"{n}.wav", noise, RATE_HZ)
    return made


@pytest.fixture
def config(folder: Path) -> AugmentConfig:
    return AugmentConfig(
        tempo=(0.9, 1.1),
        volume_db=(-10.0, 3.0),
        noise_prob=0.7,
        noise_dir=str(folder),
        room_prob=0.6,
        room_dir=str(folder),
        codec_prob=0.5,
        codecs=("mulaw", "gsm", "mp3"),
        telephone_prob=0.4,
    )


def wav() -> torch.Tensor:
    return 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(9))


def heard(distortion: Distortion, epoch: int, utt_id: str) -> torch.Tensor:
    return distortion.draw(epoch, utt_id)(wav(), RATE_HZ)


def test_draw_is_decided_by_seed_epoch_and_utterance(config: AugmentConfig) -> None:
    first, again = Distortion(config, RATE_HZ, 1), Distortion(config, RATE_HZ, 1)
    asked = [(epoch, utt_id) for epoch in (1, 2) for utt_id in ("a", "b", "c")]
    found = {key: heard(first, *key) for key in asked}
    torch.manual_seed(5)
    assert all(torch.equal(heard(again, *key), found[key]) for key in reversed(asked))
    other = Distortion(config, RATE_HZ, 2)
    assert not any(torch.equal(heard(other, *key), found[key]) for key in asked)
    changes = first.draw(1, "a")
    assert torch.equal(changes(wav(), RATE_HZ), changes(wav(), RATE_HZ))


ALONE: dict[str, dict[str, Any]] = {
    "tempo": {"tempo": (0.9, 1.1)},
    "volume": {"volume_db": (-10.0, 3.0)},
    "noise": {"noise_prob": 0.7},
    "room": {"room_prob": 0.6},
    "codec": {"codec_prob": 0.5, "codecs": ("mulaw", "gsm", "mp3")},
    "telephone": {"telephone_prob": 0.4},
}


@pytest.mark.parametrize("left_out", ALONE)
def test_draw_each_change_is_independent_of_the_others(left_out: str, config: AugmentConfig) -> None:
    # All without one are what each alone draws, one after another.
    folders = AugmentConfig(noise_dir=config.noise_dir, room_dir=config.room_dir)
    default = {key: getattr(AugmentConfig(), key) for key in ALONE[left_out]}
    most = Distortion(replace(config, **default), RATE_HZ, 1)
    order = [name for name in ("tempo", "room", "noise", "volume", "codec", "telephone") if name != left_out]
    alone = [Distortion(replace(folders, **ALONE[name]), RATE_HZ, 1) for name in order]
    for utt_id in ("a", "b", "c", "d"):
        expected = wav()
        for each in alone:
            expected = each.draw(3, utt_id)(expected, RATE_HZ)
        assert torch.equal(heard(most, 3, utt_id), expected)


def test_draw_happens_as_often_as_asked_for(config: AugmentConfig) -> None:
    one = Distortion(AugmentConfig(codec_prob=0.3, tempo=(0.9, 1.0, 1.1)), RATE_HZ, 1)
    drawn = [one.draw(epoch, "a") for epoch in range(2000)]
    assert abs(sum(len(changes.steps) for changes in drawn) - 600) < 100  # five standard deviations
    assert all(abs(count - 667) < 110 for count in Counter(changes.tempo for changes in drawn).values())


def test_changes_length_is_that_of_the_tempo(config: AugmentConfig) -> None:
    distortion = Distortion(config, RATE_HZ, 1)
    for epoch in range(8):
        changes = distortion.draw(epoch, "a")
        out = changes(wav(), RATE_HZ)
        assert len(out) == tempo_samples(4000, changes.tempo)
        assert out.isfinite().all()
        assert out.abs().max() <= 1


def test_changes_without_any_leave_the_samples_alone() -> None:
    same = wav()
    assert not NO_CHANGES
    assert NO_CHANGES(same, RATE_HZ) is same
    assert not Distortion(AugmentConfig(), RATE_HZ, 1).draw(1, "a")
    assert distortion_of(AugmentConfig(speed=(0.9, 1.1), time_masks=2), RATE_HZ, 1) is None
    assert distortion_of(AugmentConfig(telephone_prob=0.1), RATE_HZ, 1) is not None


def test_rooms_without_a_folder_are_simulated_and_the_same_ones_again() -> None:
    pytest.importorskip("pyroomacoustics")
    config = AugmentConfig(room_prob=1.0, room_rt60_s=(0.1, 0.15))
    found = [heard(Distortion(config, RATE_HZ, 1), 1, utt_id) for utt_id in ("a", "b", "a")]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], wav())


def test_noise_without_a_folder_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="noise_prob") as caught:
        Distortion(AugmentConfig(noise_prob=0.5), RATE_HZ, 1)
    assert "noise_dir" in caught.value.fix
