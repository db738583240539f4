"""Configurations from elsewhere: none runs code, writes outside of the run folder or shows a secret; each ends soon."""

from __future__ import annotations

import importlib
import itertools
import os
import time
from pathlib import Path

import pytest

from asr_ligru import cli, compose

importlib.import_module("asr_ligru.train.run")  # what is loaded once does not count as a configuration's time
compose.compose([])
SECRET = "planted-secret-value"
CALL = "{_target_: os.system, command: touch canary}"
FACTORY = "{version: 1, handlers: {x: {'()': subprocess.getoutput, cmd: touch canary}}, root: {handlers: [x]}}"
FILE_LOG = "{version: 1, handlers: {x: {class: logging.FileHandler, filename: canary}}, root: {handlers: [x]}}"
LETTERS = "abcdefghij"
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join(9 * ['*' + a])}]\n" for a, b in itertools.pairwise(LETTERS))

REFUSED = {
    "call at the top": f"_target_: os.system\n_args_: [touch canary]\nx: {CALL}",
    "call in a group": f"cell: {CALL}",
    "call in a list": f"train: {{augment: {{speed: [{CALL}]}}}}",
    "python object": "run_name: !!python/object/apply:os.system ['touch canary']",
    "python name": "run_name: !!python/name:os.system ''",
    "python module": "run_name: !!python/module:os ''",
    "environment": "run_name: ${oc.env:PLANTED}",
    "environment with default": "run_name: ${oc.env:PLANTED,x}",
    "environment, resolver put together": "run_name: ${${tokens.name}:PLANTED}\ntokens: {name: oc.env}",
    "environment in a list": "train: {augment: {speed: ['${oc.env:PLANTED}']}}",
    "environment as a group's choice": "defaults: [override /cell: '${oc.env:PLANTED}']",
    "other resolvers": "run_name: ${now:%Y}${hydra:runtime.cwd}",
    "Hydra's callbacks": f"hydra: {{callbacks: {{x: {CALL}}}}}",
    "Hydra's log handlers": f"hydra: {{job_logging: {FACTORY}, hydra_logging: {FACTORY}}}",
    "Hydra's log files": f"hydra: {{job_logging: {FILE_LOG}}}",
    "Hydra's launcher": f"hydra: {{launcher: {CALL}, sweeper: {CALL}}}",
    "Hydra's folders": "hydra: {run: {dir: ../outside}, output_subdir: ../outside, job: {chdir: true}}",
    "Hydra's environment": "hydra: {job: {env_set: {LD_PRELOAD: evil}, env_copy: [PLANTED]}}",
    "Hydra's search path": "hydra: {searchpath: ['file:///etc']}",
    "Hydra's section by another name": f'"\\x68ydra": {{callbacks: {{x: {CALL}}}}}',
    "package inside of Hydra": f"# @package hydra.callbacks\nx: {CALL}",
    "package in the defaults": "defaults: [/cell@hydra.callbacks: ligru]",
    "defaults of Hydra": "defaults: [override /hydra/job_logging: disabled]",
    "defaults outside": "defaults: [/cell: ../../../secret]",
    "defaults with an absolute name": "defaults: [/etc/passwd]",
    "defaults in a circle": "defaults: [/recipe: mine]",
    "folder of the runs": "exp_root: ../outside",
    "folder of the run": "exp_dir: /etc/outside",
    "name of the run above": "run_name: ../../outside",
    "name of the run absolute": "run_name: /etc/outside",
    "name of the run with escapes": 'run_name: "\\e[2J\\e]0;x\\a"',
    "name of the run with NUL": 'run_name: "a\\0b"',
    "alias bomb": BOMB,
    "merge key with an alias": "base: &base {run_name: x}\n<<: *base",
    "deep list": "run_name: " + "[" * 2000 + "]" * 2000,
    "deep object": "run_name: " + "{a: " * 2000 + "}" * 2000,
    "long file": "#" + "x" * 300_000,
    "long number": "seed: " + "9" * 9000,
    "circle of references": "run_name: ${corpus.name}\ncorpus: {name: '${run_name}'}",
    "endless reference": "run_name: ${run_name}",
    "reference to nothing": "run_name: ${nowhere}",
    "infinity": "train: {lr: .inf}",
    "not a number": "train: {lr: .nan}",
    "key twice": "seed: 1\nseed: 2",
    "unknown key with escapes": '"\\e[2J": 1',
    "no mapping": "- 1\n- 2",
    "half a file": "cell: {name: 'lig",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PLANTED", SECRET)
    return tmp_path


def train(place: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """Return the exit code and what was printed, having looked at what was written."""
    before, environment = set(place.rglob("*")), dict(os.environ)
    started = time.process_time()
    code = cli.main(["train", "--config-dir", str(place / "conf"), *more, "recipe=mine"])
    assert time.process_time() - started < 2  # of the processor, not by the clock; a bomb takes minutes
    shown = "".join(capsys.readouterr())
    written = set(place.rglob("*")) - before
    assert not [path for path in written if place / "work" / "exp" not in (path, *path.parents)]
    assert SECRET not in shown
    assert not [path for path in written if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert not [c for c in shown if (ord(c) < 32 and c != "\n") or 126 < ord(c) < 160]
    assert dict(os.environ) == environment
    return code, shown


def write(place: Path, text: str | bytes) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    header = b"" if raw.startswith(b"# @package") else b"# @package _global_\n"
    (place / "conf" / "recipe" / "mine.yaml").write_bytes(header + raw)


@pytest.mark.parametrize("name", REFUSED)
def test_train_with_a_hostile_configuration_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write(place, REFUSED[name])
    code, shown = train(place, capsys, *(["-m"] if "launcher" in name else []))
    assert (code, shown.startswith("config error: ")) == (2, True), shown
    assert not (place / "work" / "exp").exists()


@pytest.mark.parametrize(
    "text", ["run_name: mine", "defaults: [_self_, override /cell: gru]\nseed: 7\nrun_name: a b-1"]
)
def test_train_with_a_plain_configuration_gets_as_far_as_the_corpus(
    place: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    write(place, text)
    code, shown = train(place, capsys)
    assert (code, "is not prepared" in shown) == (3, True), shown


@pytest.mark.parametrize("content", [bytes(range(256)), "seed: 3\n".encode("utf-16"), b"run_name: \xff", b"\0" * 999])
def test_train_with_bytes_that_are_no_text_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    write(place, content)
    assert train(place, capsys)[0] == 2


def test_train_with_a_device_or_pipe_for_a_file_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "conf" / "recipe" / "mine.yaml"
    path.symlink_to("/dev/zero")
    assert train(place, capsys)[0] == 2
    path.unlink()
    os.mkfifo(path)
    assert train(place, capsys)[0] == 2


def test_train_with_a_group_of_hydras_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, "run_name: mine")
    (place / "conf" / "hydra" / "launcher").mkdir(parents=True)
    (place / "conf" / "hydra" / "launcher" / "evil.yaml").write_text(CALL, encoding="utf-8")
    code, shown = train(place, capsys, "-m", "hydra/launcher=evil")
    assert (code, "group `hydra`" in shown) == (2, True), shown


def test_refused_configurations_are_as_many_as_the_page_says() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
    row = next(line for line in page.read_text(encoding="utf-8").splitlines() if "hostile configurations" in line)
    assert f"| {len(REFUSED) + 7} | 0 |" in row
