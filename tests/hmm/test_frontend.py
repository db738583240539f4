"""``features=fmllr``: a run trains the GMM-HMM it needs, and its model folder decodes new files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asr_ligru import cli
from asr_ligru.config import FeaturesConfig
from asr_ligru.data import audio
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.cmvn import CmvnStats
from asr_ligru.hmm.frontend import FmllrFrontend, make_frontend
from asr_ligru.models.load import LoadedModel, load_model
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, say, write_corpus

SETTINGS = (
    *(o for o in OVERRIDES if not o.startswith("features")),
    "features=fmllr",
    f"features.sample_rate_hz={SAMPLE_RATE_HZ}",
    "hmm.lda_dim=6",
    *(f"hmm.{stage}_gauss=60" for stage in ("mono", "tri", "lda", "sat")),
)


def train(folder: Path, name: str, *more: str) -> int:
    folders = (f"corpus.dir={folder / 'corpus'}", f"exp_dir={folder / name}")
    return cli.main(["train", *SETTINGS, *folders, "train.epochs=1", *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the corpus of tones and a finished run on it."""
    folder = tmp_path_factory.mktemp("run")
    write_corpus(folder / "corpus")
    assert train(folder, "exp") == 0
    return folder


@pytest.fixture
def model(folder: Path) -> LoadedModel:
    """Return the run's model."""
    return load_model(folder / "exp")


def test_fmllr_run_is_recorded_and_its_gmm_is_trained_once(folder: Path) -> None:
    record = json.loads((folder / "exp" / "run.json").read_text(encoding="utf-8"))
    assert (record["features"], record["status"]) == ("fmllr", "done")
    (system,) = (folder / "corpus" / "fmllr").iterdir()
    path = system / "sat" / "model.safetensors"
    before = path.stat().st_mtime_ns
    assert train(folder, "again", "seed=2") == 0
    assert path.stat().st_mtime_ns == before


def test_fmllr_frontend_speaker_is_normalised_after_the_transform(model: LoadedModel) -> None:
    raws = [model.frontend.extract(say(words, seed)) for seed, words in enumerate([["ab", "cd"], ["ef", "gh", "ab"]])]
    model.frontend.add_speakers([("new", raw) for raw in raws])
    feats = [model.frontend(raw, "new") for raw in raws]
    assert {part.shape[1] for part in feats} == {model.frontend.size} == {6}
    together = torch.cat(feats).double()
    assert float(together.mean(0).abs().max()) < 1e-4
    assert float((together.var(0, correction=0) - 1).abs().max()) < 1e-3


def test_fmllr_frontend_unknown_speaker_is_adapted_alone(model: LoadedModel) -> None:
    raw = model.frontend.extract(say(["ab", "gh"], seed=5))
    alone = model.frontend(raw)
    model.frontend.add_speakers([("someone", raw)])
    assert torch.allclose(alone, model.frontend(raw, "someone"), atol=1e-5)
    stats = CmvnStats.of(alone)
    assert stats.table.isfinite().all()


def test_fmllr_model_folder_decodes_a_new_file(folder: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "new.wav", say(["cd", "ab"], seed=9), SAMPLE_RATE_HZ)
    assert cli.main(["decode", str(folder / "exp"), str(tmp_path / "new.wav")]) == 0


def test_fmllr_frontend_state_read_back_gives_the_same_features(model: LoadedModel) -> None:
    again = make_frontend(model.config.features)
    again.load_state_dict(model.frontend.state_dict())
    raw = model.frontend.extract(say(["ef"], seed=3))
    assert torch.equal(again(raw), model.frontend(raw))


def test_fmllr_frontend_without_state_or_speakers_is_refused(model: LoadedModel) -> None:
    config = model.config.features
    raw = model.frontend.extract(say(["ef"], seed=3))
    with pytest.raises(DataError, match="no GMM-HMM"):
        FmllrFrontend(config)(raw)
    with pytest.raises(DataError, match="no GMM-HMM"):
        FmllrFrontend(config).load_state_dict({})
    with pytest.raises(DataError, match="without speaker"):
        model.frontend.fit([("a", raw), ("", raw)])
    with pytest.raises(ConfigError, match="cmvn"):
        FmllrFrontend(FeaturesConfig(name="fmllr", cmvn="global"))


def test_fmllr_with_streams_is_recorded_and_decodes_a_new_file(folder: Path, tmp_path: Path) -> None:
    assert train(folder, "streams", "streams.fbank=8", "streams.mfcc=6") == 0
    record = json.loads((folder / "streams" / "run.json").read_text(encoding="utf-8"))
    assert record["features"] == "fmllr+fbank8+mfcc6"
    assert load_model(folder / "streams").frontend.size == 6 + 8 + 6
    audio.write(tmp_path / "new.wav", say(["cd", "ab"], seed=9), SAMPLE_RATE_HZ)
    assert cli.main(["decode", str(folder / "streams"), str(tmp_path / "new.wav")]) == 0
