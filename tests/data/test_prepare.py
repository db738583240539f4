"""Preparing a corpus keeps what is usable, records what is not, and says what is wrong with a folder."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_ligru import cli, resources
from asr_ligru.data.download import Archive
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import CORPORA, prepare_corpus
from asr_ligru.errors import ConfigError, DataError


@pytest.fixture
def yesno(tmp_path: Path) -> Path:
    """Return a folder of twelve files in the layout of waves_yesno."""
    folder = tmp_path / "waves_yesno"
    folder.mkdir()
    for number in range(12):
        name = "_".join(f"{number:04b}")
        soundfile.write(folder / f"{name}.wav", np.full(800 + number, 0.1), 8000)
    return folder


def test_prepare_writes_manifests_counts_and_records(yesno: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ticks: list[None] = []
    report = prepare_corpus("yesno", yesno, out, tick=lambda: ticks.append(None))
    assert {name: count.utterances for name, count in report.counts.items()} == {
        "train": 5,
        "dev": 1,
        "test": 6,
        "hebrew/train": 5,
        "hebrew/dev": 1,
        "hebrew/test": 6,
    }
    assert len(ticks) == 24
    for split, path in report.manifests.items():
        assert path == out / f"{split}.jsonl"
        assert len(read_manifest(path)) == report.counts[split].utterances
    first = read_manifest(out / "train.jsonl")[0]
    assert (first.utt_id, first.duration_s, first.offset_s) == ("0_0_0_0", 0.1, 0.0)
    assert (out / "bad_utterances.jsonl").read_text(encoding="utf-8") == ""
    summary = json.loads((out / "prepare.json").read_text(encoding="utf-8"))
    assert summary["splits"]["test"]["utterances"] == 6


def test_prepare_one_bad_file_is_recorded_and_the_rest_is_kept(yesno: Path, tmp_path: Path) -> None:
    data = (yesno / "0_0_0_1.wav").read_bytes()
    (yesno / "0_0_0_1.wav").write_bytes(data[: len(data) // 2])
    (yesno / "hello.wav").write_bytes(data)
    report = prepare_corpus("yesno", yesno, tmp_path / "out")
    assert sum(report.counts[split].utterances for split in ("train", "dev", "test")) == 11
    lines = (tmp_path / "out" / "bad_utterances.jsonl").read_text(encoding="utf-8").splitlines()
    records = {record["id"]: record for record in map(json.loads, lines)}
    assert set(records) == {"0_0_0_1", "hello"}
    assert records["0_0_0_1"]["reason"].startswith("truncated")
    assert records["0_0_0_1"]["path"] == str(yesno / "0_0_0_1.wav")
    assert "2 unusable" in report.render()


def test_prepare_bad_test_file_stays_in_the_test_set(yesno: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_corpus("yesno", yesno, out)
    victim = read_manifest(out / "test.jsonl")[0]
    victim.audio_path.write_bytes(b"RIFF")
    report = prepare_corpus("yesno", yesno, out)
    kept = read_manifest(out / "test.jsonl")[0]
    assert (kept.utt_id, kept.text) == (victim.utt_id, victim.text)
    assert {bad.utt_id for bad in report.left_out} == {victim.utt_id}


def test_prepare_twice_writes_the_same_bytes(yesno: Path, tmp_path: Path) -> None:
    names = ("train.jsonl", "hebrew/test.jsonl", "prepare.json", "bad_utterances.jsonl")
    written = []
    for _ in range(2):
        prepare_corpus("yesno", yesno, tmp_path / "out")
        written.append([(tmp_path / "out" / name).read_bytes() for name in names])
    assert written[0] == written[1]


def test_prepare_without_one_usable_file_is_refused(yesno: Path, tmp_path: Path) -> None:
    for path in yesno.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no usable utterance in the corpus, 12 left out: .*it is empty"):
        prepare_corpus("yesno", yesno, tmp_path / "out")


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "demo"])
@pytest.mark.parametrize("kind", ["missing", "empty", "other"])
def test_prepare_of_a_wrong_folder_is_a_message_with_a_fix(tmp_path: Path, name: str, kind: str) -> None:
    root = tmp_path / "root"
    if kind != "missing":
        root.mkdir()
    if kind == "other":
        (root / "photo.jpg").touch()
    with pytest.raises(DataError) as caught:
        prepare_corpus(name, root, tmp_path / "out")
    assert str(root) in str(caught.value)
    assert "--root" in caught.value.fix


def test_prepare_help_and_readme_name_every_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    shown = capsys.readouterr().out.replace(",", " ").split()
    assert {*CORPORA, "lhotse:NAME"} <= set(shown)
    table = (resources.folder("recipes") / "README.md").read_text(encoding="utf-8")
    assert all(f"| [{name}]({name}/README.md) |" in table for name in (*CORPORA, "lhotse"))


def test_prepare_parts_without_download_are_refused(yesno: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--part without --download"):
        prepare_corpus("yesno", yesno, tmp_path / "out", parts=["x"])


def test_prepare_unknown_corpus_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'yesno'"):
        prepare_corpus("yes_no", tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "root", "download"), [("an4", None, False), ("timit", None, False), ("demo", None, True)]
)
def test_prepare_where_the_corpus_comes_from_must_be_clear(
    tmp_path: Path, name: str, root: str | None, download: bool
) -> None:
    with pytest.raises(ConfigError):
        prepare_corpus(name, tmp_path / root if root else None, tmp_path / "out", download)
    assert not (tmp_path / "out").exists()


def test_prepare_downloads_unpacks_and_reports_the_checksum(
    yesno: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.add(yesno, "waves_yesno")

    def opener(request: urllib.request.Request) -> Any:
        assert request.full_url.startswith("https://")
        return Response(file.getvalue())

    recipe = resources.recipe_module("yesno")
    monkeypatch.setattr(recipe, "ARCHIVES", (Archive("https://corpora.example/waves_yesno.tar.gz"),))
    report = prepare_corpus("yesno", None, tmp_path / "out", download=True, opener=opener)
    assert report.counts["test"].utterances == 6
    assert report.downloads[0].sha256 in report.render()
    assert read_manifest(tmp_path / "out" / "train.jsonl")[0].audio_path.is_file()


class Response(io.BytesIO):
    """What an opener returns."""

    status = 200
    headers = SimpleNamespace(get=lambda name: None)


def test_every_recipe_states_https_archives_or_none() -> None:
    for name in CORPORA:
        for archive in getattr(resources.recipe_module(name), "ARCHIVES", ()):
            assert archive.url.startswith("https://")
            assert archive.name
            assert bool(archive.digest) == bool(archive.stated_by)
            assert len(archive.digest) in (0, 64 if archive.algorithm == "sha256" else 32)


def test_yesno_checksum_is_the_one_torchaudio_states() -> None:
    from asr_ligru.torchaudio_import import ensure

    ensure()
    from torchaudio.datasets import yesno as published

    (archive,) = resources.recipe_module("yesno").ARCHIVES
    assert archive.digest == published._RELEASE_CONFIGS["release1"]["checksum"]


def test_report_fits_80_columns_and_is_printable(yesno: Path, tmp_path: Path) -> None:
    (yesno / "\x1b[31m.wav").write_bytes(b"")
    text = prepare_corpus("yesno", yesno, tmp_path / "out").render()
    assert "\x1b" not in text
    assert text.splitlines()[0].split() == ["split", "utterances", "hours", "speakers"]
