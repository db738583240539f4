from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from asr_ligru.config import FeaturesConfig, build
from asr_ligru.errors import DataError
from asr_ligru.features.deltas import add_deltas
from asr_ligru.features.frontend import Frontend
from asr_ligru.features.splice import splice
from asr_ligru.resources import folder

from .conftest import UTTERANCES, wav

MFCC: dict[str, Any] = {"name": "mfcc", "num_bins": 23, "num_ceps": 13}
SPEAKER_OF = {UTTERANCES[0]: "spkA", UTTERANCES[1]: "spkA", UTTERANCES[2]: "spkB"}
SIZES = {"fbank40": 40, "fbank80": 80, "mfcc": 39, "mfcc40hires": 40, "fbank40_8k": 40, "mfcc_8k": 39}


def corpus(kaldi: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    yield from ((speaker, kaldi[f"8k/mfcc_default/{utterance}"]) for utterance, speaker in SPEAKER_OF.items())


@pytest.mark.parametrize(("name", "variance"), [("cmvn_spk_mean", False), ("cmvn_spk_meanvar", True)])
def test_frontend_speaker_normalisation_equals_kaldi(kaldi: Mapping[str, Tensor], name: str, variance: bool) -> None:
    frontend = Frontend(FeaturesConfig(**MFCC, cmvn="speaker", cmvn_variance=variance))
    frontend.fit(corpus(kaldi))
    for utterance, speaker in SPEAKER_OF.items():
        feats = frontend(kaldi[f"8k/mfcc_default/{utterance}"], speaker)
        torch.testing.assert_close(feats, kaldi[f"8k/post/{name}/{utterance}"], rtol=1e-5, atol=1e-5)


def test_frontend_order_is_cmvn_deltas_splice(kaldi: Mapping[str, Tensor]) -> None:
    frontend = Frontend(FeaturesConfig(**MFCC, cmvn="speaker", deltas=2, splice=4))
    frontend.fit(corpus(kaldi))
    for utterance, speaker in SPEAKER_OF.items():
        feats = frontend(kaldi[f"8k/mfcc_default/{utterance}"], speaker)
        expected = splice(add_deltas(kaldi[f"8k/post/cmvn_spk_meanvar/{utterance}"], 2), 4, 4)
        assert feats.shape[1] == frontend.size == 13 * 3 * 9
        torch.testing.assert_close(feats, expected, rtol=1e-5, atol=1e-5)


def test_frontend_without_cmvn_equals_kaldi_deltas(kaldi: Mapping[str, Tensor]) -> None:
    frontend = Frontend(FeaturesConfig(**MFCC, cmvn="none", deltas=2))
    for utterance in UTTERANCES:
        feats = frontend(kaldi[f"8k/mfcc_default/{utterance}"])
        torch.testing.assert_close(feats, kaldi[f"8k/post/add_deltas/{utterance}"], rtol=1e-5, atol=1e-5)


def test_frontend_unknown_speaker_is_normalised_by_the_utterance(kaldi: Mapping[str, Tensor]) -> None:
    raw = kaldi[f"8k/mfcc_default/{UTTERANCES[0]}"]
    by_speaker, by_utterance = (Frontend(FeaturesConfig(**MFCC, cmvn=cmvn)) for cmvn in ("speaker", "utterance"))
    by_speaker.fit([("", raw), *corpus(kaldi)])
    assert torch.equal(by_speaker(raw, "spkC"), by_utterance(raw))
    assert torch.equal(by_speaker(raw), by_utterance(raw))
    assert not torch.allclose(by_speaker(raw, "spkA"), by_utterance(raw))


def test_frontend_speakers_of_another_corpus_are_added_and_retaken(kaldi: Mapping[str, Tensor]) -> None:
    raw = kaldi[f"8k/mfcc_default/{UTTERANCES[0]}"]
    frontend = Frontend(FeaturesConfig(**MFCC, cmvn="speaker"))
    frontend.fit([("a", raw), ("b", raw[:10])])
    known = frontend(raw, "a")
    frontend.add_speakers([("b", raw)])
    assert torch.equal(frontend(raw, "a"), known)
    assert torch.equal(frontend(raw, "b"), known)


def test_frontend_global_statistics_are_of_all_frames_and_survive_saving(kaldi: Mapping[str, Tensor]) -> None:
    config = FeaturesConfig(**MFCC, cmvn="global")
    frontend, loaded = Frontend(config), Frontend(config)
    frontend.fit(corpus(kaldi))
    loaded.load_state_dict(frontend.state_dict())
    raws = [raw for _, raw in corpus(kaldi)]
    frames = torch.cat([frontend(raw) for raw in raws])
    expected = torch.nn.functional.batch_norm(torch.cat(raws).double(), None, None, training=True, eps=1e-12).float()
    torch.testing.assert_close(frames, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(torch.cat([loaded(raw) for raw in raws]), frames)


def test_frontend_global_statistics_do_not_follow_another_corpus(kaldi: Mapping[str, Tensor]) -> None:
    frontend = Frontend(FeaturesConfig(**MFCC, cmvn="global"))
    frontend.fit(corpus(kaldi))
    before = frontend.state_dict()
    frontend.add_speakers([("x", torch.rand(9, 13))])
    assert torch.equal(frontend.state_dict()["cmvn.global"], before["cmvn.global"])


def test_frontend_global_without_statistics_is_refused() -> None:
    frontend = Frontend(FeaturesConfig(cmvn="global"))
    with pytest.raises(DataError, match="no global CMVN statistics"):
        frontend(torch.rand(9, 40))
    with pytest.raises(DataError, match="no features"):
        frontend.fit([])
    for state in ({}, {"cmvn.global": torch.zeros(2, 14)}):
        with pytest.raises(DataError, match=r"expected shape \(2, 41\)"):
            frontend.load_state_dict(state)


@pytest.mark.parametrize("cmvn", ["utterance", "none"])
def test_frontend_that_needs_no_corpus_reads_none(cmvn: str) -> None:
    frontend = Frontend(FeaturesConfig(cmvn=cmvn))
    corpus = iter([("a", torch.rand(9, 40))])
    frontend.fit(corpus)
    assert not frontend.needs_fit
    assert frontend.state_dict() == {}
    assert len(list(corpus)) == 1


@pytest.mark.parametrize("cmvn", ["utterance", "speaker", "none"])
def test_frontend_silence_and_single_frames_stay_finite(cmvn: str) -> None:
    frontend = Frontend(FeaturesConfig(cmvn=cmvn, deltas=2, splice=2))
    for samples in (400, 16000):
        feats = frontend(frontend.extract(torch.zeros(samples)))
        assert feats.isfinite().all()
        assert feats.dtype == torch.float32
        assert cmvn == "none" or (feats == 0).all()


def test_frontend_copy_for_another_process_gives_the_same(kaldi: Mapping[str, Tensor]) -> None:
    frontend = Frontend(FeaturesConfig(**MFCC, cmvn="speaker", sample_rate_hz=8000))
    frontend.fit(corpus(kaldi))
    copy: Frontend = pickle.loads(pickle.dumps(frontend))
    samples = wav(kaldi, "8k", UTTERANCES[2])
    assert torch.equal(copy(copy.extract(samples), "spkB"), frontend(frontend.extract(samples), "spkB"))


def test_frontend_features_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match="expected 40 raw features in a frame, got 39"):
        Frontend(FeaturesConfig())(torch.rand(5, 39))


def test_frontend_every_yaml_file_builds_with_its_size() -> None:
    sizes = {}
    for path in (folder("conf") / "features").glob("*.yaml"):
        tree: Any = OmegaConf.to_container(OmegaConf.load(path))
        config = build(FeaturesConfig, tree)
        if config.name != "fmllr":  # its size is that of the GMM-HMM's projection
            sizes[path.stem] = Frontend(config).size
        assert config.sample_rate_hz == (8000 if path.stem.endswith("_8k") else 16000)
    assert sizes == SIZES
