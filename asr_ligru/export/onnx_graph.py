"""Build ONNX graphs from torch expressions: an equation written for tensors is run on ``Value`` and leaves its nodes.

So the recurrences of ``ops.<cell>.reference`` are exported as they stand, one step of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from asr_ligru.errors import ConfigError

OPSET = 18
_TYPES = {torch.float32: TensorProto.FLOAT, torch.int64: TensorProto.INT64}


class Graph:
    """Nodes in the order they were made; a graph inside another shares its constants and names.

    Args:
        outer: the graph around this one, None for the outermost.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {} if outer is None else outer._constants
        self._names: list[str] = [] if outer is None else outer._names

    def op(self, kind: str, *inputs: Value, **attributes: Any) -> Value:
        """Add a node with one output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: Value, **attributes: Any) -> list[Value]:
        """Add a node with several outputs."""
        made = [Value(self, self._name(kind)) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, [i.name for i in inputs], [m.name for m in made], **attributes))
        return made

    def constant(self, value: Tensor | float | int | Sequence[int]) -> Value:
        """Return a constant: a tensor as it is, a float as float32, whole numbers as int64."""
        dtype = torch.float32 if isinstance(value, float) else None
        tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.tensor(value, dtype=dtype)
        name = self._name("constant")
        self._constants[name] = numpy_helper.from_array(tensor.contiguous().numpy(), name)
        return Value(self, name)

    def nothing(self) -> Value:
        """Return what stands for an input that is left out."""
        return Value(self, "")

    def scan(self, step: Callable[[Value, Value], Value], first: Value, sequence: Value) -> Value:
        """Return the states of a recurrence.

        Args:
            step: from the state before and one frame of the sequence to the next state.
            first: the state before the first frame.
            sequence: frames on its first axis.

        Returns:
            The states, one after each frame, on the first axis.
        """
        body = Graph(self)
        state, frame = Value(body, self._name("state")), Value(body, self._name("frame"))
        after = step(state, frame)
        outputs = [body.op("Identity", after) for _ in range(2)]  # the next state, and what is collected
        inner = helper.make_graph(body.nodes, self._name("step"), _infos(state, frame), _infos(*outputs))
        return self.ops("Scan", 2, first, sequence, body=inner, num_scan_inputs=1)[1]

    def model(self, inputs: Mapping[str, Sequence[Any]], outputs: Mapping[str, tuple[Value, Sequence[Any]]]) -> bytes:
        """Return the finished model, checked by ONNX itself.

        Args:
            inputs: name -> element type and shape; numbers are fixed, names are free.
            outputs: name -> value, and its element type and shape.
        """
        for name, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value.name], [name]))
        graph = helper.make_graph(
            self.nodes,
            "asr_ligru",
            [_info(name, kind) for name, kind in inputs.items()],
            [_info(name, kind) for name, (_, kind) in outputs.items()],
            list(self._constants.values()),
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="asr-ligru")
        made.ir_version = 9
        onnx.checker.check_model(made, full_check=True)
        return bytes(made.SerializeToString())

    def _name(self, kind: str) -> str:
        self._names.append(f"{kind}_{len(self._names)}")
        return self._names[-1]


def _info(name: str, kind: Sequence[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES[kind[0]], kind[1])


def _infos(*values: Value) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(value.name, TensorProto.FLOAT, None) for value in values]


class Value:
    """What a node of a graph gives; behaves as a float tensor in equations.

    Of the time axis that a recurrence's input has (D, B, T, ...) it has none: it is one frame, and ``unbind`` and
    ``torch.stack`` go over that one frame.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def _with(self, kind: str, *operands: Any) -> Value:
        values = (x if isinstance(x, Value) else self.graph.constant(x) for x in operands)
        return self.graph.op(kind, *values)

    def __add__(self, other: Any) -> Value:
        return self._with("Add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self._with("Sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self._with("Sub", _float(other), self)

    def __mul__(self, other: Any) -> Value:
        return self if isinstance(other, float) and other == 1.0 else self._with("Mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self._with("Mul", other, self)

    def __matmul__(self, other: Any) -> Value:
        return self._with("MatMul", self, other)

    def __neg__(self) -> Value:
        return self.graph.op("Neg", self)

    def chunk(self, parts: int, dim: int) -> list[Value]:
        """Return equal parts along an axis."""
        return self.graph.ops("Split", parts, self, axis=dim, num_outputs=parts)

    def unbind(self, dim: int) -> list[Value]:
        """Return the one frame."""
        return [self]

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Value:
        """Add the nodes of a torch function.

        Raises:
            ConfigError: there is no translation of it.
        """
        if func not in _FUNCTIONS:
            raise ConfigError(f"no ONNX form is known of torch's {getattr(func, '__name__', func)}")
        return _FUNCTIONS[func](*args, **(kwargs or {}))


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def _plain(kind: str) -> Callable[[Value], Value]:
    return lambda x: x.graph.op(kind, x)


def _log_sigmoid(x: Value) -> Value:
    return -x.graph.op("Softplus", -x)


def _log_add_exp(a: Value, b: Value) -> Value:
    graph = a.graph
    return graph.op("Max", a, b) + graph.op("Softplus", -graph.op("Abs", a - b))


def _layer_norm(x: Value, shape: Sequence[int], weight: None = None, bias: None = None, eps: float = 1e-5) -> Value:
    return x.graph.op("LayerNormalization", x, x.graph.constant(torch.ones(tuple(shape))), axis=-1, epsilon=eps)


def _mul(a: Tensor, b: Value) -> Value:
    return b * a


def _cat(parts: Sequence[Value], dim: int) -> Value:
    return parts[0].graph.op("Concat", *parts, axis=dim)


def _stack(frames: Sequence[Value], dim: int) -> Value:
    (frame,) = frames
    return frame


_FUNCTIONS: dict[Callable[..., Any], Callable[..., Value]] = {
    Tensor.mul: _mul,
    torch.sigmoid: _plain("Sigmoid"),
    torch.tanh: _plain("Tanh"),
    torch.relu: _plain("Relu"),
    torch.exp: _plain("Exp"),
    functional.logsigmoid: _log_sigmoid,
    torch.logaddexp: _log_add_exp,
    functional.layer_norm: _layer_norm,
    torch.cat: _cat,
    torch.stack: _stack,
}
