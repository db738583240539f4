"""The table of cells, and the encoder a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from asr_ligru.config import CellConfig
from asr_ligru.nn.gru import GRU1Layer, GRU2Layer, GRU3Layer, GRULayer, GRUResetBeforeLayer, MGRULayer, MGULayer
from asr_ligru.nn.libru import LiBRUArithLayer, LiBRUGeoLayer, LiBRUHarmLayer, SBRULayer
from asr_ligru.nn.ligru import LiGRULayer, SLiGRULayer
from asr_ligru.nn.lstm import LSTMLayer, LSTMPeepholeLayer
from asr_ligru.nn.recurrent import Encoder, RecurrentStack
from asr_ligru.nn.rnn import RNNReLULayer, RNNTanhLayer
from asr_ligru.nn.torch_rnn import TorchRecurrent
from asr_ligru.nn.ubru import UBRULayer
from asr_ligru.registry import Registry

CELLS: Registry[Callable[[int, CellConfig], Encoder]] = Registry("cell")
CELLS.register("ligru")(partial(RecurrentStack, LiGRULayer))
CELLS.register("sligru")(partial(RecurrentStack, SLiGRULayer))
CELLS.register("libru_arith")(partial(RecurrentStack, LiBRUArithLayer))
CELLS.register("libru_harm")(partial(RecurrentStack, LiBRUHarmLayer))
CELLS.register("libru_geo")(partial(RecurrentStack, LiBRUGeoLayer))
CELLS.register("sbru")(partial(RecurrentStack, SBRULayer))
CELLS.register("ubru")(partial(RecurrentStack, UBRULayer))
CELLS.register("gru_bn")(partial(RecurrentStack, GRULayer))
CELLS.register("gru_reset_before")(partial(RecurrentStack, GRUResetBeforeLayer))
CELLS.register("gru1")(partial(RecurrentStack, GRU1Layer))
CELLS.register("gru2")(partial(RecurrentStack, GRU2Layer))
CELLS.register("gru3")(partial(RecurrentStack, GRU3Layer))
CELLS.register("mgru")(partial(RecurrentStack, MGRULayer))
CELLS.register("mgu")(partial(RecurrentStack, MGULayer))
CELLS.register("lstm_bn")(partial(RecurrentStack, LSTMLayer))
CELLS.register("lstm_peephole")(partial(RecurrentStack, LSTMPeepholeLayer))
CELLS.register("rnn_tanh")(partial(RecurrentStack, RNNTanhLayer))
CELLS.register("rnn_relu")(partial(RecurrentStack, RNNReLULayer))
CELLS.register("gru")(partial(TorchRecurrent, nn.GRU))
CELLS.register("lstm")(partial(TorchRecurrent, nn.LSTM))


def build_encoder(input_size: int, config: CellConfig) -> Encoder:
    """Build the recurrent encoder that ``config.name`` names.

    Args:
        input_size: F, features of a frame.
        config: the cell's configuration.

    Returns:
        A module with attribute ``output_size`` (D * H; D is 1 for one direction, and for uBRU). Its
        ``forward(x, lens, state=None)`` takes (B, T, F) and int64 lengths (B,) and returns (B, T, D * H), zero behind
        each end, and the final state in the order of torch.nn.

    Raises:
        ConfigError: unknown cell, or a setting the cell does not have.
    """
    return CELLS[config.name](input_size, config)
