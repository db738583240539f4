from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from kaldi_arrays import DOUBLE, KaldiArrays
from tolerance import assert_close
from torch import Tensor

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features import fmllr
from asr_ligru.features.fmllr_adapt import Limits
from asr_ligru.hmm import ubm
from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.ubm import Progress, Ubm, UbmOptions

ALWAYS_FULL = Limits(identity_below=0, full_above=0)
DIM = 3
OPTIONS = UbmOptions(num_gauss=6, iterations=8, rounds=2, updates=2)


def speech(seed: int, count: int = 1500) -> tuple[Tensor, Tensor]:
    """Return frames of six sounds that a speaker of his own affine map makes, and which sound each frame is."""
    common = torch.Generator().manual_seed(11)
    means = 4 * torch.randn(6, DIM, generator=common)
    generator = torch.Generator().manual_seed(seed)
    sounds = torch.randint(6, (count,), generator=generator)
    frames = means[sounds] + torch.randn(count, DIM, generator=generator)
    mix = torch.eye(DIM) + 0.15 * torch.randn(DIM, DIM, generator=generator)
    return frames @ mix + torch.randn(DIM, generator=generator), sounds


@pytest.fixture(scope="module")
def speakers() -> list[list[Tensor]]:
    return [list(speech(seed)[0].split(100)) for seed in range(6)]


@pytest.fixture(scope="module")
def trained(speakers: list[list[Tensor]]) -> Ubm:
    return ubm.train(speakers, OPTIONS)


def kaldi_case(shared: Path) -> tuple[KaldiArrays, Ubm]:
    arrays = KaldiArrays(shared, "fmllr_small.npz")
    return arrays, Ubm(DiagGmm(*(arrays[f"gmm/{part}"].double() for part in ("weights", "means", "inv_vars"))))


def test_adapt_one_pass_equals_kaldi(shared: Path) -> None:
    arrays, model = kaldi_case(shared)
    names = ("jackson", "theo")
    found = model.adapt([[arrays[f"{name}/input_feats"]] for name in names], passes=1, limits=ALWAYS_FULL)
    for s, name in enumerate(names):
        expected = arrays[f"{name}/float64/full40_xform"]
        torch.testing.assert_close(found.transforms[s], expected, rtol=0, atol=DOUBLE * float(expected.abs().max()))
        assert_close(found.improvement[s], arrays[f"{name}/float64/full40_impr"])


def test_adapt_more_passes_go_on_from_the_transformed_frames(shared: Path) -> None:
    arrays, model = kaldi_case(shared)
    feats = arrays["theo/input_feats"]
    first = model.adapt([[feats]], passes=1, limits=ALWAYS_FULL)
    second = model.adapt([[fmllr.apply(first.transforms[0], feats.double())]], passes=1, limits=ALWAYS_FULL)
    both = model.adapt([[feats]], passes=2, limits=ALWAYS_FULL)
    assert_close(both.transforms, fmllr.compose(second.transforms, first.transforms))
    assert_close(both.improvement, first.improvement + second.improvement)
    again = model.adapt([[feats]], passes=1, limits=ALWAYS_FULL, start=first.transforms)
    assert_close(again.transforms, both.transforms)


def test_adapt_how_frames_are_cut_up_changes_nothing(trained: Ubm, monkeypatch: pytest.MonkeyPatch) -> None:
    feats, _ = speech(20)
    whole = trained.adapt([[feats]], passes=1)
    monkeypatch.setattr(ubm, "_CHUNK_FRAMES", 128)
    monkeypatch.setattr(fmllr, "BATCH", 1)
    pieces = trained.adapt([feats.split(7), feats.split(401)], passes=1)
    assert_close(pieces.transforms[0], whole.transforms[0])
    assert_close(pieces.transforms[1], whole.transforms[0])


def test_adapt_makes_an_unknown_speaker_like_the_others(trained: Ubm, speakers: list[list[Tensor]]) -> None:
    # Each Gaussian stands for a sound; an unknown speaker's sounds fall to the Gaussians they should fall to.
    known = trained.adapt(speakers)
    votes = torch.zeros(6, 6)
    for seed, transform in enumerate(known.transforms):
        _, sounds = speech(seed)
        nearest = nearest_gaussians(trained, torch.cat(speakers[seed]), transform)
        votes.index_put_((nearest, sounds), torch.ones(len(sounds)), accumulate=True)
    meaning = votes.argmax(1)
    correct = []
    for seed in range(20, 26):
        feats, sounds = speech(seed)
        found = trained.adapt([[feats]], limits=ALWAYS_FULL)
        for transform in (fmllr.identity(DIM), found.transforms[0]):
            correct.append((meaning[nearest_gaussians(trained, feats, transform)] == sounds).double().mean())
    before, after = torch.stack(correct).view(-1, 2).mean(0).tolist()
    assert 1 - after < 0.7 * (1 - before)


def nearest_gaussians(model: Ubm, feats: Tensor, transform: Tensor) -> Tensor:
    return model.gmm.posteriors(fmllr.apply(transform, feats.double()))[0].argmax(1)


def test_adapt_kinds_follow_the_number_of_frames(trained: Ubm) -> None:
    found = trained.adapt([[speech(30, count)[0]] for count in (40, 300, 2500)])
    assert found.kinds == ("none", "basis", "full")
    assert bool((found.improvement[1:] > 0).all())


def test_train_likelihood_rises_and_gaussians_grow(speakers: list[list[Tensor]]) -> None:
    seen: list[Progress] = []
    model = ubm.train(speakers, OPTIONS, seen.append)
    assert [p.iteration for p in seen] == list(range(1, 13))
    assert {p.iterations for p in seen} == {12}
    assert [p.num_gauss for p in seen] == sorted(p.num_gauss for p in seen)
    assert model.gmm.num_gauss == 6
    assert seen[-1].log_like > seen[7].log_like + 0.1 > seen[1].log_like
    assert_close(model.gmm.weights.sum(), torch.tensor(1.0).double())


def test_train_same_seed_gives_the_same_model(speakers: list[list[Tensor]], trained: Ubm) -> None:
    again = ubm.train([Reader(frames) for frames in speakers], OPTIONS)
    assert torch.equal(again.gmm.means, trained.gmm.means)
    loaded = Ubm.load(trained.tensors())
    feats = [speech(21)[0]]
    assert torch.equal(loaded.adapt([feats]).transforms, again.adapt([feats]).transforms)


class Reader:
    """Frames that are read anew each time."""

    def __init__(self, frames: list[Tensor]) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[Tensor]:
        return (feats.clone() for feats in self._frames)


def test_train_few_frames_get_few_gaussians() -> None:
    model = ubm.train([[speech(1, 70)[0]]], UbmOptions(num_gauss=64, iterations=4, rounds=0))
    assert model.gmm.num_gauss <= 3


def test_train_and_adapt_bad_input_is_an_error(trained: Ubm) -> None:
    feats, _ = speech(1, 200)
    with pytest.raises(DataError, match="no speaker has any frames"):
        ubm.train([[], [feats[:0]]])
    with pytest.raises(DataError, match=r"3 a frame: got an array of shape \(200, 2\)"):
        ubm.train([[feats], [feats[:, 1:]]], OPTIONS)
    with pytest.raises(DataError, match="NaN or infinity"):
        ubm.train([[feats], [feats / 0]], OPTIONS)
    with pytest.raises(DataError, match="NaN or infinity"):
        trained.adapt([[feats], [feats.log()]])
    with pytest.raises(ConfigError, match="expected 1 or more, got 0"):
        trained.adapt([[feats]], passes=0)
