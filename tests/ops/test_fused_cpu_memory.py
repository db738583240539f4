"""Memory for tensors: what the process keeps."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from asr_ligru.ops.fused_cpu import memory

_FAULTS = """
import resource, torch
from asr_ligru.ops.fused_cpu.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(24_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = [faults(), faults()]
assert keep_freed_memory()
for _ in range(12):  # glibc first fills its caches with the few bytes before and behind each aligned tensor
    faults()
print(*before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_keep_freed_memory_next_tensor_costs_no_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", _FAULTS], check=True, capture_output=True, text=True)
    first, second, kept = map(int, done.stdout.split())
    assert second > first / 2  # what this is for: glibc gives the memory back
    assert kept < first / 10


_KERNELS = """
import os, re, sys
from pathlib import Path
import torch
from asr_ligru.ops.fused_cpu.linear import linear
from asr_ligru.ops.fused_cpu.memory import keep_few_kernels

def held_mb():
    return int(re.findall(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0]) / 1e3

torch.set_num_threads(1)
if sys.argv[1] == "few":
    keep_few_kernels()
weights = torch.ones(64, 64)
linear(torch.ones(16, 64), weights)
before = held_mb()
for rows in range(17, 217):
    linear(torch.ones(rows, 64), weights)
print(held_mb() - before)
"""


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="oneDNN multiplies on x86-64")
def test_keep_few_kernels_products_of_many_shapes_leave_little_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # of a run that was trained here before
        monkeypatch.delenv(name, raising=False)

    def grown(how: str) -> float:
        done = subprocess.run([sys.executable, "-c", _KERNELS, how], check=True, capture_output=True, text=True)
        return float(done.stdout)

    assert grown("few") < grown("all") / 2


_GIVEN_BACK = """
from pathlib import Path
import torch
from asr_ligru.ops.fused_cpu.memory import give_back_freed_memory, keep_freed_memory

def held_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

assert keep_freed_memory()
tensor = torch.ones(50_000_000)
last = torch.ones(10)  # above it, so that it is not at the end of the heap
del tensor
kept = held_mb()
assert give_back_freed_memory()
print(kept - held_mb())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to give it back")
def test_give_back_freed_memory_kept_tensor_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", _GIVEN_BACK], check=True, capture_output=True, text=True)
    assert float(done.stdout) > 190  # of 200 MB


def test_keep_freed_memory_other_c_library_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert memory.keep_freed_memory() is False
    assert memory.give_back_freed_memory() is False
