"""The command as a process: what it prints, how it ends and what it leaves."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asr_ligru.cli import main
from asr_ligru.serve.run import warning_of
from tests.serve.conftest import Running

_HEAD = b"POST /api/transcribe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n"


@contextmanager
def command(model_folder: Path, temp: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Running]]:
    code = "import sys; from asr_ligru.cli import main; sys.exit(main())"
    line = [sys.executable, "-c", code, "serve", str(model_folder), "--port", "0", *arguments]
    environment = {**os.environ, "TMPDIR": str(temp)}
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            match = re.fullmatch(r"open http://127\.0\.0\.1:(\d+)/ in a browser; Ctrl-C ends this\n", said)
            assert match, process.communicate(timeout=5)
            yield process, Running(int(match[1]))
        finally:
            process.kill()


def test_serve_interrupted_amid_an_upload_ends_with_130_and_leaves_nothing(model_folder: Path, tmp_path: Path) -> None:
    with command(model_folder, tmp_path) as (process, server):
        assert server.ask("GET", "/").status == 200
        assert server.ask("GET", "/api/about").json["is_local"] is True
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(_HEAD + bytes(500_000))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_serve_on_a_taken_port_is_an_error_that_names_another(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(model_folder), "--port", str(port)]) == 4
    errors = capsys.readouterr().err
    assert f"cannot use port {port}" in errors
    assert "--port 0" in errors


def test_serve_on_a_foreign_address_is_a_usage_error(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(model_folder), "--host", "192.0.2.1"]) == 2
    assert "cannot bind to 192.0.2.1" in capsys.readouterr().err


def test_serve_without_the_extra_names_it(
    model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("asr_ligru.serve.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(model_folder)]) == 4
    assert 'pip install "asr-ligru[web]"' in capsys.readouterr().err


def test_warning_of_addresses_that_others_reach() -> None:
    assert warning_of("127.0.0.1") == warning_of("localhost") == warning_of("::1") == ""
    assert "nothing is encrypted" in warning_of("0.0.0.0")
