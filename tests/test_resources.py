"""Where packaged folders are found, each case in a fresh interpreter or with the package's own place moved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr_ligru import resources

ROOT = Path(__file__).resolve().parents[1]


def checkout(folder: Path) -> Path:
    """Make a checkout in ``folder`` that was never installed, with one recipe of its own."""
    (folder / "asr_ligru").mkdir(parents=True)
    for name in ("__init__.py", "resources.py"):
        (folder / "asr_ligru" / name).write_bytes((ROOT / "asr_ligru" / name).read_bytes())
    (folder / "conf").mkdir()
    (folder / "conf" / "__init__.py").touch()
    (folder / "recipes" / "town").mkdir(parents=True)
    (folder / "recipes" / "__init__.py").touch()
    (folder / "recipes" / "town" / "prepare.py").write_text("WHERE = __file__\n", encoding="utf-8")
    (folder / "pyproject.toml").touch()
    return folder


def python(code: str, cwd: Path, *options: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    command = [sys.executable, *options, "-c", f"from asr_ligru import resources\n{code}"]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Without site (-S) nothing is installed; with it, this project's own editable install is the other checkout.
@pytest.mark.parametrize("options", [["-S"], []], ids=["nothing_installed", "another_installed"])
@pytest.mark.parametrize("name", ["conf", "recipes"])
def test_folder_checkout_never_installed_is_beside_the_package(tmp_path: Path, name: str, options: list[str]) -> None:
    root = checkout(tmp_path / "checkout")
    assert python(f"print(resources.folder({name!r}))", root, *options) == str(root / name)


@pytest.mark.parametrize("options", [["-S"], []], ids=["nothing_installed", "another_installed"])
def test_recipe_module_checkout_never_installed_is_its_own(tmp_path: Path, options: list[str]) -> None:
    root = checkout(tmp_path / "checkout")
    code = "module = resources.recipe_module('town'); print(module.__name__, module.WHERE)"
    expected = f"asr_ligru.recipes.town.prepare {root / 'recipes' / 'town' / 'prepare.py'}"
    assert python(code, root, *options) == expected


def test_recipe_module_unknown_corpus_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_corpus"):
        resources.recipe_module("no_such_corpus")


def test_folder_this_checkout_holds_yaml() -> None:
    assert resources.folder("conf") == ROOT / "conf"
    assert list(resources.folder("conf").rglob("*.yaml"))


def test_folder_incomplete_installation_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_CHECKOUT", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"asr_ligru\.no_such_folder is not installed"):
        resources.folder("no_such_folder")
