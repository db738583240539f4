"""The command line as a user meets it: results on stdout, messages on stderr, exit codes, help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from asr_ligru import cli
from tests.tiny_corpus import OVERRIDES, write_corpus

VERBS = (
    "train",
    "decode",
    "serve",
    "score",
    "report",
    "rover",
    "prepare",
    "validate",
    "shards",
    "add-noise",
    "export-kaldi",
    "lm",
    "tune",
    "fmllr",
    "export",
    "doctor",
    "ls",
    "cp",
    "demo",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run on the corpus of tones; its corpus is beside it."""
    folder = tmp_path_factory.mktemp("run")
    corpus = write_corpus(folder / "corpus")
    code = cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={folder / 'exp'}", "train.epochs=2"])
    assert code == 0
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_fits_a_terminal(verb: str, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, "--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert max(map(len, text.splitlines())) <= 80
    assert verb in text


def test_help_imports_neither_torch_nor_hydra() -> None:
    code = "import sys; from asr_ligru.cli import build_parser; build_parser(); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"'torch'", "'hydra'", "'numpy'"} & set(out.strip("[]\n").split(", "))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["trian"], 2, ["unknown verb 'trian'", "did you mean 'train'"]),
        (["train", "cell=ligur"], 2, ["config error", "did you mean 'ligru'"]),
        (["train", "--no-such"], 2, ["usage error", "--no-such"]),
        (["train", "recipe=an4_ctc", "corpus.dir=/nonexistent", "exp_dir=X"], 3, ["data error", "prepare an4"]),
        (["report", "/nonexistent"], 3, ["data error", "/nonexistent"]),
        (["decode", "/nonexistent", "x.wav"], 3, ["data error", "/nonexistent"]),
        (["prepare", "an5"], 2, ["unknown corpus", "an4"]),
        (["prepare", "an4", "--root", "/nonexistent"], 3, ["data error", "/nonexistent"]),
        (["ls", "cel"], 2, ["did you mean 'cell'"]),
        (["cp", "an4_ct", "."], 2, ["did you mean 'an4_ctc'"]),
    ],
)
def test_mistake_ends_with_its_code_and_says_what_to_do(
    arguments: list[str], code: int, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    try:
        got = cli.main([a.replace("exp_dir=X", f"exp_dir={tmp_path}/x") for a in arguments])
    except SystemExit as exit_:
        got = int(exit_.code or 0)
    text = capsys.readouterr().err
    assert got == code, text
    assert all(word in text for word in words), text
    assert "Traceback" not in text


def test_train_prints_the_table_on_stdout(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = run / "corpus"
    assert cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={run / 'exp'}", "train.epochs=2"]) == 0
    assert "ligru" in capsys.readouterr().out


def test_decode_of_one_file_prints_its_text_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", str(run / "exp"), str(run / "corpus" / "wav" / "test" / "0.wav")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_decode_of_a_folder_goes_on_after_a_bad_file_and_ends_with_1(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = (run / "corpus" / "wav" / "test" / "0.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(good)
    (tmp_path / "b.wav").write_bytes(good[:700])
    (tmp_path / "c.wav").write_bytes(good)
    assert cli.main(["decode", str(run / "exp"), str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert [line.split("\t")[0][-5:] for line in captured.out.splitlines()] == ["a.wav", "c.wav"]
    assert "b.wav" in captured.err
    assert "2 of 3 files decoded" in captured.err


def test_decode_equals_the_runs_own_hypotheses(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (run / "exp" / "hyp.jsonl").read_text(encoding="utf-8").splitlines()
    expected = {Path(str(n)).stem: json.loads(line)["hyp"] for n, line in enumerate(lines)}
    cli.main(["decode", str(run / "exp"), str(run / "corpus" / "wav" / "test")])
    got = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert {Path(path).stem: text for path, text in got.items()} == expected


def test_score_of_the_runs_hypotheses_equals_its_own_count(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wer = json.loads((run / "exp" / "wer.json").read_text(encoding="utf-8"))["words"]
    assert cli.main(["score", str(run / "corpus" / "test.jsonl"), str(run / "exp" / "hyp.jsonl")]) == 0
    assert f"[ {wer['errors']} / {wer['ref']}," in capsys.readouterr().out


def test_cp_then_train_runs_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = write_corpus(tmp_path / "corpus", num_train=8)
    assert cli.main(["cp", "demo_ctc", "."]) == 0
    more = [o for o in OVERRIDES if not o.startswith("corpus=")]
    assert cli.main(["train", "--config-dir", ".", "recipe=my_demo_ctc", *more, f"corpus.dir={corpus}",
                     "model.stack_frames=1", "train.epochs=1", f"exp_dir={tmp_path / 'exp'}"]) == 0  # fmt: skip
    assert (tmp_path / "exp" / "run.json").is_file()


def test_sweep_goes_on_after_a_failed_run_and_keeps_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = write_corpus(tmp_path / "corpus", num_train=8)
    code = cli.main(["train", "-m", *OVERRIDES, f"corpus.dir={corpus}", "tokens=phone,char", "train.epochs=1"])
    captured = capsys.readouterr()
    assert code == 2
    assert "lexicon" in captured.err
    assert "\n  fix: " in captured.err  # a message of several lines stays one
    assert "char" in captured.out


def test_sweep_by_joblib_runs_in_processes_and_brings_errors_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = write_corpus(tmp_path / "corpus", num_train=8)
    more = ["train.epochs=1", "decode.split=none", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    code = cli.main(["train", "-m", *OVERRIDES, f"corpus.dir={corpus}", "tokens=phone,char", *more])
    assert code == 2
    assert "lexicon" in capfd.readouterr().err
    assert len(list((tmp_path / "exp").rglob("run.json"))) == 1
    get_reusable_executor().shutdown()  # joblib keeps its processes for the next sweep


def test_report_watched_is_made_again_until_interrupted(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("asr_ligru.cli.results.time.sleep", sleep)
    assert cli.main(["report", str(run), "--watch", "3"]) == 0
    assert waits == [3, 3]
    assert capsys.readouterr().out.count("for RESULTS.md:") == 2


def test_report_published_needs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "--with-published", "an4"]) == 0
    assert "not run here" in capsys.readouterr().out
    assert cli.main(["report"]) == 3
    assert cli.main(["report", "--with-published", "an5"]) == 2
