"""LiGRU and its relatives for SpeechBrain's models: what its CRDNN and its hyperparameter files take as ``rnn_class``.

In a hyperparameter file: ``rnn_class: !name:asr_ligru.integrations.speechbrain.LiGRU``.

SpeechBrain hands its recurrent networks no lengths. Every frame of a batch is therefore valid here too: padding goes
into batch norm's statistics and the reverse direction begins in it, as in SpeechBrain's own LiGRU. On batches without
padding the outputs are those of SpeechBrain's, given its weights.

The final state is that of torch.nn.GRU, (L * D, B, H) where each direction ends. SpeechBrain's own returns the last
frame of both directions, which is the first one that the reverse direction saw, in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asr_ligru.errors import ConfigError
from asr_ligru.nn import dropin
from asr_ligru.registry import nearest

_NORMS = {"batchnorm": "batch", "layernorm": "layer"}

Shape = Sequence[int | None]


class _Network(nn.Module):
    """A network with the call of torch.nn.GRU behind SpeechBrain's arguments.

    Args:
        hidden_size: H.
        input_shape: of an example input, (B, T, F) or (B, T, F, C); only F and C matter.
        normalization: of the projection, "batchnorm" or "layernorm".
        num_layers: L.
        bias: whether the norm's shift is trained; if not it stays 0.
        dropout: of the candidate, one mask for each sequence and direction.
        re_init: draw recurrent weights orthogonal and input weights Glorot uniform, each gate by itself; if not, all
            of them as torch.nn.Linear does.
        bidirectional: whether D is 2; both directions share their weights.
        input_size: F, instead of ``input_shape``.
        keys: keywords of ``nn.dropin.DropIn``.

    Raises:
        ConfigError: an unknown or unsupported argument, or both or none of ``input_shape`` and ``input_size``.
    """

    network: type[dropin.DropIn]

    def __init__(
        self,
        hidden_size: int,
        input_shape: Shape | None = None,
        normalization: str = "batchnorm",
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        re_init: bool = True,
        bidirectional: bool = False,
        input_size: int | None = None,
        **keys: Any,
    ) -> None:
        super().__init__()
        _check("normalization", normalization, tuple(_NORMS))
        size, norm = _features(input_shape, input_size), _NORMS[normalization]
        self.rnn = self.network(size, hidden_size, num_layers, bias, True, dropout, bidirectional, norm=norm, **keys)
        if not re_init:
            _draw_as_linear(self.rnn)

    def forward(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the network over whole padded sequences.

        Args:
            x: (B, T, F), or (B, T, F, C) which becomes (B, T, F * C).
            hx: (L * D, B, H) state before the first frame; None for the cell's own.

        Returns:
            (B, T, D * H), and the final state (L * D, B, H).

        Raises:
            ValueError: an input or state of the wrong shape, dtype or device.
        """
        out, state = self.rnn(x.flatten(2), hx)
        return out, state


class LiGRU(_Network):
    """In place of speechbrain.nnet.RNN.LiGRU; arguments as there.

    Args:
        hidden_size: see ``_Network``, as for all arguments but the next.
        input_shape: of an example input.
        nonlinearity: "relu", the only one there is here.
        normalization: "batchnorm" or "layernorm".
        keys: further arguments of ``_Network``.
    """

    network = dropin.LiGRU

    def __init__(
        self,
        hidden_size: int,
        input_shape: Shape | None = None,
        nonlinearity: str = "relu",
        normalization: str = "batchnorm",
        *args: Any,
        **keys: Any,
    ) -> None:
        _check("nonlinearity", nonlinearity, ("relu",))
        super().__init__(hidden_size, input_shape, normalization, *args, **keys)


class SLiGRU(_Network):
    """In place of speechbrain.nnet.RNN.SLiGRU; arguments as there.

    Args:
        hidden_size: see ``_Network``, as for all arguments but the next.
        input_shape: of an example input.
        nonlinearity: "relu", the only one there is here.
        ff_normalization: of the projection, "batchnorm" or "layernorm".
        recurrent_elementwise_affine: must be False: the recurrent layer norm has no parameters here.
        keys: further arguments of ``_Network``.
    """

    network = dropin.SLiGRU

    def __init__(
        self,
        hidden_size: int,
        input_shape: Shape | None = None,
        nonlinearity: str = "relu",
        ff_normalization: str = "batchnorm",
        recurrent_elementwise_affine: bool = False,
        *args: Any,
        **keys: Any,
    ) -> None:
        _check("nonlinearity", nonlinearity, ("relu",))
        _check("recurrent_elementwise_affine", str(recurrent_elementwise_affine), ("False",))
        super().__init__(hidden_size, input_shape, ff_normalization, *args, **keys)


class LiBRU(_Network):
    """Light Bayesian recurrent unit for the same place; it has no choice of nonlinearity. See ``nn.dropin.LiBRU``."""

    network = dropin.LiBRU


def _check(key: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse what SpeechBrain has and this package has not, and names that SpeechBrain takes for something else."""
    if value not in known:
        raise ConfigError(
            f"{key} {value!r} is not supported, expected {' or '.join(known)}",
            where=f"argument {key} of asr_ligru.integrations.speechbrain",
            fix=f"{nearest(value, known)}; for others use the class of speechbrain.nnet.RNN",
        )


def _features(input_shape: Shape | None, input_size: int | None) -> int:
    if (input_shape is None) == (input_size is None):
        raise ConfigError(
            f"expected either input_shape or input_size, got {input_shape} and {input_size}",
            where="arguments of asr_ligru.integrations.speechbrain",
            fix="pass input_size=F",
        )
    if input_size is not None:
        return input_size
    return math.prod(size or 1 for size in (input_shape or ())[2:])


@torch.no_grad()
def _draw_as_linear(network: nn.Module) -> None:
    """Draw all weight matrices as torch.nn.Linear does: uniform within 1 / sqrt of their inputs."""
    for parameter in network.parameters():
        if parameter.dim() > 1:
            bound = 1 / math.sqrt(parameter.shape[-1])
            nn.init.uniform_(parameter, -bound, bound)
