"""LiGRU and its relatives with the call of torch.nn.GRU, for use outside this toolkit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from asr_ligru.config import CellConfig, build
from asr_ligru.nn.libru import LiBRUArithLayer, LiBRUGeoLayer, LiBRUHarmLayer
from asr_ligru.nn.ligru import LiGRULayer, SLiGRULayer
from asr_ligru.nn.recurrent import RecurrentLayer, RecurrentStack
from asr_ligru.registry import Registry

MEANS: Registry[type[RecurrentLayer]] = Registry("mean")
MEANS.register("arith")(LiBRUArithLayer)
MEANS.register("harm")(LiBRUHarmLayer)
MEANS.register("geo")(LiBRUGeoLayer)


class DropIn(nn.Module):
    """A recurrent stack with the arguments, results and shapes of torch.nn.GRU.

    What differs from torch.nn.GRU, for every cell:

    - Each layer's projection of its input is normalised, by batch norm unless ``norm`` says otherwise, over valid
      frames only. A batch in training needs at least two of them; evaluation uses running statistics, so call
      ``eval()``.
    - ``bias`` is the shift of that norm (of the projection itself with ``norm="none"``); there is no recurrent bias.
    - ``dropout`` is recurrent: one mask for each sequence and direction, on the candidate, in every layer, the last
      one too. torch.nn.GRU drops single values between layers.
    - Both directions share their weights, as in the papers, unless ``share_directions=False``.
    - The parameters have other names, so weights of a torch.nn.GRU cannot be loaded.

    Args:
        input_size: F.
        hidden_size: H.
        num_layers: L.
        bias: whether the norm's shift is trained; if not it stays 0.
        batch_first: whether padded batches are (B, T, F) instead of (T, B, F).
        dropout: in [0, 0.95].
        bidirectional: whether D is 2.
        device: of the parameters.
        dtype: of the parameters, float32 or float64; lower precision comes with torch.autocast.
        share_directions: one set of weights for both directions.
        norm: "batch"; "layer", over all gates of a frame; or "none".
        norm_gamma: initial scale of the norm.
        initial_state: "default", "zeros" or, for LiBRU, "uniform" (p = 0.5, its default), when no ``hx`` is given.
        output: "state" or, for LiBRU, "probability".
        recurrent_eps: of SLi-GRU's recurrent layer norm.
        backend: implementation of the recurrence, see ``ops.dispatch``.

    Raises:
        ConfigError: a value out of its range, or one that the cell does not have.
    """

    layer: type[RecurrentLayer]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        share_directions: bool = True,
        norm: str = "batch",
        norm_gamma: float = 1.0,
        initial_state: str = "default",
        output: str = "state",
        recurrent_eps: float = 1e-5,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        keys = {
            "name": self.layer.cell,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "bidirectional": bidirectional,
            "share_directions": share_directions,
            "norm": norm,
            "norm_gamma": norm_gamma,
            "dropout": dropout,
            "initial_state": initial_state,
            "output": output,
            "recurrent_eps": recurrent_eps,
            "backend": backend,
        }
        self.stack = RecurrentStack(self.layer, input_size, build(CellConfig, keys)).to(device=device, dtype=dtype)
        for name, parameter in self.stack.named_parameters():
            if name.endswith("bias"):
                parameter.requires_grad_(bias)

    def extra_repr(self) -> str:
        """Return what torch.nn.GRU shows of itself."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}"

    def flatten_parameters(self) -> None:
        """Do nothing: there is no cuDNN weight buffer. Models written for torch.nn.GRU call this."""

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """Run the stack.

        Args:
            input: (T, B, F), or (B, T, F) with ``batch_first``, or (T, F), of which every frame is valid; or a packed
                sequence, which is how lengths are given.
            hx: (L * D, B, H) state before the first frame, (L * D, H) when ``input`` has no batch; None for the cell's
                own.

        Returns:
            The output of the last layer, shaped and packed like ``input`` with D * H features, and the state after the
            last frame, (L * D, B, H) or (L * D, H): layer 0 forward, layer 0 reverse, layer 1 forward ...

        Raises:
            ValueError: an input or state of the wrong shape, dtype or device.
        """
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"the input must have 2 dimensions (T, F) or 3, got {tuple(input.shape)}")
        if hx is not None and hx.dim() != input.dim():
            raise ValueError(f"hx must have {input.dim()} dimensions like the input, got {tuple(hx.shape)}")
        if input.dim() == 2:
            out, state = self._padded(input.unsqueeze(0), None if hx is None else hx.unsqueeze(1))
            return out.squeeze(0), state.squeeze(1)
        if self.batch_first:
            return self._padded(input, hx)
        out, state = self._padded(input.transpose(0, 1), hx)
        return out.transpose(0, 1), state

    def _padded(self, x: Tensor, hx: Tensor | None, lens: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run (B, T, F), of which all frames are valid where no ``lens`` are given."""
        if lens is None:
            lens = torch.full((len(x),), x.shape[1], device=x.device)
        out, state = self.stack(x, lens.to(x.device), hx)
        return out, state

    def _packed(self, packed: PackedSequence, hx: Tensor | None) -> tuple[PackedSequence, Tensor]:
        """Run a packed sequence in its own order, longest first; states are in the order of before packing."""
        data, batch_sizes, into, back = packed
        x, lens = pad_packed_sequence(PackedSequence(data, batch_sizes), batch_first=True)
        out, state = self._padded(x, hx if hx is None or into is None else hx.index_select(1, into), lens)
        rows = pack_padded_sequence(out, lens, batch_first=True).data
        return PackedSequence(rows, batch_sizes, into, back), state if back is None else state.index_select(1, back)


class LiGRU(DropIn):
    """Light gated recurrent unit with the call of torch.nn.GRU; what differs: ``DropIn``. Equations: ``ops.ligru``.

    Example:
        >>> import torch
        >>> from asr_ligru import LiGRU
        >>> network = LiGRU(40, 64, num_layers=2, batch_first=True, bidirectional=True)
        >>> output, state = network(torch.randn(3, 100, 40))
        >>> output.shape, state.shape
        (torch.Size([3, 100, 128]), torch.Size([4, 3, 64]))

    Source: Ravanelli et al. 2018 (arXiv 1803.10225).
    """

    layer = LiGRULayer


class SLiGRU(DropIn):
    """LiGRU whose state cannot grow without bound, for large corpora; what differs from torch.nn.GRU: ``DropIn``.

    Example:
        >>> import torch
        >>> from asr_ligru import SLiGRU
        >>> SLiGRU(40, 64)(torch.randn(100, 3, 40))[0].shape
        torch.Size([100, 3, 64])

    Source: Moumen and Parcollet 2023 (arXiv 2302.10144).
    """

    layer = SLiGRULayer


class LiBRU(DropIn):
    """Light Bayesian recurrent unit with the call of torch.nn.GRU; what else differs: ``DropIn``.

    Its state is s = -log p >= 0, with p the probability of the feature that a unit stands for. The output is s too
    unless ``output="probability"``, so that, as with torch.nn.GRU, the last output is the final state. Without ``hx``
    p begins at 0.5; a state of zeros is p = 1, so do not pass one for want of a better.

    Args:
        args: as ``DropIn``.
        mean: how old and new probability are averaged: "arith" as in the paper, "harm" or "geo".
        keys: as ``DropIn``.

    Raises:
        ConfigError: unknown mean; or as ``DropIn``.

    Example:
        >>> import torch
        >>> from asr_ligru import LiBRU
        >>> output, _ = LiBRU(40, 64, output="probability")(torch.randn(100, 3, 40))
        >>> bool((0 <= output).all() and (output <= 1).all())
        True

    Source: Bittar and Garner 2021 (ICASSP).
    """

    def __init__(self, *args: Any, mean: str = "arith", **keys: Any) -> None:
        self.layer = MEANS[mean]
        super().__init__(*args, **keys)
