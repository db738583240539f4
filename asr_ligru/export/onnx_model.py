"""An acoustic model as an ONNX graph of standard operators, for any batch size and length."""

from __future__ import annotations

import importlib
from typing import Any, cast

import torch
from torch import Tensor, nn

from asr_ligru.export.onnx_graph import Graph, Value
from asr_ligru.export.weights import projection
from asr_ligru.models.ctc import CtcModel
from asr_ligru.nn.recurrent import RecurrentLayer, RecurrentStack
from asr_ligru.nn.torch_rnn import TorchRecurrent

_ORDERS = {nn.GRU: (1, 0, 2), nn.LSTM: (0, 3, 1, 2)}  # of torch's gates in ONNX: z r n, and i o f c


@torch.no_grad()
def onnx_model(network: CtcModel, num_features: int) -> bytes:
    """Return a network as an ONNX model.

    Args:
        network: in evaluation mode.
        num_features: F.

    Returns:
        The model's bytes. Inputs: ``feats`` float32 (B, T, F), ``feat_lens`` int64 (B,) in [1, T]. Outputs:
        ``log_probs`` float32 (B, T', V), natural logarithm, and ``log_prob_lens`` int64 (B,). What stands in ``feats``
        behind a length does not matter.

    Raises:
        ConfigError: the cell has no ONNX form.
    """
    graph = Graph()
    feats, feat_lens = Value(graph, "feats"), Value(graph, "feat_lens")
    x, lens = _stacked(graph, feats, feat_lens, network.stack.factor, num_features)
    if isinstance(network.encoder, TorchRecurrent):
        x = _torch_network(graph, network.encoder.network, x, lens)
    elif isinstance(network.encoder, RecurrentStack):
        for layer in network.encoder.layers:
            x = _layer(graph, cast(RecurrentLayer, layer), x, lens)
    logits = x @ network.head.weight.T + network.head.bias
    log_probs = graph.op("LogSoftmax", logits, axis=-1)
    vocab_size = network.head.out_features
    return graph.model(
        {"feats": (torch.float32, ["B", "T", num_features]), "feat_lens": (torch.int64, ["B"])},
        {
            "log_probs": (log_probs, (torch.float32, ["B", "T_out", vocab_size])),
            "log_prob_lens": (lens, (torch.int64, ["B"])),
        },
    )


def _stacked(graph: Graph, feats: Value, lens: Value, factor: int, num_features: int) -> tuple[Value, Value]:
    """Silence what is behind the end, and stack frames."""
    num_frames = graph.op("Shape", feats, start=1, end=2)  # (1,)
    zero, one = graph.constant(0), graph.constant(1)
    frames = graph.op("Range", zero, graph.op("Squeeze", num_frames), one)
    valid = graph.op("Less", frames, graph.op("Unsqueeze", lens, graph.constant([1])))  # (B, T)
    mask = graph.op("Unsqueeze", valid, graph.constant([2]))
    x = graph.op("Where", mask, feats, graph.constant(0.0))
    if factor == 1:
        return x, lens
    missing = graph.op("Mod", graph.op("Neg", num_frames), graph.constant([factor]))
    before, last = graph.constant([0, 0, 0, 0]), graph.constant([0])
    x = graph.op("Pad", x, graph.op("Concat", before, missing, last, axis=0))
    x = graph.op("Reshape", x, graph.constant([0, -1, factor * num_features]))
    return x, graph.op("Div", lens + (factor - 1), graph.constant(factor))


def _layer(graph: Graph, layer: RecurrentLayer, x: Value, lens: Value) -> Value:
    wx = _projection(graph, layer, x)
    own = layer.u.shape[0]
    parts = wx.chunk(own, dim=-1) if own > 1 else [wx] * layer.directions
    ways = [parts[0], *(_reversed(graph, part, lens) for part in parts[1:])]
    first_axis = [graph.op("Transpose", way, perm=[1, 0, 2]) for way in ways]  # (T, B, G * H) each
    sequence = graph.op("Concat", *(graph.op("Unsqueeze", way, graph.constant([1])) for way in first_axis), axis=1)
    recurrence = importlib.import_module(f"asr_ligru.ops.{layer.cell}.reference").recurrence
    options = layer.options()
    states = graph.scan(
        lambda state, frame: recurrence(frame, layer.u, state, **options), _first_state(graph, layer, x), sequence
    )  # (T, D, B, parts * H)
    read: Any = layer.output  # of values instead of tensors
    h = states.chunk(layer.parts, dim=-1)[0] if layer.parts > 1 else states
    heard = [
        graph.op("Transpose", graph.op("Gather", read(h), graph.constant(d), axis=1), perm=[1, 0, 2])
        for d in range(layer.directions)
    ]
    return graph.op("Concat", heard[0], *(_reversed(graph, way, lens) for way in heard[1:]), axis=-1)


def _reversed(graph: Graph, x: Value, lens: Value) -> Value:
    """Reverse the valid part of (B, T, ...) in time."""
    return graph.op("ReverseSequence", x, lens, batch_axis=0, time_axis=1)


def _first_state(graph: Graph, layer: RecurrentLayer, x: Value) -> Value:
    """Return the cell's own state for each sequence of x, (D, B, parts * H)."""
    one = graph.constant([1])
    shape = graph.op("Concat", one, graph.op("Shape", x, start=0, end=1), one, axis=0)
    return graph.op("Expand", graph.constant(layer.initial_state(1)), shape)


def _projection(graph: Graph, layer: RecurrentLayer, x: Value) -> Value:
    """Return the normalised projection (B, T, own * G * H)."""
    weight, bias = projection(layer)
    norm, wx = layer.norm, x @ weight.T + bias
    if isinstance(norm, nn.GroupNorm):
        parts = wx.chunk(norm.num_groups, dim=-1) if norm.num_groups > 1 else [wx]
        size = norm.num_channels // norm.num_groups
        layer_norm: Any = nn.functional.layer_norm  # of values instead of tensors
        wx = graph.op("Concat", *(layer_norm(part, (size,), eps=norm.eps) for part in parts), axis=-1)
        wx = wx * norm.weight + norm.bias
    return wx


def _torch_network(graph: Graph, network: nn.GRU | nn.LSTM, x: Value, lens: Value) -> Value:
    """Return (B, T, D * H) of torch's own network by the operator of the same name."""
    kind = type(network)
    x = graph.op("Transpose", x, perm=[1, 0, 2])
    lens32 = graph.op("Cast", lens, to=6)
    directions = 2 if network.bidirectional else 1
    options = {"linear_before_reset": 1} if kind is nn.GRU else {}
    weights = iter(network.all_weights)
    for _ in range(network.num_layers):
        ways = [next(weights) for _ in range(directions)]
        w, r = (torch.stack([_gates(way[i], kind) for way in ways]) for i in (0, 1))
        b = torch.stack([torch.cat([_gates(way[2], kind), _gates(way[3], kind)]) for way in ways])
        y = graph.ops(
            "GRU" if kind is nn.GRU else "LSTM",
            1,
            x,
            *(graph.constant(part) for part in (w, r, b)),
            lens32,
            hidden_size=network.hidden_size,
            direction="bidirectional" if directions == 2 else "forward",
            **options,
        )[0]  # (T, D, B, H)
        y = graph.op("Transpose", y, perm=[0, 2, 1, 3])
        x = graph.op("Reshape", y, graph.constant([0, 0, directions * network.hidden_size]))
    return graph.op("Transpose", x, perm=[1, 0, 2])


def _gates(weights: Tensor, kind: type[nn.Module]) -> Tensor:
    """Reorder torch's blocks of H rows as ONNX has them."""
    order = _ORDERS[kind]
    blocks = weights.chunk(len(order))
    return torch.cat([blocks[i] for i in order])
