"""The wheel, built from the source distribution, installed elsewhere and run without the checkout."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
# folder of the checkout -> where it is in the wheel; must agree with setup.py
ROOTS = {"asr_ligru": "asr_ligru", "conf": "asr_ligru/conf", "recipes": "asr_ligru/recipes"}
TEXT = {".py", ".yaml", ".json", ".md", ".txt", ".c", ".h", ".cpp", ".html", ".css", ".js"}
TEXT_NAMES = {"py.typed", "METADATA", "WHEEL", "RECORD", "LICENSE"}
NOT_SHIPPED = {"__pycache__", ".so", ".pyc"}


@dataclass(frozen=True)
class Installed:
    """A wheel and the folder it was installed into."""

    members: tuple[str, ...]
    site: Path
    elsewhere: Path  # an empty folder to run in

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python without site (-S), so that the checkout's own editable install cannot lend a module."""
        search = [self.site, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search))}
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(
            command, cwd=self.elsewhere, env=environment, capture_output=True, encoding="utf-8", check=False
        )


# the first version without each hole that is known
MENDED = {"torch": (2, 6), "tqdm": (4, 66, 3), "sentencepiece": (0, 2, 1), "starlette": (0, 49, 1), "onnx": (1, 21),
          "setuptools": (78, 1, 1)}  # fmt: skip


def test_floors_let_no_version_with_a_known_hole_in() -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    every = [*project["build-system"]["requires"], *project["project"]["dependencies"], *itertools.chain(*extras)]
    floors = dict(re.findall(r"^([\w-]+)>=([\d.]+)", item)[0] for item in every if ">=" in item)
    for name, mended in MENDED.items():
        assert tuple(map(int, floors[name].split("."))) >= mended, name


def shipped_sources() -> Iterator[PurePosixPath]:
    """Yield where the wheel must have each file of the packaged folders."""
    for folder, inside in ROOTS.items():
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and NOT_SHIPPED.isdisjoint({*path.parts, path.suffix}):
                yield PurePosixPath(inside) / path.relative_to(ROOT / folder).as_posix()


def checked(command: list[str], cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy_of_checkout(folder: Path) -> Path:
    """Copy what is built from, without anything that was built."""
    for name in ROOTS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, folder)
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build sdist and wheel from a copy of the checkout, without network, and install the wheel into a folder."""
    base = tmp_path_factory.mktemp("packaging")
    source = copy_of_checkout(base / "source")
    checked([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(base / "dist"), "."], source)
    (wheel,) = (base / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(base / "site")]
    checked([*pip, str(wheel)], base)
    (base / "elsewhere").mkdir()
    with zipfile.ZipFile(wheel) as archive:
        return Installed(tuple(archive.namelist()), base / "site", base / "elsewhere")


def test_wheel_members_hold_every_file_of_the_packaged_folders(installed: Installed) -> None:
    missing = {str(path) for path in shipped_sources()} - set(installed.members)
    assert not missing, "not in the wheel: list their suffix in pyproject.toml, tool.setuptools.package-data"


def test_wheel_members_are_text_and_at_most_one_library(installed: Installed) -> None:
    paths = [PurePosixPath(name) for name in installed.members]
    others = [p for p in paths if p.suffix not in TEXT and p.name not in TEXT_NAMES]
    libraries = [p for p in others if p.suffix == ".so"]
    assert others == libraries
    assert len(libraries) <= 1
    assert {p.parts[0].split("-")[0] for p in paths} == {"asr_ligru"}


def test_wheel_members_hold_no_tests_tools_or_paths_outside(installed: Installed) -> None:
    for name in installed.members:
        assert not {"tests", "tools", "docs", "..", ""} & set(name.split("/")), name


def test_wheel_packages_import_outside_the_checkout(installed: Installed) -> None:
    code = "import asr_ligru, asr_ligru.conf, asr_ligru.recipes; print(asr_ligru.__file__, asr_ligru.conf.__file__)"
    done = installed.run("-c", code)
    assert done.returncode == 0, done.stderr
    folder = installed.site / "asr_ligru"
    assert done.stdout.split() == [str(folder / "__init__.py"), str(folder / "conf" / "__init__.py")]


def test_wheel_resources_are_the_installed_ones(installed: Installed) -> None:
    code = "from asr_ligru.resources import folder; print(folder('conf'), folder('recipes'))"
    done = installed.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(installed.site / "asr_ligru" / name) for name in ("conf", "recipes")]


def test_wheel_composes_each_recipe_outside_the_checkout(installed: Installed) -> None:
    code = (
        "from asr_ligru.compose import choices, compose\n"
        "for name in choices('recipe'): print(name, compose([f'recipe={name}']).run_name)"
    )
    done = installed.run("-c", code)
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))


def test_wheel_command_prints_help_outside_the_checkout(installed: Installed) -> None:
    done = installed.run(str(installed.site / "bin" / "asr-ligru"), "--help")
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout
    assert "decode" in done.stdout


def test_pip_install_without_compiler_runs_and_says_what_is_missing(tmp_path: Path) -> None:
    source, site, empty = copy_of_checkout(tmp_path / "source"), tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--no-compile",
    ]
    checked([*pip, "--target", str(site), str(source)], tmp_path, PATH=str(empty))
    code = "import torch, asr_ligru; print(asr_ligru.LiGRU(4, 5)(torch.randn(7, 3, 4))[0].shape)"
    done = Installed((), site, empty).run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.Size([7, 3, 5])"
    (line,) = done.stderr.strip().splitlines()
    assert "runs with backend stepped" in line
    assert "no C compiler was found when asr-ligru was installed" in line


def test_editable_install_maps_resources_into_the_package() -> None:
    code = "import asr_ligru.conf, asr_ligru.recipes; print(asr_ligru.conf.__file__, asr_ligru.recipes.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("conf", "recipes")]
