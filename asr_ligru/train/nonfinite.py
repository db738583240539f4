"""What is done about a loss or gradient that is not finite: say exactly what happened, and stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from asr_ligru import ranks
from asr_ligru.errors import DivergedError
from asr_ligru.safety import atomic_write, printable
from asr_ligru.typing import Batch

if TYPE_CHECKING:
    from asr_ligru.train.brain import AsrBrain

_NAMED = 5  # utterances in a message; the record lists all
_ORDER = ("features are", "loss is", "gradient is")  # the earlier makes the later


def report(brain: AsrBrain, batch: Batch, losses: Tensor) -> None:
    """Record a bad batch; nothing has been updated with it.

    Raises:
        DivergedError: more than ``train.max_nonfinite`` batches were bad.
    """
    state, allowed = brain.state, brain.config.train.max_nonfinite
    path = brain.run_dir / f"nonfinite-step-{state.step + 1}.json"
    records = ranks.gathered(_record(brain, batch, losses))
    culprits = ranks.gathered(_culprit(batch, losses))
    if ranks.is_first():
        whole = records[0] | {"utterances": [u for record in records for u in record["utterances"]]}
        atomic_write(path, json.dumps(whole, indent=1))
    brain.optimizer.zero_grad(set_to_none=True)
    state.skipped += 1
    if state.skipped > allowed:
        what = min((what for what, _ in culprits), key=_ORDER.index)
        whose = [utt_id for found, utt_ids in culprits if found == what for utt_id in utt_ids]
        ligru = brain.config.cell.name == "ligru"
        raise DivergedError(
            f"the {what} not finite at update {state.step + 1} ({_listed(whose)})",
            where=str(path),
            fix=f"lower train.lr{', or take cell=sligru, whose recurrence cannot grow' if ligru else ''};"
            " the last checkpoint is intact",
        )


def _culprit(batch: Batch, losses: Tensor) -> tuple[str, Sequence[str]]:
    """Return what was not finite first, and whose it was: one such sample makes all losses of a batch NaN."""
    feats = [bool(x[:n].isfinite().all()) for x, n in zip(batch.feats, batch.feat_lens, strict=True)]
    for what, finite in zip(_ORDER, (feats, losses.isfinite().tolist()), strict=False):
        if not all(finite):
            return what, [utt_id for utt_id, fine in zip(batch.utt_ids, finite, strict=True) if not fine]
    return _ORDER[-1], batch.utt_ids


def _listed(utt_ids: Sequence[str]) -> str:
    more = len(utt_ids) - _NAMED
    named = ", ".join(printable(utt_id) for utt_id in utt_ids[:_NAMED])
    return f"utterance{'s' if len(utt_ids) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")


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
