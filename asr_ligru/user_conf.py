"""YAML files of a user's own, looked at before Hydra sees them: they choose and set values, and do nothing else.

Hydra calls what its own section of a configuration names: callbacks, log handlers, launchers. It also sets
environment variables and folders. So a file from elsewhere must not reach that section.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from asr_ligru.errors import ConfigError
from asr_ligru.safety import printable

NAME = re.compile(r"[a-z0-9_]+")  # of a choice
_MAX_FILE_BYTES = 256_000
# A few hundred bytes of aliases that name lists of aliases unfold to gigabytes.
_ANCHOR_OR_ALIAS = re.compile(r"(?:^|[\s\[\]{},:?-])[&*][^\s]", re.MULTILINE)
_PACKAGE = re.compile(r"#\s*@\s*(\S+)[^\S\n]*(\S*)")
_GROUP = re.compile(r"(?:override\s+)?/?([a-z0-9_]+)")
_NOT_IN_FILES = ("hydra", "exp_root", "exp_dir")


def check_folder(folder: Path, groups: Sequence[str]) -> None:
    """Refuse a folder for ``--config-dir`` with anything in it that is more than choices and values.

    Args:
        folder: holds ``<group>/<name>.yaml``.
        groups: the groups there are; other folders are never read.

    Raises:
        ConfigError: no folder, or a file that is too large, no YAML, has anchors, a section ``hydra``, or names
            anything but a group's choice in its ``defaults``; the message says which and where.
    """
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {folder} is not a folder")
    if (folder / "hydra").exists():
        raise ConfigError("a folder of configurations cannot have a group `hydra`", where=str(folder / "hydra"))
    for group in groups:
        for path in sorted((folder / group).glob("*.yaml")):
            try:
                _check_file(path, groups)
            except ValueError as error:
                what = f"not a configuration that can be used: {printable(str(error))}"
                raise ConfigError(
                    what, where=printable(str(path)), fix="`asr-ligru cp` makes a file to begin with"
                ) from error


def _check_file(path: Path, groups: Sequence[str]) -> None:
    """Raise ValueError with the reason to refuse a file."""
    if not path.is_file():
        raise ValueError("no regular file")
    with path.open("rb") as file:
        raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise ValueError(f"longer than {_MAX_FILE_BYTES} bytes")
    text = raw.decode("utf-8")
    if _ANCHOR_OR_ALIAS.search(text):
        raise ValueError("anchors and aliases (a word after & or *) are not used here, not even in a comment")
    if any(header != ("package", "_global_") for header in _PACKAGE.findall(text)):
        raise ValueError("the only header that is used here is `# @package _global_`")
    tree = _parsed(text)
    if not isinstance(tree, dict):
        raise ValueError("expected `key: value` lines")
    for key in _NOT_IN_FILES:
        if key in tree:
            raise ValueError(f"{key} can be set on the command line only")
    _check_defaults(tree.get("defaults", []), groups)


def _parsed(text: str) -> Any:
    try:
        return OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except Exception as error:  # whatever a parser of YAML comes upon in text of unknown origin
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(" ".join(line.strip() for line in lines[:4])[:300]) from error


def _check_defaults(defaults: Any, groups: Sequence[str]) -> None:
    for entry in defaults if isinstance(defaults, list) else [defaults]:
        if entry == "_self_":
            continue
        [(key, value)] = entry.items() if isinstance(entry, dict) and len(entry) == 1 else [("", entry)]
        group = _GROUP.fullmatch(str(key))
        known = group is not None and group[1] in groups
        if not known or not (value is None or (isinstance(value, str) and NAME.fullmatch(value))):
            shown = str(entry)[:100]
            raise ValueError(f"defaults: expected `override /group: name` with a group of these, got {shown!r}")
