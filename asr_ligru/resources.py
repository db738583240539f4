"""Where ``conf/`` and ``recipes/`` are: in a wheel, an editable install or a checkout never installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_CHECKOUT = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """Return the folder of packaged resources ``name`` ("conf" or "recipes").

    In a checkout it is the one beside the package, also when another checkout is installed.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    beside = _CHECKOUT / name
    if (_CHECKOUT / "pyproject.toml").is_file() and (beside / "__init__.py").is_file():
        return beside
    spec = importlib.util.find_spec(f"asr_ligru.{name}")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    raise FileNotFoundError(f"asr_ligru.{name} is not installed and {beside} does not exist")


def recipe_module(corpus: str, name: str = "prepare") -> ModuleType:
    """Import ``asr_ligru.recipes.<corpus>.<name>``, also in a checkout never installed.

    Args:
        corpus: a folder of ``recipes/``, taken from a closed table: importing runs code.
        name: a module in it.

    Raises:
        FileNotFoundError: the installation is incomplete.
        ModuleNotFoundError: there is no such module.
    """
    _mount("recipes")
    return importlib.import_module(f"asr_ligru.recipes.{corpus}.{name}")


def _mount(name: str) -> None:
    """Make ``folder(name)`` importable as ``asr_ligru.<name>``."""
    full, path = f"asr_ligru.{name}", folder(name)
    if full in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(full, path / "__init__.py", submodule_search_locations=[str(path)])
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path / '__init__.py'} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
