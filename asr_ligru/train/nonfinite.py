"""What is done about a loss or gradient that is not finite: say exactly what happened, and stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from torch import Tensor

from asr_ligru.errors import DivergedError
from asr_ligru.safety import atomic_write
from asr_ligru.typing import Batch

if TYPE_CHECKING:
    from asr_ligru.train.brain import AsrBrain


def report(brain: AsrBrain, batch: Batch, losses: Tensor) -> None:
    """Record a bad batch; nothing has been updated with it.

    Raises:
        DivergedError: more than ``train.max_nonfinite`` batches were bad.
    """
    state, allowed = brain.state, brain.config.train.max_nonfinite
    path = brain.run_dir / f"nonfinite-step-{state.step + 1}.json"
    atomic_write(path, json.dumps(_record(brain, batch, losses), indent=1))
    brain.optimizer.zero_grad(set_to_none=True)
    state.skipped += 1
    if state.skipped > allowed:
        bad = [i for i, loss in zip(batch.utt_ids, losses.tolist(), strict=True) if loss - loss != 0]
        raise DivergedError(
            f"the {'loss' if bad else 'gradient'} of update {state.step + 1} is not finite "
            f"({len(bad) or len(batch.utt_ids)} utterances, such as {(bad or list(batch.utt_ids))[0]})",
            where=str(path),
            fix="lower train.lr, or take cell=sligru, whose recurrence cannot grow; the last checkpoint is intact",
        )


def _record(brain: AsrBrain, batch: Batch, losses: Tensor) -> dict[str, Any]:
    norms = {
        name: str(float(p.grad.norm())) for name, p in brain.modules.model.named_parameters() if p.grad is not None
    }
    return {
        "step": brain.state.step + 1,
        "epoch": brain.state.epoch,
        "utterances": [
            {"id": i, "frames": int(n), "tokens": int(u), "loss": str(loss)}
            for i, n, u, loss in zip(batch.utt_ids, batch.feat_lens, batch.token_lens, losses.tolist(), strict=True)
        ],
        "grad_norm": norms,
    }
