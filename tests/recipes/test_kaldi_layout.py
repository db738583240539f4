"""A folder of Kaldi's is prepared as it is; commands in it are refused, what does not fit is listed by name."""

from __future__ import annotations

import json
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from asr_ligru import cli
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.errors import AsrLigruError

RATE_HZ = 8000


def _write(path: Path, *lines: str) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a ``data`` folder: ``train`` of three whole recordings, ``test`` of segments of one of 4 s."""
    draw = np.random.default_rng(1)
    folder = tmp_path / "kaldi" / "data"
    for split in ("train", "test", "local/dict"):
        (folder / split).mkdir(parents=True)
    (tmp_path / "kaldi" / "wav").mkdir()
    for name, seconds in (("a-1", 1.0), ("a-2", 0.5), ("b-1", 0.75), ("long", 4.0)):
        samples = draw.integers(-9000, 9000, int(RATE_HZ * seconds)).astype(np.int16)
        soundfile.write(folder.parent / "wav" / f"{name}.wav", samples, RATE_HZ, subtype="PCM_16")
    train, test = folder / "train", folder / "test"
    _write(train / "wav.scp", *(f"{name} wav/{name}.wav" for name in ("a-1", "a-2", "b-1")))
    _write(train / "text", "a-1 ONE  TWO", "a-2", "b-1\tÜBER")
    _write(train / "utt2spk", "a-1 a", "a-2 a", "b-1 b")
    _write(train / "spk2utt", "a a-1 a-2", "b b-1")
    _write(train / "spk2gender", "a f", "b m")
    _write(test / "wav.scp", f"long {folder.parent / 'wav' / 'long.wav'}")
    _write(test / "segments", "c-1 long 0.5 1.25", "c-2 long 2 4.4", "c-3 long 3.00 -1")
    _write(test / "text", "c-1 A", "c-2 B", "c-3 C D")
    _write(test / "utt2spk", "c-1 c", "c-2 c", "c-3 c")
    _write(folder / "local" / "dict" / "lexicon.txt", "A AH", "A EY", "B B IY")
    return folder


def test_prepare_kaldi_folder_gives_what_kaldiio_reads_from_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)  # where Kaldi runs; names in wav.scp begin here
    report = prepare_corpus("kaldi", data, tmp_path / "out")
    train, test = (read_manifest(report.manifests[split]) for split in ("train", "test"))
    assert [(u.utt_id, u.text, u.speaker) for u in train] == [
        ("a-1", "ONE TWO", "a"), ("a-2", "", "a"), ("b-1", "ÜBER", "b"),
    ]  # fmt: skip
    whole = kaldiio.load_scp(str(data / "train" / "wav.scp"))
    parts = kaldiio.load_scp(str(data / "test" / "wav.scp"), segments=str(data / "test" / "segments"))
    for utterance in [*train, *test]:
        rate_hz, samples = (whole if utterance in train else parts)[utterance.utt_id]
        wav = audio.read(utterance.audio_path, offset_s=utterance.offset_s, duration_s=utterance.duration_s)
        assert rate_hz == RATE_HZ
        assert np.array_equal((wav.numpy() * 32768).astype(np.int16), samples)
    assert report.left_out == []
    assert report.notes == [
        "test: 1 segments end up to 0.5 s after their recording and are cut there, as Kaldi does",
        "train: ignored: spk2gender, spk2utt",
    ]
    assert "note: train: ignored" in report.render()
    assert (tmp_path / "out" / "lexicon.txt").read_text(encoding="utf-8") == "A AH\nA EY\nB B IY\n"


@pytest.mark.parametrize("start", ["..", ".", "train", "elsewhere"])
def test_prepare_kaldi_folder_is_found_and_its_names_too(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    root = data if start == "elsewhere" else data / start
    report = prepare_corpus("kaldi", root, tmp_path / "out")
    assert report.counts["train"].utterances == 3
    assert set(report.counts) == ({"train"} if start == "train" else {"train", "test"})


def test_prepare_kaldi_what_does_not_fit_is_counted_and_listed(data: Path, tmp_path: Path) -> None:
    train, test = data / "train", data / "test"
    _write(train / "text", "b-1 X", "a-1 X", "a-2 X", "a-3 X")
    _write(train / "utt2spk", "a-2 a", "a-3 a", "b-1 b", "d-9 d")
    (data.parent / "wav" / "b-1.wav").write_bytes(b"RIFF")
    _write(test / "segments", *(f"c-{i} {rest}" for i, rest in enumerate(
        ("long 0 1", "long 9 10", "long 1 4.6", "long 2 2", "other 0 1", "lost 0.5 1")
    )))  # fmt: skip
    _write(test / "wav.scp", f"long {data.parent / 'wav' / 'long.wav'}", "lost nowhere.wav")
    for name, rest in (("text", "X"), ("utt2spk", "c")):
        _write(test / name, *(f"c-{i} {rest}" for i in range(6)))
    out = tmp_path / "out"
    report = prepare_corpus("kaldi", data, out)
    assert [(bad.utt_id, bad.reason) for bad in report.left_out] == [
        ("c-1", "the segment from 9 to 10 s lies outside of its recording of 4 s"),
        ("c-2", "the segment from 1 to 4.6 s lies outside of its recording of 4 s"),
        ("c-3", "the segment from 2 to 2 s lies outside of its recording of 4 s"),
        ("c-4", "not in wav.scp: its recording 'other'"),
        ("c-5", "cannot open audio file: No such file or directory"),
        ("a-1", "not in utt2spk"),
        ("a-3", "not in wav.scp"),
        ("d-9", "not in text and wav.scp"),
        ("b-1", "cannot decode audio: Format not recognised."),
    ]
    assert [u.utt_id for u in read_manifest(out / "train.jsonl")] == ["a-2"]
    # Of a test set only what nobody could score is missing.
    assert [u.utt_id for u in read_manifest(out / "test.jsonl")] == ["c-0", "c-1", "c-2", "c-5"]
    assert "train: text is not sorted: no matter here, but Kaldi's tools want utils/fix_data_dir.sh" in report.notes
    assert "9 unusable, all in" in report.render()
    lines = (out / "bad_utterances.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [bad.utt_id for bad in report.left_out]


FAULTS = {
    "pipe": ("train/wav.scp", "a-1 x.wav\na-2 sph2pipe -f wav a.sph |\n", ["command", "line 2, key a-2", "never run"]),
    "duplicate": ("train/text", "a-1 X\na-2 Y\na-1 Z\n", ["'a-1' comes twice", "line 1", "line 3, key a-1"]),
    "duplicate recording": ("train/wav.scp", "a-1 x.wav\na-1 y.wav\n", ["'a-1' comes twice"]),
    "archive": ("train/wav.scp", "a-1 wav.ark:77\n", ["inside of an archive", "line 1, key a-1", "wav-copy"]),
    "no file name": ("train/wav.scp", "a-1\n", ["expected `key file`", "line 1, key a-1"]),
    "segment without end": ("test/segments", "c-1 long 0.5\n", ["`utterance recording start end`", "line 1, key c-1"]),
    "segment of words": ("test/segments", "c-1 long one two\n", ["`utterance recording start end`"]),
    "segment not a number": ("test/segments", "c-1 long nan 1\n", ["`utterance recording start end`"]),
    "segment before the start": ("test/segments", "c-1 long -3 1\n", ["`utterance recording start end`"]),
    "two speakers": ("train/utt2spk", "a-1 a b\n", ["`utterance speaker`", "line 1, key a-1"]),
    "no speaker": ("train/utt2spk", "a-1\n", ["`utterance speaker`"]),
    "empty": ("train/text", "\n", ["no line in it", "text"]),
    "not UTF-8": ("train/text", "a-1 \udce4\n", ["expected UTF-8", "text"]),
    "lexicon": ("local/dict/lexicon.txt", "A AH\nB\n", ["line 2", "no phones"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_prepare_kaldi_malformed_file_is_refused_by_name(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file, content, words = FAULTS[name]
    (data / file).write_bytes(content.encode("utf-8", "surrogateescape"))
    code = cli.main(["prepare", "kaldi", "--root", str(data), "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().err
    assert code == 3
    assert shown.startswith("data error: ")
    assert "\n  in: " in shown
    assert "\n  fix: " in shown
    assert all(word in shown for word in words), shown


@pytest.mark.parametrize("file", ["wav.scp", "text", "utt2spk"])
def test_prepare_kaldi_missing_file_is_named(data: Path, tmp_path: Path, file: str) -> None:
    (data / "train" / file).unlink()
    root = data / "train" if file == "wav.scp" else data
    with pytest.raises(AsrLigruError) as caught:
        prepare_corpus("kaldi", root, tmp_path / "out")
    assert (caught.value.exit_code, file in str(caught.value)) == (3, True)
    assert caught.value.fix


def test_prepare_kaldi_without_root_or_usable_audio_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(AsrLigruError, match="where is the data folder") as caught:
        prepare_corpus("kaldi", None, tmp_path / "out")
    assert caught.value.exit_code == 2
    for path in (data.parent / "wav").iterdir():
        path.unlink()
    with pytest.raises(AsrLigruError, match="no usable utterance in the corpus"):
        prepare_corpus("kaldi", data, tmp_path / "out")
    (data / "train").rename(data / "träin")
    with pytest.raises(AsrLigruError, match="cannot be that of a split"):
        prepare_corpus("kaldi", data, tmp_path / "out")


def test_prepare_kaldi_command_runs_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("touch canary |", "| touch canary", "$(touch canary)|", "`touch canary`", "$(touch canary)"):
        _write(data / "train" / "wav.scp", f"a-1 {command}", "a-2 x", "b-1 x")
        (data / "test" / "wav.scp").unlink(missing_ok=True)
        with pytest.raises(AsrLigruError):
            prepare_corpus("kaldi", data, tmp_path / "out")
        assert not list(tmp_path.rglob("canary"))
