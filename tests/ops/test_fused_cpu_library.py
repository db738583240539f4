"""Finding, loading and building the compiled core, and the threads that call it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from asr_ligru.ops import fused_cpu
from asr_ligru.ops.fused_cpu import library, pool
from asr_ligru.ops.fused_cpu.tiles import split_rows

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def _fresh() -> Iterator[None]:
    library._load.cache_clear()
    yield
    library._load.cache_clear()


@pytest.mark.usefixtures("_fresh")
def test_refusal_library_missing_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "_core.so")
    assert "no C compiler was found" in fused_cpu.refusal()
    with pytest.raises(RuntimeError, match="not installed"):
        library.core()


@pytest.mark.usefixtures("_fresh")
def test_refusal_damaged_library_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "_core.so")
    library.LIBRARY.write_bytes(b"not a library")
    assert "does not load here" in fused_cpu.refusal()


@pytest.mark.usefixtures("_fresh")
@pytest.mark.skipif(not library.LIBRARY.exists(), reason="the core is not compiled")
def test_refusal_library_of_another_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "ABI", -1)
    assert "another version" in fused_cpu.refusal()


@pytest.mark.usefixtures("_fresh")
@pytest.mark.skipif(not library.LIBRARY.exists(), reason="the core is not compiled")
def test_refusal_unknown_core_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_LIGRU_CPU_CORE", "mmx")
    assert "ASR_LIGRU_CPU_CORE" in fused_cpu.refusal()


def test_run_all_failed_call_raises_after_all_ran() -> None:
    ran = []

    def call(result: int) -> int:
        ran.append(result)
        return result

    with pytest.raises(MemoryError, match="private buffers"):
        pool.run_all([lambda: call(1), lambda: call(0), lambda: call(0)])
    assert sorted(ran) == [0, 0, 1]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 3, 64])
@pytest.mark.parametrize("batch", [1, 5, 200])
def test_split_rows_every_row_once_longest_first(shared: bool, threads: int, batch: int) -> None:
    lens = torch.randint(0, 50, (batch,), generator=torch.Generator().manual_seed(3))
    tiles = split_rows(2, lens, shared=shared, threads=threads)
    assert sorted(torch.cat(tiles).tolist()) == list(range(2 * batch))
    for tile in tiles:
        frames = lens[tile % batch]
        assert torch.equal(frames, frames.sort(descending=True).values)
        assert shared or len(set((tile // batch).tolist())) == 1
    assert len(tiles) >= min(threads, 2 * batch if shared else 2)


def _build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["build_ext", "--build-lib", str(folder / "lib"), "--build-temp", str(folder / "temp")]
    return subprocess.run(
        [sys.executable, "setup.py", *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_build_without_compiler_leaves_the_core_out(tmp_path: Path) -> None:
    result = _build(tmp_path, CC="no-such-compiler")
    assert result.returncode == 0, result.stderr
    assert "asr_ligru.ops.fused_cpu._core" in result.stderr
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.skipif(shutil.which(sysconfig.get_config_var("CC").split()[0]) is None, reason="no C compiler")
def test_build_with_compiler_makes_a_library_without_a_python_version_in_its_name(tmp_path: Path) -> None:
    result = _build(tmp_path)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "lib").rglob("*.so")] == ["_core.so"]
