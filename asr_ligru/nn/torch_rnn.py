"""torch.nn.GRU and torch.nn.LSTM as encoders: the baselines as everybody has them (oneDNN, cuDNN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr_ligru.config import CellConfig
from asr_ligru.errors import ConfigError
from asr_ligru.nn.recurrent import Encoder, State, state_parts
from asr_ligru.ops import lengths


class TorchRecurrent(Encoder):
    """A recurrent network of torch as an encoder.

    ``config.dropout`` acts between the layers, on each value by itself, as torch does it; a single layer has none.

    Args:
        network: torch.nn.GRU or torch.nn.LSTM.
        input_size: F.
        config: the cell's configuration.

    Raises:
        ConfigError: ``config`` asks for what torch's network does not have.
    """

    def __init__(self, network: type[nn.GRU] | type[nn.LSTM], input_size: int, config: CellConfig) -> None:
        super().__init__(config)
        _check(config)
        self.network = network(
            input_size,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
        )

    def forward(self, x: Tensor, lens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Encode a padded batch; see ``Encoder.forward``."""
        lengths.check(lens, len(x), x.shape[1])
        if state is not None:
            network = self.network
            shape = (network.num_layers * self.directions, len(x), network.hidden_size)
            state_parts(state, 2 if isinstance(network, nn.LSTM) else 1, shape)
        if int(lens.min()) == x.shape[1]:
            out, state = self.network(x, state)
            return out, state
        rows = pack_padded_sequence(x, lens.cpu(), batch_first=True, enforce_sorted=False)
        packed, state = self.network(rows, state)
        out, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        return out, state

    def outputs(self, x: Tensor, lens: Tensor) -> Tensor:
        """Encode a padded batch without its final state, on CPUs two to four times as fast as ``forward``.

        torch's fast CPU paths take no packed sequences, so each direction of each layer runs over the padded batch, the
        reverse one over the reversed valid part.

        Args:
            x: (B, T, F).
            lens: (B,) int64, frames, 1 <= length <= T.

        Returns:
            (B, T, D * H), zero behind each sequence's end; what ``forward`` returns, but for rounding.
        """
        lengths.check(lens, len(x), x.shape[1])
        if x.is_cuda or int(lens.min()) == x.shape[1]:
            return super().outputs(x, lens)
        return self.padded_outputs(x, lens)

    def padded_outputs(self, x: Tensor, lens: Tensor) -> Tensor:
        """Encode as ``outputs`` does, by operations that are the same for every batch."""
        return self._padded(x, lens, [self.network.num_layers])[0]

    def layer_outputs(self, x: Tensor, lens: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Encode a padded batch and return what some of the layers give; see ``Encoder.layer_outputs``."""
        lengths.check(lens, len(x), x.shape[1])
        return self._padded(x, lens, layers)

    def _padded(self, x: Tensor, lens: Tensor, layers: Sequence[int]) -> list[Tensor]:
        network, found = self.network, {}
        weights = iter(network.all_weights)
        for layer in range(network.num_layers):
            if layer:
                x = torch.dropout(x, network.dropout, self.training)
            ways = [self._one_way(x, next(weights))]
            if network.bidirectional:
                ways.append(lengths.reverse(self._one_way(lengths.reverse(x, lens), next(weights)), lens))
            x = torch.cat(ways, dim=-1)
            if layer + 1 in layers:
                found[layer + 1] = x * lengths.mask(lens, x.shape[1]).unsqueeze(-1)
        return [found[number] for number in layers]

    def _one_way(self, x: Tensor, weights: list[nn.Parameter]) -> Tensor:
        """Return (B, T, H) of one layer and direction, from zero states."""
        zero = x.new_zeros(1, x.shape[0], self.network.hidden_size)
        tensors: list[Tensor] = list(weights)
        options = True, 1, 0.0, self.training, False, True  # biases, layers, dropout, train, bidirectional, batch first
        if isinstance(self.network, nn.LSTM):
            return torch.lstm(x, (zero, zero), tensors, *options)[0]
        return torch.gru(x, zero, tensors, *options)[0]


def _check(config: CellConfig) -> None:
    given = {
        "norm": (config.norm, ("none",)),
        "share_directions": (config.share_directions and config.bidirectional, (False,)),
        "initial_state": (config.initial_state, ("default", "zeros")),
        "output": (config.output, ("state",)),
        "backend": (config.backend, ("auto",)),
    }
    wrong = [f"cell.{key}={value}" for key, (value, known) in given.items() if value not in known]
    if wrong:
        raise ConfigError(
            f"cell {config.name!r} is torch's own network, which has no {', '.join(wrong)}",
            fix=f"set what conf/cell/{config.name}.yaml sets, or use cell={config.name}_bn",
        )
