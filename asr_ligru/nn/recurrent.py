"""Deep, bidirectional, length-correct recurrent encoders from any gated recurrence in ``ops``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig
from asr_ligru.errors import ConfigError
from asr_ligru.nn.norm import build_norm
from asr_ligru.ops import dispatch
from asr_ligru.ops.fused_cpu.linear import linear
from asr_ligru.ops.packing import Packing
from asr_ligru.registry import nearest

# A gate's input behind a sequence's end: sigmoid of it is exactly 1 whatever the state adds, so the state stays.
KEEP = 1e4

State = Tensor | tuple[Tensor, Tensor]
T = TypeVar("T")


def _unchanged(h: Tensor) -> Tensor:
    return h


def state_parts(state: State, parts: int, shape: tuple[int, int, int]) -> tuple[Tensor, ...]:
    """Return the tensors of a state that a caller gave.

    Args:
        state: one tensor, or for an LSTM the pair of output and cell.
        parts: how many tensors the cell's state has.
        shape: (L * D, B, H) that each of them must have.

    Raises:
        ValueError: another number of tensors, or another shape.
    """
    tensors = (state,) if isinstance(state, Tensor) else state
    if [tuple(x.shape) for x in tensors] != [shape] * parts:
        got = ", ".join(str(tuple(x.shape)) for x in tensors)
        raise ValueError(f"the initial state must be {parts} x {shape} (L * D, B, H), got {got}")
    return tensors


class RecurrentLayer(nn.Module):
    """One layer: projection and norm of all valid frames at once, then the recurrence in each direction.

    Subclasses name a recurrence of ``ops`` and say how it is shaped.

    Args:
        input_size: F.
        config: the cell's configuration.

    Attributes:
        cell: package in ``ops``.
        gates: G, blocks of H in the projection.
        recurrent_gates: blocks of H in U, where not G.
        extras: further parameters of the recurrence by keyword, with the initial value of each block of H.
        rest: what stands in the projection's last block behind a sequence's end, so that the state stays as it is or
            goes to rest; 0 where it is bounded anyway.
        two_way: whether ``config.bidirectional`` means a second direction.
        parts: states of H each: 1, or 2 for an LSTM's output and cell.
        initial_states: value of the state before the first frame, for each name of ``config.initial_state``.
        outputs: what the layer above sees of the state, for each name of ``config.output``.
    """

    cell: ClassVar[str]
    gates: ClassVar[int]
    recurrent_gates: ClassVar[int | None] = None
    extras: ClassVar[Mapping[str, tuple[float, ...]]] = {}
    rest: ClassVar[float] = KEEP
    two_way: ClassVar[bool] = True
    parts: ClassVar[int] = 1
    initial_states: ClassVar[Mapping[str, float]] = {"default": 0.0, "zeros": 0.0}
    outputs: ClassVar[Mapping[str, Callable[[Tensor], Tensor]]] = {"state": _unchanged}

    u: Tensor
    padding: Tensor

    def __init__(self, input_size: int, config: CellConfig) -> None:
        super().__init__()
        self.hidden_size = config.hidden_size
        self.directions = 2 if config.bidirectional and self.two_way else 1
        self.dropout = config.dropout
        self.backend = config.backend
        self.first = self._pick("initial_state", config.initial_state, self.initial_states)
        self.output = self._pick("output", config.output, self.outputs)
        own = 1 if config.share_directions else self.directions  # sets of weights
        width = self.gates * self.hidden_size
        self.w = nn.Linear(input_size, own * width, bias=config.norm == "none")
        self.norm = build_norm(config.norm, own * width, groups=own, gamma=config.norm_gamma)
        recurrent_gates = self.gates if self.recurrent_gates is None else self.recurrent_gates
        u = torch.empty(own, recurrent_gates * self.hidden_size, self.hidden_size)
        if recurrent_gates:
            self.u = nn.Parameter(u)
        else:
            self.register_buffer("u", u, persistent=False)
        for name, blocks in self.extras.items():
            self.register_parameter(name, nn.Parameter(torch.empty(own, len(blocks) * self.hidden_size)))
        padding = torch.zeros(width)
        padding[-self.hidden_size :] = self.rest
        self.register_buffer("padding", padding, persistent=False)
        self.reset_parameters()

    def _pick(self, key: str, name: str, known: Mapping[str, T]) -> T:
        """Return what ``name`` stands for in this cell."""
        if name not in known:
            raise ConfigError(
                f"{self.cell} has no {key.replace('_', ' ')} {name!r}", where=f"cell.{key}", fix=nearest(name, known)
            )
        return known[name]

    def reset_parameters(self) -> None:
        """Draw the weights anew: recurrent ones orthogonal, input ones Glorot uniform, each gate by itself."""
        with torch.no_grad():
            for gate in torch.split(self.u.flatten(0, 1), self.hidden_size):
                nn.init.orthogonal_(gate)
            for gate in self.w.weight.view(-1, self.hidden_size, self.w.in_features):
                nn.init.xavier_uniform_(gate)
            if self.w.bias is not None:
                nn.init.zeros_(self.w.bias)
            for name, blocks in self.extras.items():
                values = self.u.new_tensor(blocks).repeat_interleave(self.hidden_size)
                self.get_parameter(name).copy_(values)

    def forward(self, x: Tensor, packing: Packing, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the layer over packed frames.

        Args:
            x: (N, F) valid frames.
            packing: where they stand.
            state: (D, B, parts * H) before the first frame; None for the cell's own.

        Returns:
            (N, D * H) output, and the state (D, B, parts * H) after the last valid frame of each direction.
        """
        wx = self.norm(linear(x, self.w.weight, self.w.bias))
        batch_size = len(packing.lens)
        states = dispatch.packed(
            self.cell,
            wx,
            packing,
            self.u,
            self.initial_state(batch_size) if state is None else state,
            self._dropout_mask(self.directions, batch_size),
            padding=self.padding,
            backend=self.backend,
            **self.options(),
        ).view(len(wx), self.directions, -1)
        return self.read(states[..., : self.hidden_size], packing), packing.last(states)

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the cell's own state (D, B, parts * H) before the first frame."""
        return self.u.new_full((self.directions, batch_size, self.parts * self.hidden_size), self.first)

    def options(self) -> dict[str, Any]:
        """Return further arguments of the cell's recurrence."""
        return {name: self.get_parameter(name) for name in self.extras}

    def read(self, h: Tensor, packing: Packing) -> Tensor:
        """Return what the layer above sees, (N, D * H), of the states (N, D, H)."""
        return self.output(h).flatten(1)

    def _dropout_mask(self, directions: int, batch_size: int) -> Tensor | None:
        """Draw one mask for each sequence and direction, in training only."""
        if not self.training or self.dropout == 0.0:
            return None
        kept = 1.0 - self.dropout
        return self.u.new_empty(directions, batch_size, self.hidden_size).bernoulli_(kept).div_(kept)


class Encoder(nn.Module):
    """What every recurrent encoder is to its caller: ``forward``, and ``step`` for streaming.

    Args:
        config: the cell's configuration.
        two_way: whether ``config.bidirectional`` means a second direction.

    Attributes:
        directions: D.
        output_size: D * H.
        streams: whether ``step`` can be called.
    """

    def __init__(self, config: CellConfig, *, two_way: bool = True) -> None:
        super().__init__()
        self.streams = not config.bidirectional
        self.directions = 2 if config.bidirectional and two_way else 1
        self.output_size = self.directions * config.hidden_size

    def forward(self, x: Tensor, lens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Encode a padded batch. A sequence's result does not depend on its neighbours or on padding.

        Args:
            x: (B, T, F).
            lens: (B,) int64, frames, 1 <= length <= T.
            state: (L * D, B, H) before the first frame (for an LSTM a pair of them, output and cell); None for the
                cell's own.

        Returns:
            (B, T, D * H) with zeros behind each sequence's end, and the state after the last valid frame, shaped and
            ordered as in torch.nn: layer 0 forward, layer 0 reverse, layer 1 forward ...

        Raises:
            ValueError: wrong lengths or shapes.
        """
        raise NotImplementedError

    def outputs(self, x: Tensor, lens: Tensor) -> Tensor:
        """Encode a padded batch when the final state is not needed, which can be faster; see ``forward``."""
        out: Tensor = self(x, lens)[0]
        return out

    def layer_outputs(self, x: Tensor, lens: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Encode a padded batch and return what some of the layers give.

        Args:
            x: (B, T, F).
            lens: (B,) int64, frames, 1 <= length <= T.
            layers: their numbers, each in [1, L].

        Returns:
            (B, T, D * H) of each, in the order of ``layers``, zero behind each sequence's end; of the last layer what
            ``outputs`` returns, but for rounding.
        """
        raise NotImplementedError

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Encode one frame of each sequence, for streaming.

        Args:
            x: (B, F).
            state: as returned by the step before; None at the beginning.

        Returns:
            (B, H) and the state for the next step.

        Raises:
            ConfigError: the encoder is bidirectional.
        """
        if not self.streams:
            raise ConfigError(
                "a bidirectional encoder needs whole utterances", fix="train with cell.bidirectional=false"
            )
        lens = torch.ones(len(x), dtype=torch.int64, device=x.device)
        out, state = self(x.unsqueeze(1), lens, state)
        return out.squeeze(1), state


class RecurrentStack(Encoder):
    """Layers of one cell on top of each other.

    Args:
        layer: class of the layers.
        input_size: F.
        config: the cell's configuration.
    """

    def __init__(self, layer: type[RecurrentLayer], input_size: int, config: CellConfig) -> None:
        super().__init__(config, two_way=layer.two_way)
        sizes = [input_size] + [self.output_size] * (config.num_layers - 1)
        self.layers = nn.ModuleList(layer(size, config) for size in sizes)
        self._parts, self._hidden_size = layer.parts, config.hidden_size

    def forward(self, x: Tensor, lens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Encode a padded batch; see ``Encoder.forward``."""
        packing = Packing(lens, x.shape[1], self.directions)
        rows, after = packing.pack(x), []
        for output, last in self._run(rows, packing, self._split(state, len(x))):
            rows = output
            after.append(last)
        return packing.unpack(rows), self._join(after)

    def layer_outputs(self, x: Tensor, lens: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Encode a padded batch and return what some of the layers give; see ``Encoder.layer_outputs``."""
        packing = Packing(lens, x.shape[1], self.directions)
        passed = enumerate(self._run(packing.pack(x), packing, self._split(None, len(x))), start=1)
        found = {number: packing.unpack(rows) for number, (rows, _) in passed if number in layers}
        return [found[number] for number in layers]

    def _run(self, rows: Tensor, packing: Packing, before: list[Tensor | None]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the output and the final state of each layer."""
        for layer, first in zip(self.layers, before, strict=True):
            rows, last = layer(rows, packing, first)
            yield rows, last

    def _split(self, state: State | None, batch_size: int) -> list[Tensor | None]:
        if state is None:
            return [None] * len(self.layers)
        shape = (len(self.layers) * self.directions, batch_size, self._hidden_size)
        joined = torch.cat(state_parts(state, self._parts, shape), dim=-1)
        return list(joined.view(-1, self.directions, *joined.shape[1:]).unbind(0))

    def _join(self, states: list[Tensor]) -> State:
        parts = torch.cat(states).chunk(self._parts, dim=-1)
        return parts[0] if len(parts) == 1 else (parts[0], parts[1])
