"""The fallback import, tried in fresh interpreters because a process imports torchaudio only once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAKE_PACKAGE = """
from . import _half_way
from . import _extension
from ._extension import _IS_TORCHAUDIO_EXT_AVAILABLE, fail_if_no_align
forced_align = fail_if_no_align(len)
"""


def python(code: str, *, path: Path | None = None, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "SB_DISABLE_QUIRKS"} | variables
    root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([*([str(path)] if path else []), root])
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    package = tmp_path / "torchaudio"
    (package / "_extension").mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_PACKAGE, encoding="utf-8")
    (package / "_half_way.py").write_text("", encoding="utf-8")
    return tmp_path


def break_with(folder: Path, statement: str) -> None:
    (folder / "torchaudio" / "_extension" / "__init__.py").write_text(statement, encoding="utf-8")


@pytest.mark.parametrize("error", ["OSError('libcudart.so.13')", "RuntimeError('CUDA 12.9, torch has 13.0')"])
def test_ensure_unloadable_extension_imports_without_it(broken: Path, error: str) -> None:
    break_with(broken, f"raise {error}")
    code = (
        "from asr_ligru.torchaudio_import import ensure, missing_extension\n"
        "ensure(); ensure(); import torchaudio; print(missing_extension())\n"
        "assert torchaudio._IS_TORCHAUDIO_EXT_AVAILABLE is False\n"
        "try: torchaudio.forced_align('')\n"
        "except Exception as error: print(type(error).__name__)"
    )
    why = error.split("'")[1]
    assert python(code, path=broken).splitlines() == [why, "EnvironmentError_"]


def test_ensure_other_error_is_passed_on(broken: Path) -> None:
    break_with(broken, "import a_module_that_is_not_installed")
    code = (
        "from asr_ligru.torchaudio_import import ensure\n"
        "try: ensure()\n"
        "except ModuleNotFoundError as error: print(error.name)"
    )
    assert python(code, path=broken) == "a_module_that_is_not_installed"


def test_ensure_loadable_extension_is_kept(broken: Path) -> None:
    break_with(broken, "_IS_TORCHAUDIO_EXT_AVAILABLE = True\ndef fail_if_no_align(f): return f")
    code = (
        "from asr_ligru.torchaudio_import import ensure, missing_extension\n"
        "ensure(); import torchaudio; print(repr(missing_extension()), torchaudio.forced_align('four'))"
    )
    assert python(code, path=broken) == "'' 4"


def test_ensure_this_machine_imports_both_libraries_and_keeps_float32_products() -> None:
    code = (
        "from asr_ligru.torchaudio_import import ensure\n"
        "import torch; before = torch.backends.cuda.matmul.allow_tf32\n"
        "ensure(); ensure(); import torchaudio.compliance.kaldi, speechbrain\n"
        "print(torch.backends.cuda.matmul.allow_tf32 == before)"
    )
    assert python(code) == "True"


def test_ensure_quirks_set_by_the_user_are_kept(broken: Path) -> None:
    break_with(broken, "_IS_TORCHAUDIO_EXT_AVAILABLE = True\ndef fail_if_no_align(f): return f")
    code = "import os; from asr_ligru.torchaudio_import import ensure; ensure(); print(os.environ['SB_DISABLE_QUIRKS'])"
    assert python(code, path=broken, SB_DISABLE_QUIRKS="allow_tf32") == "allow_tf32"
    assert python(code, path=broken) == "allow_tf32,disable_jit_profiling"
