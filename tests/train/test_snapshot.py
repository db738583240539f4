"""Optimiser and generator states survive the trip through a checkpoint to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from asr_ligru.errors import DataError
from asr_ligru.train import checkpoint

OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "adamw": lambda groups: AdamW(groups, lr=0.01, betas=(0.9, 0.98), weight_decay=0.1),
    "adam amsgrad": lambda groups: Adam(groups, lr=0.01, amsgrad=True),
    "rmsprop": lambda groups: RMSprop(groups, lr=0.01, alpha=0.95, momentum=0.5, centered=True),
    "sgd momentum": lambda groups: SGD(groups, lr=0.01, momentum=0.9, nesterov=True),
    "sgd plain": lambda groups: SGD(groups, lr=0.01),
}


def make(optimizer: str) -> tuple[nn.Module, Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.3), nn.Linear(5, 3), nn.Linear(3, 1))
    for parameter in model[4].parameters():
        parameter.requires_grad_(False)  # frozen: no state
    groups = [{"params": list(model[0].parameters())}, {"params": list(model[1:].parameters()), "lr": 0.003}]
    return model, OPTIMIZERS[optimizer](groups)


def train(model: nn.Module, optimizer: Optimizer, steps: int) -> list[float]:
    """Train on random data and with dropout, both from torch's generator; return the losses."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 6)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.9
        losses.append(loss.item())
    return losses


def save(folder: Path, model: nn.Module, optimizer: Optimizer) -> None:
    tensors, state = checkpoint.flatten_optimizer(optimizer, dict(model.named_parameters()))
    parts = {"model": model.state_dict(), "optimizer": tensors, "rng": checkpoint.rng_state()}
    checkpoint.commit(folder, 5, parts, {"optimizer": state})


def resume(folder: Path, model: nn.Module, optimizer: Optimizer) -> None:
    found = checkpoint.latest(folder)
    assert found is not None
    model.load_state_dict(found.tensors["model"])
    named = dict(model.named_parameters())
    checkpoint.restore_optimizer(optimizer, named, found.tensors["optimizer"], found.state["optimizer"])
    checkpoint.set_rng_state(found.tensors["rng"])


def flat(value: Any) -> Any:
    """Turn tensors in a nested state dict into lists, so that == compares every bit of it."""
    if isinstance(value, Tensor):
        return value.dtype, value.tolist()
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resume_continues_bitwise_as_if_unbroken(tmp_path: Path, name: str) -> None:
    model, optimizer = make(name)
    train(model, optimizer, 5)
    save(tmp_path, model, optimizer)
    losses = train(model, optimizer, 7)
    again, fresh = make(name)
    train(again, fresh, 2)  # something else went on before
    resume(tmp_path, again, fresh)
    assert train(again, fresh, 7) == losses
    assert flat(again.state_dict()) == flat(model.state_dict())
    assert flat(fresh.state_dict()) == flat(optimizer.state_dict())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_restore_gives_the_state_dict_of_torch(tmp_path: Path, name: str) -> None:
    model, optimizer = make(name)
    train(model, optimizer, 3)
    save(tmp_path, model, optimizer)
    again, fresh = make(name)
    resume(tmp_path, again, fresh)
    assert flat(fresh.state_dict()) == flat(optimizer.state_dict())


def test_restore_before_the_first_step_works(tmp_path: Path) -> None:
    model, optimizer = make("adamw")
    save(tmp_path, model, optimizer)
    again, fresh = make("adamw")
    resume(tmp_path, again, fresh)
    assert flat(fresh.state_dict()) == flat(optimizer.state_dict())


def test_restore_tensors_are_copies_of_the_given_ones() -> None:
    model, optimizer = make("adam amsgrad")
    train(model, optimizer, 1)
    named = dict(model.named_parameters())
    tensors, state = checkpoint.flatten_optimizer(optimizer, named)
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    again, fresh = make("adam amsgrad")
    checkpoint.restore_optimizer(fresh, dict(again.named_parameters()), kept, state)
    train(again, fresh, 1)
    assert flat(kept) == flat(tensors)


def test_restore_other_parameters_groups_or_shapes_is_a_data_error() -> None:
    model, optimizer = make("adamw")
    train(model, optimizer, 1)
    named = dict(model.named_parameters())
    tensors, state = checkpoint.flatten_optimizer(optimizer, named)
    with pytest.raises(DataError, match="other parameters or groups"):
        checkpoint.restore_optimizer(AdamW(model.parameters()), named, tensors, state)
    for name in ("0.weight/exp_avg", "9.weight/exp_avg"):
        with pytest.raises(DataError, match="does not fit the model"):
            checkpoint.restore_optimizer(optimizer, named, {**tensors, name: torch.zeros(2, 2)}, state)


def test_rng_state_restored_draws_the_same_numbers() -> None:
    states = {name: state.clone() for name, state in checkpoint.rng_state().items()}
    drawn = torch.rand(100)
    checkpoint.set_rng_state(states)
    assert torch.equal(torch.rand(100), drawn)


@pytest.mark.gpu
def test_rng_state_on_cuda_draws_the_same_numbers() -> None:
    states = checkpoint.rng_state()
    drawn = torch.rand(100, device="cuda")
    checkpoint.set_rng_state(states)
    assert torch.equal(torch.rand(100, device="cuda"), drawn)
