"""The tests for a GPU can be collected on a machine that has torch, triton and pytest only, from a plain checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Hides every installed distribution but these, and the editable installation of this project.
ALONE = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions

NEEDED = {"torch", "torchgen", "functorch", "triton", "pytest", "_pytest", "pluggy", "iniconfig", "packaging"}
NEEDED |= {"pygments", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec", "filelock", "typing_extensions"}
HIDDEN = {name for name in packages_distributions() if name not in NEEDED and name not in sys.modules}
find = PathFinder.find_spec.__func__


def find_needed(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in HIDDEN else find(cls, name, path, target)


PathFinder.find_spec = classmethod(find_needed)
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
HIDDEN.discard("asr_ligru")
"""


def test_gpu_tests_without_other_packages_are_collected(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(ALONE, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "alone", "-m", "gpu", "--collect-only", "-q"]
    done = subprocess.run(
        [*command, "tests/ops", "tests/nn"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "test_triton_gpu.py::" in done.stdout
    assert "test_triton_encoder.py::" in done.stdout
