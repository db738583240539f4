"""``asr-ligru doctor``, ``ls`` and ``cp``: the machine, and the recipes that come with the package."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path
from typing import Any

from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    doctor = verbs.add_parser("doctor", help="explain this machine: versions, devices, what is missing")
    doctor.set_defaults(run=run_doctor)
    listing = verbs.add_parser("ls", help="list recipes and the other choices")
    listing.add_argument("group", nargs="?", metavar="GROUP", help="one group, such as cell")
    listing.set_defaults(run=run_ls)
    copy = verbs.add_parser("cp", help="copy a recipe to edit it")
    copy.add_argument("recipe", metavar="RECIPE", help="a name that `asr-ligru ls recipe` shows")
    copy.add_argument("folder", type=Path, metavar="DIR", help="gets recipe/RECIPE.yaml")
    copy.set_defaults(run=run_cp)


def run_doctor(options: argparse.Namespace) -> int:
    """Print what the machine has."""
    from asr_ligru.doctor import report

    print(report())
    return 0


def run_ls(options: argparse.Namespace) -> int:
    """Print groups and their choices with the first comment of each file."""
    from asr_ligru import resources
    from asr_ligru.compose import GROUPS, choices

    groups = GROUPS if options.group is None else (options.group,)
    if options.group not in (None, *GROUPS):
        raise ConfigError(f"unknown group {options.group!r}", fix=nearest(options.group, GROUPS))
    for group in groups:
        print(f"{group}=")
        for name in choices(group):
            print(f"  {name:24} {_comment(resources.folder('conf') / group / f'{name}.yaml')}".rstrip())
    return 0


def run_cp(options: argparse.Namespace) -> int:
    """Copy a recipe out of the package and say how to use the copy."""
    from asr_ligru import resources
    from asr_ligru.compose import choices

    known = choices("recipe")
    if options.recipe not in known:
        raise ConfigError(f"unknown recipe {options.recipe!r}", fix=nearest(options.recipe, known))
    target = options.folder / "recipe" / f"my_{options.recipe}.yaml"
    if target.exists():
        raise ConfigError(f"{target} exists", fix="remove it, or choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(resources.folder("conf") / "recipe" / f"{options.recipe}.yaml", target)
    print(f"{target}\nedit it, then: asr-ligru train --config-dir {options.folder} recipe={target.stem}")
    return 0


def _comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line.lstrip("# ").strip() for line in lines if line.startswith("#") and "@package" not in line]
    return textwrap.shorten(comments[0].partition(" Make it:")[0], 53, placeholder=" ...") if comments else ""
