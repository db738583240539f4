"""The Triton kernels compiled ahead of time, for which no GPU is needed: do they fit, and spill no register?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from triton_case import CELLS, why_not_here

pytestmark = pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "compiled")

MOST_SHARED_BYTES = {80: 166912, 90: 232448}
SCRIPT = Path(__file__).parent / "triton_compile.py"

# Every cell, architecture, size and type once, in few kernels; the full product is a slow test.
FEW = ["ligru,bfloat16,1024,90", "sligru,bfloat16,550,90", "libru_arith,float32,300,80", "libru_geo,float16,64,80"]
ALL = [",".join(case) for case in product(CELLS, ("bfloat16", "float32"), ("64", "300", "550", "1024"), ("80", "90"))]
ALL.remove("sligru,float32,1024,80")  # refused there: its 128 programs do not run at the same time


def compile_all(cases: list[str]) -> list[dict[str, Any]]:
    """Compile in another process, in which kernels are not interpreted."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPT.parents[2]), environment.get("PYTHONPATH", "")])
    command = [sys.executable, str(SCRIPT), *cases]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def most_stack_bytes(case: str) -> int:
    """Return the stated bound: 4 registers of an SLi-GRU in float32, none elsewhere."""
    return 16 if case.startswith("sligru,float32") else 0


def assert_fit(cases: list[str]) -> None:
    found = compile_all(cases)
    assert {(x["case"], x["kernel"]) for x in found} == set(product(cases, ("forward", "backward")))
    spilled = [x for x in found if x["stack"] > most_stack_bytes(x["case"])]
    too_large = [x for x in found if x["shared"] > MOST_SHARED_BYTES[int(x["case"].rpartition(",")[2])]]
    assert (spilled, too_large) == ([], [])


def test_kernels_few_sizes_fit_and_spill_nothing() -> None:
    assert_fit(FEW)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["80", "90"])
@pytest.mark.parametrize("cell", CELLS)
def test_kernels_all_sizes_fit_and_spill_nothing(cell: str, arch: str) -> None:
    assert_fit([case for case in ALL if case.startswith(f"{cell},") and case.endswith(f",{arch}")])
