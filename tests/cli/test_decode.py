"""``asr-ligru decode`` as a user meets it: outputs, exit codes, mistakes, pipes, interruption."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asr_ligru import cli
from asr_ligru.data import audio
from asr_ligru.decode.files import decode_files
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import write_model

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("run") / "model"))


@pytest.fixture(scope="module")
def wavs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wavs")
    for name, words in (("a", "ab cd"), ("b", "gh ef ab"), ("sub/a", "ef")):
        (folder / name).parent.mkdir(exist_ok=True)
        audio.write(folder / f"{name}.wav", say(words.split(), 1), SAMPLE_RATE_HZ)
    return folder


def code_of(arguments: list[str]) -> int:
    try:
        return cli.main(["decode", *arguments])
    except SystemExit as exit_:
        return int(exit_.code or 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.wav", "--format", "srtt"], ["unknown format 'srtt'", "did you mean 'srt'"]),
        (["x.wav", "--format", "txt,srt"], ["standard output", "-o DIR"]),
        (["x.wav", "--decodr", "beam"], ["--decodr", "did you mean --decoder?"]),
        (["x.wav", "--decoder", "beem"], ["unknown decoder 'beem'", "beam"]),
        (["x.wav", "--acoustic-scale", "x"], ["--acoustic-scale: expected a number, got 'x'"]),
        (["x.wav", "--threads", "0"], ["--threads", "from 1 on"]),
        (["x.wav", "--channel", "left"], ["--channel", "mix, split"]),
        (["x.wav", "--device", "cuda:99"], ["cuda:99", "--device auto"]),
        (["x.wav", "--skip-existing"], ["--skip-existing", "-o DIR"]),
        (["x.wav", "-q", "-v"], ["not allowed with"]),
        (["a.wav", "b.wav", "--format", "srt"], ["several files", "-o DIR"]),
        ([], ["AUDIO"]),
    ],
)
def test_mistake_ends_with_2_and_says_what_to_do(
    arguments: list[str], words: list[str], model: str, capsys: Capture
) -> None:
    assert code_of([model, *arguments]) == 2
    captured = capsys.readouterr()
    assert all(word in captured.err for word in words), captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_text_goes_to_stdout_and_all_else_to_stderr(model: str, wavs: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    assert code_of([model, str(wavs), "gone.wav", str(tmp_path / "empty")]) == 1
    captured = capsys.readouterr()
    assert [line.partition("\t")[0] for line in captured.out.splitlines()] == [
        str(wavs / name) for name in ("a.wav", "b.wav", "sub/a.wav")
    ]
    failed = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert "gone.wav: cannot open audio file: No such file" in failed[0]
    assert "no audio file in this folder" in failed[1]
    assert "3 of 5 files decoded, 2 failed" in captured.err
    assert code_of([model, str(wavs / "a.wav"), "-q"]) == 0
    alone = capsys.readouterr()
    assert "\t" not in alone.out
    assert alone.err == ""


def test_verbose_says_model_speed_and_memory(
    model: str, wavs: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    assert code_of([model, str(wavs / "a.wav"), "-v", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    assert "model: ligru 2x8" in caplog.text
    assert "1 of 1 file decoded; 1 s of audio, real-time factor" in captured.err
    assert "peak memory" in captured.err
    assert len(captured.out.splitlines()) == 1


def test_folder_gets_all_formats_and_what_is_there_is_skipped(
    model: str, wavs: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [model, str(wavs), "-o", str(tmp_path / "out"), "--format", "txt,json,srt,vtt,ctm,trn,tsv"]
    assert code_of(arguments) == 0
    assert capsys.readouterr().out == ""
    out = tmp_path / "out"
    assert len([path for path in out.rglob("*") if path.is_file()]) == 21
    assert json.loads((out / "sub" / "a.json").read_bytes())["id"] == str(wavs / "sub" / "a.wav")
    (out / "b.vtt").unlink()
    before = (out / "a.txt").stat().st_mtime_ns
    assert code_of([*arguments, "--skip-existing"]) == 0
    assert "1 of 1 file decoded, 2 files skipped, whose results are there" in capsys.readouterr().err
    assert (out / "b.vtt").is_file()
    assert (out / "a.txt").stat().st_mtime_ns == before
    assert code_of([*arguments, "--skip-existing"]) == 0
    assert capsys.readouterr().err == "3 files skipped, whose results are there\n"


def test_failed_file_leaves_nothing_in_the_folder_and_fail_fast_stops(
    model: str, wavs: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "0.wav").write_bytes(b"")
    arguments = [model, str(tmp_path / "0.wav"), str(wavs / "a.wav"), "-o", str(tmp_path / "out")]
    assert code_of([*arguments, "--fail-fast"]) == 1
    assert not (tmp_path / "out").exists()
    assert "0 of 2 files decoded, 1 failed, 1 not tried" in capsys.readouterr().err
    assert code_of(arguments) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.txt"]


def test_standard_input_is_a_file_with_header_or_raw(
    model: str, wavs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    whole = (wavs / "b.wav").read_bytes()

    def decode(data: bytes, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        code = code_of([model, "-", "--format", "json", *options])
        captured = capsys.readouterr()
        return code, json.loads(captured.out)["text"], captured.err

    code, text, _ = decode(whole)
    assert (code, bool(text)) == (0, True)
    assert decode(whole[44:], "--raw-rate", str(SAMPLE_RATE_HZ))[:2] == (0, text)
    code, text, message = decode(whole[44:])
    assert (code, text) == (1, "")
    assert "--raw-rate" in message


def test_manifest_with_a_bad_line_still_names_every_utterance(
    model: str, wavs: Path, tmp_path: Path, capsys: Capture
) -> None:
    records = [
        {"id": "א (1)", "audio_filepath": str(wavs / "b.wav"), "offset": 0.1, "duration": 0.7, "text": "ab"},
        {"id": "gone", "audio_filepath": "gone.wav", "duration": 1.0, "text": "cd"},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert code_of([model, str(manifest), "--format", "json", "-q"]) == 1
    (tmp_path / "hyp.jsonl").write_text(capsys.readouterr().out, encoding="utf-8")
    assert cli.main(["score", str(manifest), str(tmp_path / "hyp.jsonl")]) == 0
    assert "2 utterances" in capsys.readouterr().out
    assert code_of([model, str(manifest), "--format", "trn", "-q"]) == 1
    assert capsys.readouterr().out.splitlines()[1] == "(gone)"


def test_closed_pipe_is_no_error(model: str, wavs: Path) -> None:
    command = [sys.executable, "-m", "asr_ligru", "decode", model, str(wavs), "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_interruption_says_how_far_it_came(
    model: str, wavs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def interrupted(*arguments: Any, **settings: Any) -> Iterator[Any]:
        yield from itertools.islice(decode_files(*arguments, **settings), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("asr_ligru.cli.decode_job.decode_files", interrupted)
    assert code_of([model, str(wavs)]) == 130
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "2 of 3 files decoded, 1 not tried" in captured.err
    assert "interrupted" in captured.err


def test_speaker_map_that_names_nobody_is_said(
    model: str, wavs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "map").write_text("b ann\n", encoding="utf-8")
    assert code_of([model, str(wavs), "--speaker-map", str(tmp_path / "map"), "-q"]) == 0
    assert "--speaker-map names 1 of 3 files" in caplog.text
    assert "does not adapt to speakers" in caplog.text


def test_with_itself_a_model_hears_what_it_hears_alone(
    model: str, wavs: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    assert code_of([model, str(wavs)]) == 0
    alone = capsys.readouterr().out
    assert code_of([model, str(wavs), "--with", model, model, "-v"]) == 0
    assert capsys.readouterr().out == alone
    assert "with 2 more" in caplog.text
