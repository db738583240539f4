"""What lhotse knows about a corpus arrives in our manifests, and nothing of it is lost silently."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

lhotse = pytest.importorskip("lhotse")

from asr_ligru.data import audio  # noqa: E402
from asr_ligru.data.manifest import read_manifest  # noqa: E402
from asr_ligru.data.prepare import prepare_corpus  # noqa: E402
from asr_ligru.errors import ConfigError, DataError  # noqa: E402
from tests.recipes.fakes import librispeech, prepared, read  # noqa: E402


def test_prepare_lhotse_librispeech_is_what_the_own_recipe_finds(tmp_path: Path) -> None:
    librispeech(tmp_path / "in")
    own, _ = prepared("librispeech", tmp_path, tmp_path / "in")
    report = prepare_corpus("lhotse:librispeech", tmp_path / "in" / "LibriSpeech", tmp_path / "lhotse")
    parts = [split for split in own.counts if "/" not in split]
    assert set(report.counts) == set(parts)
    for split in parts:
        found, expected = ({u.utt_id: u for u in read(r, split)} for r in (report, own))
        assert found.keys() == expected.keys()
        for utt_id, utterance in found.items():
            assert utterance.audio_path.resolve() == expected[utt_id].audio_path.resolve()
            assert (utterance.text.split(), utterance.speaker, utterance.duration_s) == (
                expected[utt_id].text.split(), expected[utt_id].speaker, expected[utt_id].duration_s,
            )  # fmt: skip
    assert report.left_out == []


def test_prepare_lhotse_real_yesno_has_every_file(shared: Path, tmp_path: Path) -> None:
    folder = shared / "corpora" / "yesno" / "waves_yesno"
    report = prepare_corpus("lhotse:yesno", folder, tmp_path / "out")
    texts = {u.audio_path.stem: u.text for split in ("train", "test") for u in read(report, split)}
    words = {"0": "NO", "1": "YES"}
    assert texts == {p.stem: " ".join(words[d] for d in p.stem.split("_")) for p in folder.glob("*.wav")}
    assert [count.utterances for count in report.counts.values()] == [30, 30]


def _corpus(folder: Path) -> dict[str, Any]:
    """Return manifests of a stereo call with a segment on each side, and of what cannot be used."""
    samples = np.stack([np.full(16000, 0.25), np.full(16000, -0.25)], axis=1)
    soundfile.write(folder / "call.wav", samples, 8000, subtype="PCM_16")
    soundfile.write(folder / "lonely.wav", samples[:, 0], 8000)
    recordings = [lhotse.Recording.from_file(folder / f"{name}.wav") for name in ("call", "lonely")]
    source = lhotse.audio.AudioSource(type="command", channels=[0], source="touch canary")
    recordings.append(lhotse.Recording("piped", [source], 8000, 8000, 1.0))
    segments = [
        lhotse.SupervisionSegment("a", "call", 0.5, 1.0, channel=0, text="ONE  TWO", speaker="x"),
        lhotse.SupervisionSegment("b", "call", 0.0, 2.0, channel=1, text="THREE"),
        lhotse.SupervisionSegment("c", "call", 1.5, 9.0, channel=1, text="BEHIND THE END"),
        lhotse.SupervisionSegment("d", "call", 0.0, 1.0, channel=0, text=None),
        lhotse.SupervisionSegment("e", "absent", 0.0, 1.0, channel=0, text="X"),
        lhotse.SupervisionSegment("f", "piped", 0.0, 1.0, channel=0, text="X"),
    ]
    return {"recordings": recordings, "supervisions": segments}


def test_prepare_lhotse_takes_segments_and_channels_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = _corpus(tmp_path)
    from lhotse import recipes

    monkeypatch.setattr(recipes, "prepare_grid", lambda corpus_dir: {"TRAIN": {"far": corpus}})
    report = prepare_corpus("lhotse:grid", tmp_path, tmp_path / "out")
    found = {u.utt_id: u for u in read_manifest(report.manifests["train_far"])}
    assert {name: (u.text, u.speaker, u.offset_s, u.duration_s) for name, u in found.items()} == {
        "a": ("ONE TWO", "x", 0.5, 1.0),
        "b": ("THREE", "", 0.0, 2.0),
    }
    for name, level in (("a", 0.25), ("b", -0.25)):
        wav = audio.read(found[name].audio_path, offset_s=found[name].offset_s, duration_s=found[name].duration_s)
        assert wav.unique().tolist() == [level]
    assert {(bad.utt_id, bad.reason.partition(":")[0][:30]) for bad in report.left_out} == {
        ("c", "the segment from 1.5 to 10.5 s"),
        ("d", "no transcript"),
        ("e", "no recording has this name"),
        ("f", "lhotse has its audio not in a "),
        ("lonely", "no transcript names it"),
    }
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lhotse", "which corpus"),
        ("lhotse:librispech", "did you mean 'librispeech'"),
        ("lhotse:heroico", "needs more than its folder: transcript_dir"),
    ],
)
def test_prepare_lhotse_corpus_that_cannot_be_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare_corpus(name, tmp_path, tmp_path / "out")


def test_prepare_lhotse_of_another_folder_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lhotse cannot read it as yesno") as caught:
        prepare_corpus("lhotse:yesno", tmp_path / "absent", tmp_path / "out")
    assert "--root" in caught.value.fix


def test_prepare_lhotse_that_must_write_gets_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lhotse import recipes

    def prepare(corpus_dir: Path, output_dir: Path) -> dict[str, Any]:
        assert output_dir == tmp_path / "out" / "manifests"
        return _corpus(corpus_dir)

    monkeypatch.setattr(recipes, "prepare_grid", prepare)
    assert prepare_corpus("lhotse:grid", tmp_path, tmp_path / "out").counts["all"].utterances == 3


def test_prepare_lhotse_without_transcripts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lhotse import recipes

    monkeypatch.setattr(recipes, "prepare_musan", lambda corpus_dir: {"music": SimpleNamespace()})
    with pytest.raises(DataError, match="no transcripts of musan"):
        prepare_corpus("lhotse:musan", tmp_path, tmp_path / "out")
