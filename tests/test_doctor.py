"""The report against the package metadata, in machines that lack something, and with secrets around."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
import soundfile
import torch

from asr_ligru import doctor
from asr_ligru.ops import fused_triton

ROOT = Path(__file__).resolve().parents[1]


def line(report: str, topic: str) -> str:
    (found,) = [text for text in report.splitlines() if text[:15].strip() == topic]
    return found


def report_in_new_process(*, path: Path | None = None, **variables: str) -> str:
    search = os.pathsep.join(str(p) for p in (path, ROOT) if p)
    command = [sys.executable, "-c", "from asr_ligru import doctor; print(doctor.report())"]
    environment = {**os.environ, "PYTHONPATH": search, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report() -> str:
    return doctor.report()


@pytest.mark.parametrize("library", ["torch", "torchaudio", *doctor.LIBRARIES])
def test_report_installed_library_has_its_version(report: str, library: str) -> None:
    assert metadata.version(library) in line(report, library)


def test_report_torch_says_what_it_was_built_for(report: str) -> None:
    expected = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs"
    assert expected in line(report, "torch")
    assert ("none can be used" in line(report, "gpu")) == (not torch.cuda.is_available())


@dataclass
class Properties:
    """What torch says of a device."""

    name: str = "NVIDIA H100"
    total_memory: int = 80 * 2**30
    major: int = 9
    minor: int = 0


@pytest.mark.parametrize(
    ("devices", "finding"),
    [
        (2, "NVIDIA H100, 80 GiB, compute capability 9.0; NVIDIA H100"),
        (0, "no device, or a driver older than CUDA 13.0"),
    ],
)
def test_report_gpu_build_names_devices_or_why_there_are_none(
    monkeypatch: pytest.MonkeyPatch, devices: int, finding: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(fused_triton, "refusal", lambda cell, dtype, hidden_size: "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties())
    report = doctor.report()
    assert finding in line(report, "gpu")
    assert "built for CUDA 13.0" in line(report, "torch")


def test_report_soundfile_names_the_formats_it_reads(report: str) -> None:
    assert soundfile.__libsndfile_version__ in line(report, "soundfile")
    assert {"wav", "flac", "nist"} <= set(line(report, "soundfile").split())


def test_report_soundfile_without_a_codec_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "", "FLAC": "", "OGG": ""})
    monkeypatch.setattr(soundfile, "available_subtypes", lambda name: {"VORBIS": ""} if name == "OGG" else {})
    found = line(doctor.report(), "soundfile")
    assert "reads wav flac ogg vorbis;" in found
    assert found.endswith("not mp3 nist aiff au w64 caf opus ulaw alaw: pip install -U soundfile")


@pytest.mark.parametrize(("reason", "finding"), [("", ", ready"), ("no such GPU", ", not used: no such GPU")])
def test_report_triton_says_whether_the_kernels_run(reason: str, finding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(fused_triton, "refusal", lambda cell, dtype, hidden_size: reason)
    assert line(doctor.report(), "triton").endswith(f"{metadata.version('triton')}{finding}")


def test_report_gpu_that_torch_is_not_built_for_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(doctor, "_DRIVER", tmp_path)
    assert "built for CPUs: pip install --force-reinstall torch" in line(doctor.report(), "gpu")


def test_extras_match_the_project_file() -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    expected = {name: tuple(item.split(">=")[0] for item in items if ">=" in item) for name, items in tables.items()}
    assert doctor.extras() == expected


def test_report_missing_extra_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    present = metadata.version

    def version(name: str) -> str:
        if name in ("kenlm", "espeakng-loader"):
            raise metadata.PackageNotFoundError(name)
        return present(name)

    monkeypatch.setattr(metadata, "version", version)
    report = doctor.report()
    assert line(report, "extra lm").endswith('not installed (kenlm): pip install "asr-ligru[lm]"')
    assert line(report, "extra demo").endswith('not installed (espeakng-loader): pip install "asr-ligru[demo]"')


def test_report_package_never_installed_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert doctor.extras() == {}
    assert "extra" not in doctor.report()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (
            "raise OSError('/home/someone/lib/libsndfile.so: cannot open')",
            "cannot be imported: libsndfile.so: cannot open",
        ),
        ("raise ModuleNotFoundError(name='soundfile')", "not installed (soundfile): pip install"),
    ],
)
def test_report_broken_library_is_a_finding(tmp_path: Path, statement: str, finding: str) -> None:
    (tmp_path / "soundfile.py").write_text(statement, encoding="utf-8")
    report = report_in_new_process(path=tmp_path)
    assert finding in line(report, "soundfile")
    assert "someone" not in report


def test_report_broken_library_of_an_extra_is_a_finding(tmp_path: Path) -> None:
    pytest.importorskip("kaldiio")
    (tmp_path / "kaldiio.py").write_text("raise ImportError('/home/someone/kaldiio.so: no symbol')", encoding="utf-8")
    found = line(report_in_new_process(path=tmp_path), "extra kaldi")
    assert found.endswith("kaldiio installed, but cannot be imported: kaldiio.so: no symbol")


def test_report_torchaudio_of_another_build_is_explained(tmp_path: Path) -> None:
    package = tmp_path / "torchaudio"
    (package / "_extension").mkdir(parents=True)
    (package / "__init__.py").write_text("from . import _extension", encoding="utf-8")
    broken = "raise RuntimeError('built with CUDA 12.9, torch with 13.0')"
    (package / "_extension" / "__init__.py").write_text(broken, encoding="utf-8")
    found = line(report_in_new_process(path=tmp_path), "torchaudio")
    assert "without its compiled part" in found
    assert "built with CUDA 12.9, torch with 13.0" in found


@pytest.mark.parametrize(
    ("value", "advice"), [("passive", "is passive"), ("PASSIVE", "is passive"), ("active", "export")]
)
def test_report_wait_policy_is_judged(monkeypatch: pytest.MonkeyPatch, value: str, advice: str) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", value)
    (found,) = [text for text in doctor.report().splitlines() if "OMP_WAIT_POLICY" in text]
    assert advice in found


def test_report_environment_values_and_home_are_not_printed() -> None:
    names = [f"PLANTED_{i}" for i in range(16)] + ["AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "CC", "CXX"]
    planted = {name: f"canary-{i}-of-{name}" for i, name in enumerate(names)}
    report = report_in_new_process(**planted)
    assert "canary" not in report
    assert str(Path.home()) not in report
    assert str(ROOT) not in report
