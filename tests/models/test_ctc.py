"""The CTC model: normalised output of the right length that no other utterance of the batch can change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr_ligru.config import ModelConfig
from asr_ligru.models.ctc import CtcModel
from tests.nn.encoder_case import INPUT_SIZE, LENS, batch, config, perturb
from tests.tolerance import assert_close

CELLS = ["ligru", "libru_arith", "gru", "lstm"]
VOCAB_SIZE = 6


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


def model(cell: str, *, dtype: torch.dtype = torch.float32, **keys: Any) -> CtcModel:
    """Return a model in evaluation mode with perturbed parameters and running statistics."""
    around = ModelConfig(**{"stack_frames": 2, **{k: v for k, v in keys.items() if k != "dropout"}})
    torch.manual_seed(0)
    built = CtcModel(INPUT_SIZE, VOCAB_SIZE, config(cell, num_layers=2, dropout=keys.get("dropout", 0.0)), around)
    perturb(built)
    return built.to(dtype).eval()


def run(network: CtcModel, feats: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the model gives in float32; in float64 its logits, as its own output is always float32."""
    logits: list[Tensor] = []
    handle = network.head.register_forward_hook(lambda module, args, out: logits.append(out))
    with torch.no_grad():
        log_probs, out_lens = network(feats, lens)
    handle.remove()
    return (log_probs if feats.dtype == torch.float32 else logits[0]), out_lens


@pytest.mark.parametrize("stack", [1, 2, 3, 8])
@pytest.mark.parametrize("cell", CELLS)
def test_output_is_normalised_float32_of_ceil_length(cell: str, stack: int) -> None:
    network = model(cell, stack_frames=stack)
    log_probs, lens = network(batch(), LENS)
    assert log_probs.shape == (4, -(-12 // stack), VOCAB_SIZE)
    assert log_probs.dtype == torch.float32
    assert lens.tolist() == torch.ceil(LENS / stack).long().tolist()
    assert lens.tolist() == [network.output_length(n) for n in LENS.tolist()]
    for row, length in zip(log_probs, lens.tolist(), strict=True):
        assert_close(row[:length].exp().sum(-1), torch.ones(length))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("stack", [1, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_alone_equals_padded_equals_shuffled(cell: str, stack: int, dtype: torch.dtype) -> None:
    network, feats = model(cell, dtype=dtype, stack_frames=stack), batch(dtype)
    together, lens = run(network, feats, LENS)
    padded, _ = run(network, nn.functional.pad(feats, (0, 0, 0, 7)), LENS)
    order = torch.tensor([2, 0, 3, 1])
    shuffled, _ = run(network, feats[order], LENS[order])
    for i, (frames, length) in enumerate(zip(LENS.tolist(), lens.tolist(), strict=True)):
        alone, _ = run(network, feats[i : i + 1, :frames], LENS[i : i + 1])
        assert alone.shape[1] == length
        place = order.tolist().index(i)
        for other, name in ((together[i], "batched"), (padded[i], "padded"), (shuffled[place], "shuffled")):
            assert_close(other[:length], alone[0], f"{name} {i}")


@pytest.mark.parametrize("cell", CELLS)
def test_every_parameter_has_a_gradient(cell: str) -> None:
    network = model(cell).train()
    log_probs, lens = network(batch(), LENS)
    tokens = torch.tensor([[1, 2], [3, 0], [4, 5], [1, 0]])
    loss = nn.functional.ctc_loss(log_probs.transpose(0, 1), tokens, lens, torch.tensor([2, 1, 2, 1]))
    loss.backward()  # type: ignore[no-untyped-call]
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not dead
    assert all(p.grad.any() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("place", ["input_dropout", "dropout", "head_dropout"])
def test_dropout_acts_in_training_only(place: str) -> None:
    feats, plain, network = batch(), model("ligru"), model("ligru", **{place: 0.5})
    assert torch.equal(network(feats, LENS)[0], network(feats, LENS)[0])
    assert torch.equal(network(feats, LENS)[0], plain(feats, LENS)[0])
    network.train()
    plain.train()
    assert torch.equal(plain(feats, LENS)[0], plain(feats, LENS)[0])
    assert not torch.equal(network(feats, LENS)[0], network(feats, LENS)[0])


@pytest.mark.parametrize(("cell", "of_torch"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_num_parameters_of_a_torch_cell_equals_torchs(cell: str, of_torch: type[nn.Module]) -> None:
    network = CtcModel(INPUT_SIZE, VOCAB_SIZE, config(cell, num_layers=2), ModelConfig(stack_frames=3))
    theirs = [of_torch(3 * INPUT_SIZE, 5, num_layers=2, bidirectional=True), nn.Linear(10, VOCAB_SIZE)]
    assert network.num_parameters() == sum(p.numel() for m in theirs for p in m.parameters())


def test_num_parameters_of_a_ligru_equals_its_equations_and_leaves_frozen_ones_out() -> None:
    network = CtcModel(INPUT_SIZE, VOCAB_SIZE, config("ligru", num_layers=2), ModelConfig())
    gates = 2 * 5  # gate and candidate of H = 5; both directions share W, U and the norm's scale and shift
    layers = gates * (INPUT_SIZE + 5 + 2) + gates * (10 + 5 + 2)
    head = 10 * VOCAB_SIZE + VOCAB_SIZE
    assert network.num_parameters() == layers + head
    network.head.requires_grad_(False)
    assert network.num_parameters() == layers


@pytest.mark.parametrize("cell", CELLS)
def test_inner_layers_are_read_by_the_one_head_alone_as_padded(cell: str) -> None:
    network, plain, feats = model(cell, inter_ctc_layers=(1,)), model(cell), batch()
    assert network.state_dict().keys() == plain.state_dict().keys()
    shallow = CtcModel(INPUT_SIZE, VOCAB_SIZE, config(cell, num_layers=1), ModelConfig(stack_frames=2)).eval()
    shallow.load_state_dict({name: network.state_dict()[name] for name in shallow.state_dict()})
    with torch.no_grad():
        last, lens, inner = network.every_layer(feats, LENS)
        padded = network.every_layer(nn.functional.pad(feats, (0, 0, 0, 7)), LENS)[2]
        assert torch.equal(network(feats, LENS)[0], plain(feats, LENS)[0])
        for i, (frames, length) in enumerate(zip(LENS.tolist(), lens.tolist(), strict=True)):
            alone = feats[i : i + 1, :frames], LENS[i : i + 1]
            for said, expected in ((inner, shallow), (padded, shallow), (last, plain)):
                assert_close(said[i, :length], expected(*alone)[0][0])


@pytest.mark.parametrize("keys", [{}, {"inter_ctc_layers": (1,), "inter_ctc_weight": 0.0}])
@pytest.mark.parametrize("cell", CELLS)
def test_without_inner_layers_nothing_else_is_computed(cell: str, keys: dict[str, Any]) -> None:
    network = model(cell, **keys)
    with torch.no_grad():
        every, expected = network.every_layer(batch(), LENS), network(batch(), LENS)
    assert len(every) == 2
    assert all(torch.equal(a, b) for a, b in zip(every, expected, strict=True))
