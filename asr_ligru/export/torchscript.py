"""An acoustic model as TorchScript, for programs in C++ and for torch without this package."""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asr_ligru.export.weights import projection
from asr_ligru.models.ctc import CtcModel
from asr_ligru.nn.recurrent import RecurrentLayer, RecurrentStack
from asr_ligru.nn.torch_rnn import TorchRecurrent
from asr_ligru.ops import lengths


class _Step(nn.Module):
    """One step of a layer's recurrence, by the equations of its reference."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self._recurrence = importlib.import_module(f"asr_ligru.ops.{layer.cell}.reference").recurrence
        self.register_buffer("u", layer.u.detach())
        self._options = {key: x.detach() if isinstance(x, Tensor) else x for key, x in layer.options().items()}

    def forward(self, frame: Tensor, state: Tensor) -> Tensor:
        """Return the state (D, B, S) after a frame (D, B, G * H)."""
        after: Tensor = self._recurrence(frame.unsqueeze(2), self.u, state, **self._options)
        return after.squeeze(2)


class _Loop(nn.Module):
    """All steps; compiled as a loop, so that it goes over any number of frames."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, frames: Tensor, state: Tensor) -> Tensor:
        """Return states (T, D, B, S) after each of the frames (T, D, B, G * H)."""
        states: list[Tensor] = []
        for t in range(frames.shape[0]):
            state = self.step(frames[t], state)
            states.append(state)
        return torch.stack(states)


class _Layer(nn.Module):
    """A recurrent layer over padded batches instead of packed rows."""

    first: Tensor

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(x) for x in projection(layer))
        self.norm = layer.norm if isinstance(layer.norm, nn.GroupNorm) else nn.Identity()
        self.read, self.hidden_size = layer.output, layer.hidden_size
        self.directions, self.own = layer.directions, layer.u.shape[0]
        self.register_buffer("first", layer.initial_state(1).detach())
        example = torch.zeros(self.directions, 2, layer.gates * self.hidden_size), self.first.expand(-1, 2, -1)
        step = torch.jit.trace(_Step(layer), example)  # type: ignore[no-untyped-call]
        self.loop = torch.jit.script(_Loop(step))

    def forward(self, x: Tensor, lens: Tensor) -> Tensor:
        """Return (B, T, D * H) of (B, T, F); what stands behind a sequence's end means nothing."""
        wx = nn.functional.linear(x, self.weight, self.bias)
        wx = self.norm(wx.flatten(0, 1)).view_as(wx)
        ways = list(wx.chunk(self.own, dim=-1)) * (self.directions // self.own)
        ways[1:] = [lengths.reverse(way, lens) for way in ways[1:]]
        states = self.loop(torch.stack(ways).permute(2, 0, 1, 3), self.first.expand(-1, x.shape[0], -1))
        heard = list(self.read(states[..., : self.hidden_size]).permute(1, 2, 0, 3).unbind(0))
        heard[1:] = [lengths.reverse(way, lens) for way in heard[1:]]
        return torch.cat(heard, dim=-1)


class _Padded(nn.Module):
    """A network of operations that are the same for every batch size and length."""

    def __init__(self, network: CtcModel) -> None:
        super().__init__()
        self.factor, self.head, encoder = network.stack.factor, network.head, network.encoder
        recurrent: Any = encoder.layers if isinstance(encoder, RecurrentStack) else []
        self.layers = nn.ModuleList(_Layer(layer) for layer in recurrent)
        self.encoder = encoder if isinstance(encoder, TorchRecurrent) else None

    def forward(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return log probabilities and their lengths; see ``CtcModel.forward``."""
        x = feats * lengths.mask(feat_lens, feats.shape[1]).unsqueeze(-1)
        x = nn.functional.pad(x, (0, 0, 0, self.factor - 1))
        groups = (feats.shape[1] + self.factor - 1) // self.factor
        x = x[:, : groups * self.factor].reshape(feats.shape[0], groups, -1)
        lens = torch.div(feat_lens + self.factor - 1, self.factor, rounding_mode="floor")
        if self.encoder is not None:
            x = self.encoder.padded_outputs(x, lens)
        for layer in self.layers:
            x = layer(x, lens)
        return torch.log_softmax(self.head(x), dim=-1), lens


@torch.no_grad()
def torchscript_model(network: CtcModel, num_features: int) -> tuple[bytes, Callable[[Tensor, Tensor], Any]]:
    """Return a network as a TorchScript archive, and as what runs it.

    Args:
        network: in evaluation mode.
        num_features: F.

    Returns:
        What ``torch.jit.load`` reads: a module ``(feats, feat_lens) -> (log_probs, log_prob_lens)``, shapes as in
        ``CtcModel.forward``. What stands in ``feats`` behind a length does not matter.

    Raises:
        ConfigError: the cell cannot be exported.
    """
    out = io.BytesIO()
    num_frames = 4 * network.stack.factor + 1
    example = torch.zeros(2, num_frames, num_features), torch.tensor([num_frames, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch develops TorchScript no further, but reads it
        padded = _Padded(network).eval().requires_grad_(False)
        traced = torch.jit.trace(padded, example)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, out)
    return out.getvalue(), traced
