"""Whether an exported model says what the model says it was made from."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.errors import AsrLigruError
from asr_ligru.models.load import LoadedModel

Runner = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_TOLERANCE = 1e-3  # of log probabilities, relative above 1: sums in another order differ by some 1e-5


@dataclass(frozen=True, slots=True)
class Check:
    """What a comparison found.

    Attributes:
        recordings: how many were compared, alone and in one batch.
        difference: the largest of any log probability.
    """

    recordings: int
    difference: float


def onnx_runner(content: bytes) -> Runner:
    """Return what runs an ONNX model in onnxruntime, on one thread."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(feats: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        log_probs, out_lens = session.run(None, {"feats": feats.numpy(), "feat_lens": lens.numpy()})
        return torch.from_numpy(log_probs), torch.from_numpy(out_lens)

    return run


def compare(model: LoadedModel, run: Runner, feats: Sequence[Tensor]) -> Check:
    """Compare an exported model with its origin, each recording alone and all in one batch.

    Args:
        model: the origin.
        run: ``(feats, feat_lens) -> (log_probs, log_prob_lens)`` of the exported one.
        feats: (T, F) of each recording.

    Raises:
        AsrLigruError: they differ.
    """
    worst = 0.0
    for group in (*([one] for one in feats), feats):
        lens = torch.tensor([len(one) for one in group])
        padded = torch.nn.utils.rnn.pad_sequence(list(group), batch_first=True, padding_value=7.0)
        expected, got = model.log_probs(group), run(padded, lens)
        if got[1].tolist() != expected[1].tolist():
            raise _differs(f"lengths {got[1].tolist()}, expected {expected[1].tolist()}")
        for ours, theirs, n in zip(expected[0], got[0], expected[1].tolist(), strict=True):
            gap = (ours[:n] - theirs[:n]).abs()
            worst = max(worst, float(gap.max()))
            if not bool((gap <= _TOLERANCE * ours[:n].abs().clamp(min=1.0)).all()):
                raise _differs(f"log probabilities by {worst:.3g}")
        decoder = GreedyDecoder(model.tokenizer)
        texts = [[result.text for result in decoder(*both)] for both in (expected, got)]
        if texts[0] != texts[1]:
            raise _differs(f"texts {texts[1]}, expected {texts[0]}")
    return Check(len(feats), worst)


def made_up_wavs(sample_rate_hz: int) -> list[Tensor]:
    """Return two recordings of other lengths for want of real ones: a rising tone, and noise that comes and goes."""
    time = torch.arange(2 * sample_rate_hz) / sample_rate_hz
    tone = 0.3 * torch.sin(2 * math.pi * (200 + 0.1 * sample_rate_hz * time) * time)
    noise = torch.randn(len(time) * 2 // 3, generator=torch.Generator().manual_seed(0))
    return [tone, 0.1 * noise * torch.sin(6 * time[: len(noise)])]


def _differs(how: str) -> AsrLigruError:
    return AsrLigruError(f"the exported model differs from the original in {how}; nothing was written")
