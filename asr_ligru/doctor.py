"""What is installed, whether it fits together, and what to type where something is missing.

Versions and names only: no paths, no values of environment variables, which may be secrets.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path

from asr_ligru import __version__, torchaudio_import
from asr_ligru.safety import printable

LIBRARIES = ("speechbrain", "hydra-core", "sentencepiece", "jiwer", "safetensors", "numpy")
_EXTRA = re.compile(r"""^(?P<library>[\w.-]+).*extra\s*==\s*['"](?P<extra>[\w-]+)['"]""")
_FORMATS = ("WAV", "FLAC", "MP3", "OGG", "NIST", "AIFF", "AU", "W64", "CAF")
_CODECS = ("VORBIS", "OPUS", "ULAW", "ALAW")  # inside of these formats
_DRIVER = Path("/proc/driver/nvidia/version")
_MODULES = {"hydra-core": "hydra"}  # where the module has another name
_HIDDEN_SIZE = 512  # units for which the GPU paths are asked


def report() -> str:
    """Return the state of this installation as lines of "topic   finding", ready to be printed.

    What cannot be imported is a finding, with the reason; nothing is raised.
    """
    rows = [
        ("asr-ligru", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("torch", _attempt(_torch)),
        ("gpu", _attempt(_gpu)),
        ("triton", _attempt(_triton)),
        ("compiler", _compiler()),
        ("fused cpu", _attempt(_fused_cpu)),
        ("torchaudio", _attempt(_torchaudio)),
        ("soundfile", _attempt(_soundfile)),
        *((library, _attempt(partial(_library, library))) for library in LIBRARIES),
        ("threads", _attempt(_threads)),
        ("", _wait_policy()),
        *((f"extra {name}", _extra(name, libraries)) for name, libraries in extras().items()),
    ]
    return "\n".join(f"{topic:<15}{printable(finding)}" for topic, finding in rows)


def extras() -> dict[str, tuple[str, ...]]:
    """Return what each extra of this package installs; empty when the package itself was never installed."""
    found: dict[str, tuple[str, ...]] = {}
    for requirement in _requirements():
        match = _EXTRA.match(requirement)
        if match and match["library"] != "asr-ligru":
            found[match["extra"]] = (*found.get(match["extra"], ()), match["library"])
    return found


def _requirements() -> list[str]:
    try:
        return metadata.requires("asr-ligru") or []
    except metadata.PackageNotFoundError:
        return []


def _attempt(finding: Callable[[], str]) -> str:
    """Return a finding, or in words why the library it is about cannot be imported."""
    try:
        return finding()
    except ModuleNotFoundError as error:
        return f"not installed ({error.name}): pip install asr-ligru"
    except (ImportError, OSError, RuntimeError) as error:
        return f"installed, but cannot be imported: {_without_folders(str(error))}"


def _without_folders(text: str) -> str:
    """Return ``text`` with only the last part of each path: folders name people."""
    return re.sub(r"[^\s'\"(]*/", "", text)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def _torch() -> str:
    import torch

    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs"
    return f"{torch.__version__}, built {build}"


def _gpu() -> str:
    import torch

    if torch.version.cuda is None:
        if _DRIVER.exists():
            return "there is one, but this torch is built for CPUs: pip install --force-reinstall torch torchaudio"
        return "none can be used: this torch is built for CPUs; everything runs on them"
    if not torch.cuda.is_available():
        fix = "compare with nvidia-smi" if _DRIVER.exists() else "no driver is loaded"
        return f"none can be used: no device, or a driver older than CUDA {torch.version.cuda}; {fix}"
    return "; ".join(_devices())


def _devices() -> Iterator[str]:
    import torch

    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        capability = f"compute capability {properties.major}.{properties.minor}"
        yield f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, {capability}"


def _triton() -> str:
    import torch

    from asr_ligru.ops import fused_triton

    if not _version("triton"):
        return "not installed; the fused GPU paths need it, and it comes with torch's CUDA builds: pip install triton"
    refusal = fused_triton.refusal("ligru", torch.float32, _HIDDEN_SIZE)
    return f"{_version('triton')}, {f'not used: {refusal}' if refusal else 'ready'}"


def _compiler() -> str:
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    return found or "none found; installing the fused CPU path needs one, on Debian and Ubuntu: apt install gcc"


def _fused_cpu() -> str:
    import torch

    from asr_ligru.ops import dispatch

    return dispatch.refusal("cpu", "ligru", "cpu", torch.float32) or "ready"


def _torchaudio() -> str:
    torchaudio_import.ensure()
    missing = torchaudio_import.missing_extension()
    if not missing:
        return f"{_version('torchaudio')}, with its compiled part"
    return (
        f"{_version('torchaudio')}, without its compiled part, built for another torch; nothing here needs it, "
        f"its forced_align, rnnt_loss and fast lfilter do ({_without_folders(missing)})"
    )


def _soundfile() -> str:
    soundfile = importlib.import_module("soundfile")
    readable = soundfile.available_formats()
    codecs = {codec for name in readable for codec in soundfile.available_subtypes(name)}
    there = [name.lower() for name in (*_FORMATS, *_CODECS) if name in readable or name in codecs]
    missing = [name.lower() for name in (*_FORMATS, *_CODECS) if name.lower() not in there]
    finding = f"{soundfile.__version__} with libsndfile {soundfile.__libsndfile_version__}, reads {' '.join(there)}"
    return finding + (f"; not {' '.join(missing)}: pip install -U soundfile" if missing else "")


def _library(library: str) -> str:
    """Return a library's version, once it was imported: what was installed for another machine has one, too."""
    if not _version(library):
        return "not installed: pip install asr-ligru"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(_MODULES.get(library, library.replace("-", "_")))
    return _version(library)


def _threads() -> str:
    import torch

    return f"torch uses {torch.get_num_threads()} of {os.cpu_count()} cores"


def _wait_policy() -> str:
    if os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive":
        return "OMP_WAIT_POLICY is passive: idle threads sleep"
    return "OMP_WAIT_POLICY is not passive: export OMP_WAIT_POLICY=passive when other programs share these cores"


def _extra(name: str, libraries: tuple[str, ...]) -> str:
    missing = [library for library in libraries if not _version(library)]
    if missing:
        return f'not installed ({", ".join(missing)}): pip install "asr-ligru[{name}]"'
    if name == "dev":
        return ", ".join(f"{library} {_version(library)}" for library in libraries)
    return ", ".join(f"{library} {_attempt(partial(_library, library))}" for library in libraries)
