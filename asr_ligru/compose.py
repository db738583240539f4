"""From Hydra's groups and the command line to one ``Config``.

The keys and defaults of ``config.py`` are the base of every composed tree, so any of them can be set without ``+``.
Configurations are data: a group is a plain name and no resolver can read the environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from asr_ligru import resources
from asr_ligru.config import Config, as_dict, build
from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest
from asr_ligru.safety import printable
from asr_ligru.user_conf import NAME, check_folder

GROUPS = ("cell", "model", "features", "adapt", "tokens", "corpus", "train", "decode", "recipe", "debug")
# What a run folder's name says anyway, or what does not make it another run.
_NOT_IN_NAME = (
    "recipe",
    "corpus",
    "seed",
    "exp_root",
    "exp_dir",
    "run_name",
    "train.progress",
    "train.threads",
    "train.augment.noise_dir",
    "train.augment.room_dir",
    "decode.split",
)
_RUN_NAME = re.compile(r"(?=.{1,100}\Z)[\w=+-][\w .=+-]*")
_RESOLVERS = ("oc.env", "oc.decode", "oc.create", "oc.deprecated", "oc.dict.keys", "oc.dict.values")


@dataclass(frozen=True)
class Launch:
    """One run to make: its configuration and the overrides that led to it."""

    config: Config
    overrides: tuple[str, ...]


def compose(overrides: Sequence[str]) -> Config:
    """Compose one configuration.

    Args:
        overrides: as on the command line, such as ``recipe=an4_ctc`` and ``train.lr=2e-3``.

    Raises:
        ConfigError: a wrong group, key or value; the message names the nearest known one.
    """
    _prepare()
    check_overrides(overrides)
    try:
        with hydra.initialize_config_dir(str(resources.folder("conf")), version_base="1.3"):
            tree = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
        return _finish(tree).config
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_first_line(error), where=" ".join(overrides)) from error


def launch(arguments: Sequence[str], task: Callable[[Launch], None]) -> None:
    """Run ``task`` once, or once for each point of a sweep, as Hydra's command line says.

    Args:
        arguments: overrides and Hydra's own options (``-m``, ``--config-dir=DIR``).
        task: called with each run's configuration.

    Raises:
        ConfigError: a wrong group, key or value, found before the first run starts.
        Exception: the first that ``task`` raised; the other runs of a sweep were made all the same. ``task`` may run
            in other processes, as Hydra's launchers do it.
    """
    _prepare()
    folders = _config_dirs(arguments)
    overrides = [a for a in arguments if not a.startswith("-")]
    check_overrides(overrides, folders)
    entry = hydra.main(version_base="1.3", config_path=str(resources.folder("conf")), config_name="config")
    errors: list[Exception] = []
    home = os.getpid()

    def guarded(tree: DictConfig) -> None:
        try:
            task(_finish(tree))
        except Exception as error:  # raised again below: Hydra would print it its own way and exit with 1
            if os.getpid() != home:  # a launcher's process, from which Hydra brings it here
                raise
            errors.append(error)

    previous, sys.argv = sys.argv, ["asr-ligru train", *arguments]
    try:
        with _hydra_raises():
            entry(guarded)()
    except (HydraException, OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(_first_line(error), where=" ".join(arguments)) from error
    finally:
        sys.argv = previous
    if errors:
        raise errors[0]


def check_overrides(overrides: Sequence[str], folders: Sequence[Path] = ()) -> None:
    """Check names of groups, their choices and keys, before Hydra does it in its own words.

    Args:
        overrides: as on the command line.
        folders: of a user's own groups.

    Raises:
        ConfigError: the first wrong one, with the nearest known name.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(_first_line(error), where=" ".join(overrides), fix="write key=value") from error
    for override in parsed:
        key = override.key_or_group
        if key.startswith("hydra"):
            _check_hydra_key(override)
        elif key in GROUPS and not isinstance(override.value(), dict):
            _check_choice(override, folders)
        else:
            _check_key(key)


def choices(group: str, folders: Sequence[Path] = ()) -> list[str]:
    """Return the names a group offers, here and in a user's own folders, sorted."""
    return sorted({p.stem for folder in (resources.folder("conf"), *folders) for p in (folder / group).glob("*.yaml")})


def _prepare() -> None:
    for name in _RESOLVERS:  # oc.env and its like would copy secrets into saved configurations
        OmegaConf.clear_resolver(name)
    tree = as_dict(Config())
    ConfigStore.instance().store(name="defaults_of_code", node=tree)


def _check_hydra_key(override: Override) -> None:
    allowed = ("hydra/launcher", "hydra/sweeper", "hydra.launcher.", "hydra.sweeper.", "hydra.sweep.dir", "hydra.mode")
    if not override.key_or_group.startswith(allowed):
        raise ConfigError(f"{override.key_or_group} cannot be set", fix=f"may be set: {', '.join(allowed)}")


def _check_choice(override: Override, folders: Sequence[Path]) -> None:
    group = override.key_or_group
    values = list(override.sweep_string_iterator()) if override.is_sweep_override() else [override.value()]
    known = choices(group, folders)
    for value in values:
        if value is not None and not NAME.fullmatch(str(value)):
            raise ConfigError(f"{group}={value}: a name has only a-z, 0-9 and _", fix=nearest(str(value), known))
        if value is not None and str(value) not in known:
            raise ConfigError(f"unknown {group} {value!r}", fix=nearest(str(value), known))


def _config_dirs(arguments: Sequence[str]) -> list[Path]:
    folders = [Path(a.split("=", 1)[1]) for a in arguments if a.startswith("--config-dir=")]
    for folder in folders:
        check_folder(folder, GROUPS)
    return folders


def _check_key(key: str) -> None:
    cls: Any = Config
    path = ""
    for part in key.lstrip("+~").split("."):
        known = {f.name: f for f in fields(cls)} if is_dataclass(cls) else {}
        if part not in known:
            raise ConfigError(
                f"unknown key {key!r}: {path + part!r} does not exist",
                fix=nearest(part, known) if known else f"{path.rstrip('.')} has no keys below it",
            )
        cls, path = type(known[part].default), f"{path}{part}."


def _finish(tree: DictConfig) -> Launch:
    """Turn a composed tree (with ``hydra``) into a checked configuration with its folder."""
    if HydraConfig.initialized():
        node, overrides = HydraConfig.get(), list(HydraConfig.get().overrides.task)
    else:
        node = tree.hydra
        overrides = list(node.overrides.task)
    _refuse_resolvers(OmegaConf.to_container(tree, resolve=False))
    try:
        plain = OmegaConf.to_container(tree, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(_first_line(error), fix="references go to other keys, and not in a circle") from error
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    run_name = str(plain["run_name"])
    if not _RUN_NAME.fullmatch(run_name):
        what = f"run_name {printable(run_name[:100])!r} cannot be a folder's name"
        raise ConfigError(
            what, fix="at most 100 letters, digits, blanks, _ . = + and -, not beginning with a . or blank"
        )
    if not plain["exp_dir"]:
        name = run_folder_name(node.runtime.choices, overrides, int(plain["seed"]))
        plain["exp_dir"] = str(Path(plain["exp_root"]) / plain["run_name"] / name)
    return Launch(build(Config, {str(k): v for k, v in plain.items()}), tuple(overrides))


def _refuse_resolvers(tree: Any) -> None:
    """Only references within the configuration are allowed; ``hydra`` is its own and not looked at."""
    for key, value in tree.items():
        if isinstance(value, dict) and key != "hydra":
            _refuse_resolvers(value)
        elif isinstance(value, str) and re.search(r"\$\{.*:", value, re.DOTALL):
            raise ConfigError(f"{key}: {value!r} calls a resolver", fix="write the value itself, or ${another.key}")


def run_folder_name(chosen: Mapping[str, Any], overrides: Sequence[str], seed: int) -> str:
    """Name a run by what distinguishes it: groups, changed keys, seed.

    The same command gives the same name, which is how it resumes; another setting gives another.
    """
    changed = [
        re.sub(r"[^A-Za-z0-9_.=-]+", "_", o.lstrip("+~"))
        for o in sorted(overrides)
        if o.split("=")[0].lstrip("+~") not in (*GROUPS, *_NOT_IN_NAME)
        and not o.startswith(("hydra.", "hydra/", "corpus.dir"))
    ]
    parts = [str(chosen[g]) for g in ("cell", "features", "tokens")]
    return "-".join([*parts, *changed, f"seed{seed}"])


def _first_line(error: Exception) -> str:
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0])


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Let Hydra raise what it would print before it ends the process."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        del os.environ["HYDRA_FULL_ERROR"]
        if before is not None:
            os.environ["HYDRA_FULL_ERROR"] = before
