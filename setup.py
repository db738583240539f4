"""Which folders are packages, and the optional compiled core; everything else is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, find_namespace_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

# package -> its folder; each folder below, also one that holds only YAML, is a package too
ROOTS = {"asr_ligru": "asr_ligru", "asr_ligru.conf": "conf", "asr_ligru.recipes": "recipes"}

FUSED_CPU = "asr_ligru/ops/fused_cpu"


def packages() -> list[str]:
    """Return the names of all packages, found on the disk."""
    found = list(ROOTS)
    for root, folder in ROOTS.items():
        found += [f"{root}.{name}" for name in find_namespace_packages(folder, exclude=["*__pycache__*"])]
    return found


def core() -> Extension:
    """Describe the compiled CPU recurrence; without a C compiler it is left out and plain torch takes its place."""
    return Extension(
        FUSED_CPU.replace("/", ".") + "._core",
        sources=sorted(path.as_posix() for path in Path(FUSED_CPU, "csrc").glob("*.c")),
        depends=sorted(path.as_posix() for path in Path(FUSED_CPU, "csrc").glob("*.h")),
        extra_compile_args=["-O3", "-g0", "-std=gnu11", "-fvisibility=hidden", "-Wno-psabi"],
        libraries=["m"],
        optional=True,
    )


class BuildCore(build_ext):
    """A plain shared library opened by ctypes: its file name names no Python version."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path of the library under the build folder."""
        return fullname.replace(".", "/") + ".so"


class TagWheel(bdist_wheel):
    """The core depends on the platform, on no version of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the wheel's tags: Python, ABI, platform."""
        return "py3", "none", super().get_tag()[2]


setup(
    packages=packages(),
    package_dir=ROOTS,
    ext_modules=[core()],
    cmdclass={"build_ext": BuildCore, "bdist_wheel": TagWheel},
)
