"""Make ``import torchaudio``, and with it ``import speechbrain``, work beside any build of torch.

torchaudio's Linux wheel is linked to one CUDA version. Beside a CPU build of torch its import raises OSError, beside
another CUDA version RuntimeError, although nothing used here needs its compiled part. ``ensure`` then imports it
without that part. Lost are its compiled operators only: ``forced_align``, ``rnnt_loss``, CUDA CTC decoding, fast
``lfilter``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any, NoReturn

from asr_ligru.errors import EnvironmentError_

# What speechbrain changes in torch when it is imported: TF32 products instead of float32, TorchScript profiling off.
_UNWANTED_QUIRKS = "allow_tf32,disable_jit_profiling"
_EXTENSION = "torchaudio._extension"


def ensure() -> None:
    """Import torchaudio, without its compiled part where that cannot be loaded.

    Call it before the first ``import torchaudio`` or ``import speechbrain``; further calls do nothing. It also sets
    the environment variable ``SB_DISABLE_QUIRKS``, unless it is set, so that importing speechbrain does not change
    the precision of matrix products.

    Raises:
        ModuleNotFoundError: torchaudio is not installed.
    """
    os.environ.setdefault("SB_DISABLE_QUIRKS", _UNWANTED_QUIRKS)
    if "torchaudio" in sys.modules:
        return
    try:
        importlib.import_module("torchaudio")
    except (OSError, RuntimeError) as error:
        _forget_half_imported()
        sys.modules[_EXTENSION] = _stub(error)
        importlib.import_module("torchaudio")


def missing_extension() -> str:
    """Return why torchaudio runs without its compiled part; empty when it has it, or was not imported yet."""
    return str(getattr(sys.modules.get(_EXTENSION), "why_missing", ""))


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]


def _stub(error: Exception) -> ModuleType:
    """Return a module with the three names that torchaudio reads from its extension."""
    why = f"{error} ({error.__cause__})" if error.__cause__ else str(error)

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise EnvironmentError_(
            f"this function needs torchaudio's compiled part, which cannot be loaded beside this torch: {why}",
            fix="install the torchaudio build that belongs to your torch",
        )

    def refuse_instead(_function: Callable[..., Any]) -> Callable[..., NoReturn]:
        return refuse

    stub: Any = module_from_spec(ModuleSpec(_EXTENSION, None))
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stub.fail_if_no_align = refuse_instead
    stub._load_lib = refuse
    stub.why_missing = why
    return stub  # type: ignore[no-any-return]
