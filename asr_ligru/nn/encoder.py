"""The table of cells, and the encoder a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from asr_ligru.config import CellConfig
from asr_ligru.nn.gru import GRULayer
from asr_ligru.nn.libru import LiBRUArithLayer, LiBRUGeoLayer, LiBRUHarmLayer
from asr_ligru.nn.ligru import LiGRULayer, SLiGRULayer
from asr_ligru.nn.lstm import LSTMLayer
from asr_ligru.nn.recurrent import Encoder, RecurrentStack
from asr_ligru.nn.torch_rnn import TorchRecurrent
from asr_ligru.registry import Registry

CELLS: Registry[Callable[[int, CellConfig], Encoder]] = Registry("cell")
CELLS.register("ligru")(partial(RecurrentStack, LiGRULayer))
CELLS.register("sligru")(partial(RecurrentStack, SLiGRULayer))
CELLS.register("libru_arith")(partial(RecurrentStack, LiBRUArithLayer))
CELLS.register("libru_harm")(partial(RecurrentStack, LiBRUHarmLayer))
CELLS.register("libru_geo")(partial(RecurrentStack, LiBRUGeoLayer))
CELLS.register("gru_bn")(partial(RecurrentStack, GRULayer))
CELLS.register("lstm_bn")(partial(RecurrentStack, LSTMLayer))
CELLS.register("gru")(partial(TorchRecurrent, nn.GRU))
CELLS.register("lstm")(partial(TorchRecurrent, nn.LSTM))


def build_encoder(input_size: int, config: CellConfig) -> Encoder:
    """Build the recurrent encoder that ``config.name`` names.

    Args:
        input_size: F, features of a frame.
        config: the cell's configuration.

    Returns:
        A module with attribute ``output_size`` (D * H). Its ``forward(x, lens, state=None)`` takes (B, T, F) and int64
        lengths (B,) and returns (B, T, D * H), zero behind each end, and the final state in the order of torch.nn.

    Raises:
        ConfigError: unknown cell, or a setting the cell does not have.
    """
    return CELLS[config.name](input_size, config)
