"""The verb: what it writes, what it checks, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asr_ligru.cli import main
from asr_ligru.data import audio
from asr_ligru.decode.greedy import best_paths
from asr_ligru.errors import AsrLigruError, ConfigError, DataError, EnvironmentError_
from asr_ligru.export import run
from asr_ligru.export.check import compare, made_up_wavs, onnx_runner
from asr_ligru.export.run import export
from asr_ligru.models.load import load_model
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import write_joint_model, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "exp" / "my_run" / "model").parent


def test_export_zip_is_the_model_in_one_file(model: Path, tmp_path: Path) -> None:
    assert export(model, "zip", tmp_path / "a.zip") is None
    export(tmp_path / "a.zip", "zip", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    wav = say(["ab", "gh"], 1)
    one, other = load_model(model), load_model(tmp_path / "b.zip")
    assert torch.equal(one.log_probs([one.feats(wav)])[0], other.log_probs([other.feats(wav)])[0])


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_export_network_on_made_up_audio_is_near_and_described(kind: str, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "net"
    check = export(model, kind, target)
    assert check is not None
    assert check.recordings == 2
    assert 0 < check.difference < 1e-4
    described = json.loads((tmp_path / "net.json").read_text(encoding="utf-8"))
    loaded = load_model(model)
    assert described["tokens"] == list(loaded.tokenizer.tokens)
    assert described["frame_s"] == loaded.frame_s == 0.02
    assert described["features"]["num_bins"] == described["inputs"]["feats"][2] == 12


def test_onnx_file_alone_gives_the_models_text(model: Path, tmp_path: Path) -> None:
    export(model, "onnx", tmp_path / "net.onnx")
    described = json.loads((tmp_path / "net.onnx.json").read_text(encoding="utf-8"))
    loaded, wav = load_model(model), say(["cd", "ef", "ab"], 4)
    feats = loaded.feats(wav)
    log_probs, lens = onnx_runner((tmp_path / "net.onnx").read_bytes())(feats[None], torch.tensor([len(feats)]))
    (path,) = best_paths(log_probs, lens)
    text = "".join(described["tokens"][token] for token in path.tokens).strip()
    (expected,) = best_paths(*loaded.log_probs([feats]))
    assert " ".join(text.split()) == loaded.tokenizer.decode(expected.tokens) != ""


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_export_of_two_heads_writes_the_ctc_head(kind: str, model: Path, tmp_path: Path) -> None:
    joint = write_joint_model(tmp_path / "joint")
    check = export(joint, kind, tmp_path / "net")
    assert check is not None
    assert 0 < check.difference < 1e-4
    described = json.loads((tmp_path / "net.json").read_text(encoding="utf-8"))
    export(model, kind, tmp_path / "plain")
    assert described == json.loads((tmp_path / "plain.json").read_text(encoding="utf-8"))
    if kind == "onnx":
        assert (tmp_path / "net").read_bytes() == (tmp_path / "plain").read_bytes()


def test_export_of_two_heads_as_zip_keeps_both(tmp_path: Path) -> None:
    export(write_joint_model(tmp_path / "joint"), "zip", tmp_path / "a.zip")
    loaded = load_model(tmp_path / "a.zip")
    assert loaded.hmm is not None
    assert loaded.by_tokens().hmm is None


def test_compare_finds_a_model_that_differs(model: Path) -> None:
    loaded = load_model(model)
    feats = [loaded.feats(wav) for wav in made_up_wavs(SAMPLE_RATE_HZ)]

    def wrong(x: torch.Tensor, lens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return loaded.network(x * 1.01, lens)

    with pytest.raises(AsrLigruError, match="differs from the original in"), torch.no_grad():
        compare(loaded, wrong, feats)


def test_export_network_that_differs_writes_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "onnx_runner", lambda content: lambda x, lens: (torch.zeros(len(x), 1, 9), lens))
    with pytest.raises(AsrLigruError, match="differs from the original in lengths"):
        export(model, "onnx", tmp_path / "net.onnx")
    assert not list(tmp_path.glob("net.onnx*"))


def test_speechbrain_folder_transcribes_in_its_own_class(model: Path, tmp_path: Path) -> None:
    from speechbrain.inference.ASR import EncoderASR

    export(model, "speechbrain", tmp_path / "sb")
    wavs = [say(words, 3) for words in (["ab", "gh", "cd"], ["ef"])]
    audio.write(tmp_path / "a.wav", wavs[0], SAMPLE_RATE_HZ)
    theirs = EncoderASR.from_hparams(source=str(tmp_path / "sb"))
    ours = load_model(model)
    paths = best_paths(*ours.log_probs([ours.feats(wav) for wav in wavs]))
    expected = [ours.tokenizer.decode(path.tokens) for path in paths]
    assert theirs.transcribe_file(str(tmp_path / "a.wav")) == expected[0] != ""
    padded = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True, padding_value=0.3)
    texts, _ = theirs.transcribe_batch(padded, torch.tensor([1.0, len(wavs[1]) / len(wavs[0])]))
    assert texts == expected


@pytest.mark.parametrize("kind", ["zip", "onnx", "torchscript", "speechbrain"])
@pytest.mark.parametrize("what", ["file", "folder", "dangling link"])
def test_export_over_something_is_refused(kind: str, what: str, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "there"
    if what == "file":
        target.write_text("mine", encoding="utf-8")
    elif what == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="there is something already"):
        export(model, kind, target)
    assert what != "file" or target.read_text(encoding="utf-8") == "mine"


def test_export_what_is_no_model_or_cannot_be_written_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a model folder"):
        export(tmp_path, "zip", tmp_path / "a.zip")
    with pytest.raises(ConfigError, match="unknown export format 'onxn'"):
        export(model, "onxn", tmp_path / "a")
    for kind in ("zip", "speechbrain"):
        with pytest.raises(EnvironmentError_):
            export(model, kind, tmp_path / "no" / "folder")


def test_export_without_onnx_names_the_extra(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentError_, match="onnx is not installed") as caught:
        export(model, "onnx", tmp_path / "a.onnx")
    assert "asr-ligru[export]" in caught.value.fix


def test_export_verb_on_real_audio_prints_how_near_it_is(
    model: Path, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recordings = [str(path) for path in sorted((shared / "corpora" / "mini_an4").rglob("*.sph"))[:3]]
    assert main(["export", str(model), "--to", "onnx", "--check", *recordings]) == 0
    printed = capsys.readouterr()
    assert printed.out == "my_run.onnx\n"
    assert "checked on 3 recordings: log probabilities differ by " in printed.err
    assert main(["export", str(model / "model"), "-o", "x.zip"]) == 0
    assert main(["export", str(model), "-o", "x.zip"]) == 2
    assert "there is something already" in capsys.readouterr().err
