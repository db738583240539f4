"""The commands of README and CONTRIBUTING against the Makefile, the command line and the configurations."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from asr_ligru import compose, doctor

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/decisions/0001-first-decisions.md")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = {"source .venv/bin/activate", "python3 -m venv .venv"}  # understood by everybody, tried by `make`


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(*programs: str) -> list[list[str]]:
    """Return the words of each command of these programs (all when none is named) in README and CONTRIBUTING."""
    lines = [line for page in PAGES[:2] for block in BLOCK.findall(text(page)) for line in block.splitlines() if line]
    words = [shlex.split(line, comments=True) for line in lines if line not in SHELL]
    return [found for found in words if found and (not programs or found[0] in programs)]


def joined(words: list[str]) -> str:
    return " ".join(words)


def test_commands_programs_are_known() -> None:
    assert {words[0] for words in commands()} == {"make", "pip", "asr-ligru"}


@pytest.mark.parametrize("words", commands("make"), ids=joined)
def test_commands_make_target_exists(words: list[str]) -> None:
    targets = re.findall(r"^(\w+):.*## ", text("Makefile"), re.MULTILINE)
    assert [word for word in words[1:] if "=" not in word and word not in targets] == []


def test_makefile_targets_are_declared_and_explained() -> None:
    (declared,) = re.findall(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)
    assert re.findall(r"^(\w+):.*## ", text("Makefile"), re.MULTILINE) == declared.split()


@pytest.mark.parametrize("words", commands("pip"), ids=joined)
def test_commands_pip_installs_what_the_project_declares(words: list[str]) -> None:
    project = text("pyproject.toml")
    (wanted,) = [word for word in words[2:] if not word.startswith(("-", "https:"))]
    extra = re.fullmatch(r"\.\[(\w+)\]", wanted)
    assert extra[1] in doctor.extras() if extra else f'"{wanted}"' in project


@pytest.mark.parametrize("words", commands("asr-ligru"), ids=joined)
def test_commands_asr_ligru_options_exist(words: list[str]) -> None:
    from asr_ligru.cli import build_parser

    arguments, rest = build_parser().parse_known_args(words[1:])
    assert arguments.verb == words[1]
    assert words[1] == "train" or not rest


@pytest.mark.parametrize("words", [w for w in commands("asr-ligru") if w[1] == "train"], ids=joined)
def test_commands_train_settings_compose(words: list[str]) -> None:
    settings = [word for word in words[2:] if word != "-m"]
    compose.check_overrides(settings)
    assert compose.compose([word.split(",")[0] for word in settings]).run_name


def test_extras_table_names_each_extra() -> None:
    (table,) = re.findall(r"^\| extra \|.*?\n\n", text("README.md"), re.MULTILINE | re.DOTALL)
    rows = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == set(doctor.extras())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_of_the_checkout(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text(page))
    inside = [target for target in targets if not target.startswith("https://")]
    assert [target for target in inside if not (ROOT / page).parent.joinpath(target).exists()] == []
    assert "http://" not in text(page)


def test_layout_table_names_folders_that_exist() -> None:
    (table,) = re.findall(r"^\| folder \|.*?\n\n", text("README.md"), re.MULTILINE | re.DOTALL)
    names = [name for row in table.splitlines()[2:] if row for name in re.findall(r"`([\w/]+)`", row.split("|")[1])]
    places = (ROOT, ROOT / "asr_ligru")
    assert [name for name in names if not any((place / name).is_dir() for place in places)] == []
