"""``features=fmllr adapt=ubm``: a background model without any transcript, trained once and carried by the model."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch

from asr_ligru import cli
from asr_ligru.compose import compose
from asr_ligru.config import AdaptConfig, Config
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.errors import DataError
from asr_ligru.hmm import ubm_run
from asr_ligru.hmm.frontend import UbmFrontend, make_frontend
from asr_ligru.hmm.ubm import Progress
from asr_ligru.models.load import load_model
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, say, write_corpus

SETTINGS = (
    *(o for o in OVERRIDES if not o.startswith("features")),
    "features=fmllr_8k",
    "adapt=ubm",
    "adapt.num_gauss=8",
    "adapt.iterations=4",
    "adapt.rounds=1",
    "adapt.updates=2",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)


def composed(corpus: Path, *more: str) -> Config:
    return compose([*SETTINGS, f"corpus.dir={corpus}", *more])


def frontend(config: Config) -> tuple[UbmFrontend, list[Progress]]:
    """Return the front end, and the updates that were made for it."""
    made: list[Progress] = []
    found = ubm_run.ubm_frontend(config, read_manifest(Path(config.corpus.dir) / "train.jsonl"), made.append)
    return found, made


def test_ubm_run_is_recorded_and_decodes_a_new_file(corpus: Path, tmp_path: Path) -> None:
    arguments = [*SETTINGS, f"corpus.dir={corpus}", f"exp_dir={tmp_path / 'exp'}", "train.epochs=1"]
    assert cli.main(["train", *arguments]) == 0
    record = json.loads((tmp_path / "exp" / "run.json").read_text(encoding="utf-8"))
    assert (record["features"], record["status"]) == ("fmllr-ubm", "done")
    assert [path.name for path in (corpus / "fmllr").iterdir() if not path.name.startswith("ubm-")] == []
    audio.write(tmp_path / "new.wav", say(["cd", "ab"], seed=9), SAMPLE_RATE_HZ)
    assert cli.main(["decode", str(tmp_path / "exp"), str(tmp_path / "new.wav")]) == 0
    model = load_model(tmp_path / "exp")
    raw = model.frontend.extract(say(["ab", "ef"], seed=4))
    again = make_frontend(model.config.features, adapt=model.config.adapt)
    again.load_state_dict(model.frontend.state_dict())
    assert torch.equal(again(raw), model.frontend(raw))
    assert model.frontend(raw).shape[1] == 39


def test_ubm_frontend_model_is_trained_once_and_texts_do_not_matter(corpus: Path, tmp_path: Path) -> None:
    config = composed(corpus, "adapt.num_gauss=4")
    first, made = frontend(config)
    assert len(made) == 6
    utterances = read_manifest(corpus / "train.jsonl")
    without = [type(u)(u.utt_id, u.audio_path, u.duration_s, "", u.speaker, u.offset_s) for u in utterances]
    again = ubm_run.ubm_frontend(config, without, lambda progress: pytest.fail("trained again"))
    for name, tensor in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert frontend(composed(corpus, "adapt.num_gauss=4", "adapt.passes=1"))[1] == []  # passes are of decoding only
    assert len(frontend(composed(corpus, "adapt.num_gauss=3"))[1]) == 6


def test_ubm_frontend_speaker_is_normalised_after_the_transform(corpus: Path) -> None:
    found, _ = frontend(composed(corpus))
    raws = [found.extract(say(words, seed)) for seed, words in enumerate([["ab", "cd"], ["ef", "gh", "ab"]])]
    found.add_speakers([("new", raw) for raw in raws])
    together = torch.cat([found(raw, "new") for raw in raws]).double()
    assert float(together.mean(0).abs().max()) < 1e-4
    assert float((together.var(0, correction=0) - 1).abs().max()) < 1e-3


def test_ubm_frontend_altered_or_missing_model_is_refused(corpus: Path) -> None:
    config = composed(corpus, "adapt.num_gauss=5")
    found, _ = frontend(config)
    raw = found.extract(say(["ef"], seed=3))
    with pytest.raises(DataError, match="no background model"):
        UbmFrontend(config.features, config.adapt)(raw)
    state = found.state_dict()
    for broken in ({}, {**state, "ubm.means": state["ubm.means"][:, 1:]}):
        with pytest.raises(DataError, match="no background model of 39 features"):
            UbmFrontend(config.features, config.adapt).load_state_dict(broken)
    (path,) = (
        p for p in corpus.glob("fmllr/*/model/model.safetensors") if Path(p).stat().st_mtime_ns == newest(corpus)
    )
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError):
        frontend(config)


def newest(corpus: Path) -> int:
    return max(path.stat().st_mtime_ns for path in corpus.glob("fmllr/*/model/model.safetensors"))


def test_ubm_needs_fmllr_features_and_speakers(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*OVERRIDES, "adapt=ubm", f"corpus.dir={corpus}", f"exp_dir={tmp_path / 'exp'}"]
    assert cli.main(["train", *arguments]) == 2
    assert "features=fmllr adapt=ubm" in capsys.readouterr().err
    utterances = [type(u)(u.utt_id, u.audio_path, u.duration_s, u.text) for u in read_manifest(corpus / "train.jsonl")]
    with pytest.raises(DataError, match="without speaker"):
        ubm_run.ubm_frontend(composed(corpus), utterances, lambda progress: None)


def test_label_of_features_says_what_they_are_adapted_to() -> None:
    by = [compose(["features=fmllr", f"adapt={name}"]).features_label for name in ("hmm", "ubm")]
    assert by == ["fmllr", "fmllr-ubm"]
    assert Config(adapt=AdaptConfig(name="ubm")).features_label == "fbank40"


def test_ubm_frontend_asked_for_twice_at_once_is_trained_once(corpus: Path) -> None:
    config = composed(corpus, "adapt.num_gauss=6")
    found: list[tuple[UbmFrontend, list[Progress]]] = []
    threads = [threading.Thread(target=lambda: found.append(frontend(config))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(made) for _, made in found) == [0, 6]
    states = [made.state_dict() for made, _ in found]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
