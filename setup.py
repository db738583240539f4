"""Which folders are packages; everything else about the project is in pyproject.toml."""

from __future__ import annotations

from setuptools import find_namespace_packages, setup

# package -> its folder; each folder below, also one that holds only YAML, is a package too
ROOTS = {"asr_ligru": "asr_ligru", "asr_ligru.conf": "conf", "asr_ligru.recipes": "recipes"}


def packages() -> list[str]:
    """Return the names of all packages, found on the disk."""
    found = list(ROOTS)
    for root, folder in ROOTS.items():
        found += [f"{root}.{name}" for name in find_namespace_packages(folder, exclude=["*__pycache__*"])]
    return found


setup(packages=packages(), package_dir=ROOTS)
