"""Optimiser and random number states as named tensors and JSON, so that checkpoints need no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asr_ligru.errors import DataError

NamedParameters = Mapping[str, nn.Parameter]


def flatten_optimizer(
    optimizer: Optimizer, named_parameters: NamedParameters
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimiser's state as tensors ``parameter_name/exp_avg`` and JSON.

    Args:
        optimizer: any whose state for a parameter is tensors and JSON values (AdamW, Adam, RMSprop, SGD, ...).
        named_parameters: names for at least all of its parameters.

    Returns:
        The tensors, and {"groups": settings with their parameters' names, "scalars": state that is not a tensor}.
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in named_parameters.items()}
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{names[parameter]}/{key}"] = value
            else:
                scalars.setdefault(names[parameter], {})[key] = value
    groups = [{**group, "params": [names[p] for p in group["params"]]} for group in optimizer.param_groups]
    return tensors, {"groups": groups, "scalars": scalars}


def restore_optimizer(
    optimizer: Optimizer,
    named_parameters: NamedParameters,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
) -> None:
    """Put back what ``flatten_optimizer`` returned, also after a trip through JSON.

    Args:
        optimizer: built in the same way over the same parameters.
        named_parameters: names for at least all of its parameters.
        tensors: state tensors; copied, moved to each parameter's device.
        state: groups and scalars.

    Raises:
        DataError: the groups, parameters or shapes are not this optimiser's.
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in named_parameters.items()}
    ours = [[names[p] for p in group["params"]] for group in optimizer.param_groups]
    if ours != [group["params"] for group in state["groups"]]:
        raise DataError(
            "the optimiser state was saved for other parameters or groups",
            fix="resume with the model and optimiser settings the run was started with",
        )
    order = [name for group in ours for name in group]
    shapes = {name: parameter.shape for parameter, name in names.items()}
    per_parameter: dict[int, dict[str, Any]] = {}
    for full_name, tensor in tensors.items():
        name, _, key = full_name.rpartition("/")
        if name not in shapes or (tensor.dim() > 0 and tensor.shape != shapes[name]):
            raise DataError(f"optimiser state {full_name!r} does not fit the model, shape {tuple(tensor.shape)}")
        per_parameter.setdefault(order.index(name), {})[key] = tensor.clone()
    for name, values in state["scalars"].items():
        per_parameter.setdefault(order.index(name), {}).update(values)
    groups, first = [], 0
    for current, saved in zip(optimizer.param_groups, state["groups"], strict=True):
        settings = {key: tuple(v) if isinstance(current.get(key), tuple) else v for key, v in saved.items()}
        groups.append({**settings, "params": list(range(first, first + len(saved["params"])))})
        first += len(saved["params"])
    optimizer.load_state_dict({"state": per_parameter, "param_groups": groups})


def rng_state() -> dict[str, Tensor]:
    """Return the states of torch's generators: "cpu", and "cuda_0", ... where there are GPUs."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda_{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def set_rng_state(states: Mapping[str, Tensor]) -> None:
    """Put back what ``rng_state`` returned; states of GPUs that this machine does not have are left out.

    Args:
        states: none at all leaves the generators as they are.
    """
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    for i in range(torch.cuda.device_count()):
        if f"cuda_{i}" in states:
            torch.cuda.set_rng_state(states[f"cuda_{i}"], i)
