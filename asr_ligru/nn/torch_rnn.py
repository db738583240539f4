"""torch.nn.GRU and torch.nn.LSTM as encoders: the baselines as everybody has them (oneDNN, cuDNN)."""

from __future__ import annotations

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
