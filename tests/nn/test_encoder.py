"""The contract of every registered cell."""

from __future__ import annotations

import copy

import pytest
import torch
from encoder_case import INPUT_SIZE, LENS, OF_TORCH, OWN, TWO_WAY, batch, config, encoder, parts
from tolerance import assert_close
from torch import nn

from asr_ligru.config import CellConfig
from asr_ligru.errors import ConfigError
from asr_ligru.nn import CELLS, build_encoder

DTYPES = [torch.float64, torch.float32]
each_cell = pytest.mark.parametrize("cell", list(CELLS))
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
shared_or_not = pytest.mark.parametrize(
    ("cell", "share"), [(cell, share) for cell in CELLS for share in (True, False) if not (share and cell in OF_TORCH)]
)


@each_dtype
@shared_or_not
def test_encoder_sequence_alone_equals_in_padded_batch(cell: str, share: bool, dtype: torch.dtype) -> None:
    model = encoder(cell, share_directions=share).to(dtype)
    x = batch(dtype)
    together, state = model(x, LENS)
    for b, n in enumerate(LENS.tolist()):
        alone, last = model(x[b : b + 1, :n], LENS[b : b + 1])
        assert_close(together[b, :n], alone[0])
        for whole, single in zip(parts(state), parts(last), strict=True):
            assert_close(whole[:, b], single[:, 0])


@each_dtype
@shared_or_not
def test_encoder_shuffled_batch_gives_shuffled_results(cell: str, share: bool, dtype: torch.dtype) -> None:
    model = encoder(cell, share_directions=share).to(dtype)
    order = torch.tensor([2, 0, 3, 1])
    out, _ = model(batch(dtype), LENS)
    shuffled, _ = model(batch(dtype)[order], LENS[order])
    assert_close(shuffled, out[order])


@each_cell
def test_encoder_padding_is_never_read_and_comes_out_zero(cell: str) -> None:
    model = encoder(cell)
    x = batch()
    expected, _ = model(x, LENS)
    padding = torch.arange(12) >= LENS[:, None]
    x[padding] = torch.nan
    out, _ = model(torch.nn.functional.pad(x, (0, 0, 0, 3), value=torch.nan), LENS)
    assert torch.equal(out[:, :12], expected)
    assert not out[:, 12:].any()
    assert not out[:, :12][padding].any()


@each_cell
def test_encoder_training_gradients_ignore_padding(cell: str) -> None:
    grads = []
    for padding in (0, 4):
        model = encoder(cell).double().train()
        x = torch.nn.functional.pad(batch(torch.float64), (0, 0, 0, padding)).requires_grad_()
        out, _ = model(x, LENS)
        out.pow(3).sum().backward()
        assert not x.grad[torch.arange(12 + padding) >= LENS[:, None]].any()
        grads.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@each_dtype
@each_cell
def test_encoder_streaming_equals_offline(cell: str, dtype: torch.dtype) -> None:
    model = encoder(cell, bidirectional=False).to(dtype)
    x = torch.randn(3, 11, INPUT_SIZE, dtype=dtype)
    offline, last = model(x, torch.full((3,), 11))
    state, frames = None, []
    for frame in x.unbind(1):
        out, state = model.step(frame, state)
        frames.append(out)
    assert_close(torch.stack(frames, dim=1), offline)
    for got, expected in zip(parts(state), parts(last), strict=True):
        assert_close(got, expected)


@each_cell
def test_encoder_bidirectional_step_is_refused(cell: str) -> None:
    with pytest.raises(ConfigError, match="bidirectional"):
        encoder(cell).step(torch.zeros(1, INPUT_SIZE))


@each_cell
def test_encoder_gradient_reaches_given_state(cell: str) -> None:
    model = encoder(cell)
    _, state = model(batch(), LENS)
    given = tuple(torch.rand_like(x).requires_grad_() for x in parts(state))
    out, _ = model(batch(), LENS, given if len(given) > 1 else given[0])
    out.sum().backward()
    for x in given:
        assert x.grad.flatten(1).any(dim=1).all()  # in every layer and direction


@each_cell
def test_encoder_state_dict_round_trip_gives_same_bits(cell: str) -> None:
    one, other = encoder(cell, seed=1), encoder(cell, seed=2)
    expected, _ = one(batch(), LENS)
    assert not torch.equal(other(batch(), LENS)[0], expected)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(batch(), LENS)[0], expected)


@each_cell
def test_encoder_state_dict_holds_weights_and_statistics_only(cell: str) -> None:
    model = build_encoder(INPUT_SIZE, config(cell, dropout=0.5))
    model(batch(), LENS)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d)]
    statistics = {x.data_ptr() for norm in norms for x in norm.buffers()}
    trained = {x.data_ptr() for x in model.parameters()}
    assert {x.data_ptr() for x in model.state_dict().values()} == trained | statistics  # no dropout masks, no padding


@each_cell
def test_encoder_training_step_changes_every_parameter(cell: str) -> None:
    model = build_encoder(INPUT_SIZE, config(cell))
    out, _ = model(batch(), LENS)
    out.pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    still = {name.rpartition(".")[2] for name, p in model.named_parameters() if not p.grad.any()}
    assert still == ({"p0_logit"} if cell == "ubru" else set())  # p1 = p2 at first, so that nothing is remembered


@each_cell
def test_encoder_same_seed_same_dropout(cell: str) -> None:
    model = encoder(cell, dropout=0.5).train()
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(model(batch(), LENS)[0])
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    model.eval()
    assert torch.equal(model(batch(), LENS)[0], model(batch(), LENS)[0])


@each_cell
def test_encoder_bf16_autocast_stays_near_float32(cell: str) -> None:
    model = encoder(cell)
    expected, _ = model(batch(), LENS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, _ = model(batch(), LENS)
    assert (out - expected).norm() < 2e-2 * expected.norm()


@each_cell
@pytest.mark.parametrize("lens", [[12, 0, 3, 1], [13, 1, 3, 1], [12, 1, 3]], ids=str)
def test_encoder_wrong_lengths_are_refused(cell: str, lens: list[int]) -> None:
    with pytest.raises(ValueError, match="lens must"):
        encoder(cell)(batch(), torch.tensor(lens))


@each_cell
def test_encoder_state_of_wrong_shape_is_refused(cell: str) -> None:
    wrong = torch.zeros(6, 3, 5)
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)state|hidden"):
        encoder(cell)(batch(), LENS, (wrong, wrong) if "lstm" in cell else wrong)


def test_build_encoder_unknown_cell_names_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown cell 'ligrru'") as caught:
        build_encoder(INPUT_SIZE, CellConfig(name="ligrru"))
    assert "'ligru'" in caught.value.fix


@pytest.mark.parametrize(
    ("cell", "keys", "expected"),
    [
        # W and U of both gates and the norm's two numbers a channel: 2 * 550 * (in + 550 + 2), in = 40, 1100 ...
        ("ligru", {}, 2 * 550 * (40 + 550 + 2) + 4 * 2 * 550 * (1100 + 550 + 2)),
        ("libru_arith", {}, 2 * 550 * (40 + 550 + 2) + 4 * 2 * 550 * (1100 + 550 + 2)),
        ("ligru", {"share_directions": False}, 2 * (2 * 550 * (40 + 550 + 2) + 4 * 2 * 550 * (1100 + 550 + 2))),
        ("gru", {}, 23.76e6),
    ],
)
def test_encoder_parameter_count_of_papers_size(cell: str, keys: dict[str, bool], expected: float) -> None:
    model = build_encoder(40, config(cell, hidden_size=550, num_layers=5, **keys))
    assert sum(p.numel() for p in model.parameters()) == expected


# Of each cell: blocks of H x F and of H x H weights, and further parameters a unit.
BLOCKS = {
    "rnn_tanh": (1, 1, 0),
    "rnn_relu": (1, 1, 0),
    "lstm_bn": (4, 4, 0),
    "lstm_peephole": (4, 4, 3),
    "gru_bn": (3, 3, 0),
    "gru_reset_before": (3, 3, 0),
    "gru1": (1, 3, 2),
    "gru2": (1, 3, 0),
    "gru3": (1, 1, 2),
    "mgu": (2, 2, 0),
    "mgru": (2, 2, 0),
    "ligru": (2, 2, 0),
    "sligru": (2, 2, 0),
    "libru_arith": (2, 2, 0),
    "libru_harm": (2, 2, 0),
    "libru_geo": (2, 2, 0),
    "sbru": (1, 1, 0),
    "ubru": (1, 0, 3),
}


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("cell", OWN)
def test_encoder_parameter_count_equals_closed_form(cell: str, share: bool) -> None:
    inputs, recurrent, further = BLOCKS[cell]
    h, directions = 7, 2 if cell in TWO_WAY else 1
    per_layer = [inputs * h * (f + 2) + recurrent * h * h + further * h for f in (40, directions * h, directions * h)]
    expected = (1 if share else directions) * sum(per_layer)  # the 2: scale and shift of the norm
    model = build_encoder(40, config(cell, hidden_size=h, share_directions=share))
    assert sum(p.numel() for p in model.parameters()) == expected


@each_cell
def test_encoder_deep_copy_gives_same_bits(cell: str) -> None:
    model = encoder(cell)
    assert torch.equal(copy.deepcopy(model)(batch(), LENS)[0], model(batch(), LENS)[0])


@pytest.mark.gpu
@each_cell
def test_encoder_on_gpu_equals_cpu(cell: str) -> None:
    model = encoder(cell).double()
    leaves = list(model.parameters())
    out, _ = model(batch(torch.float64), LENS)
    expected = [out, *torch.autograd.grad(out.pow(2).sum(), leaves)]
    model.cuda()
    out, _ = model(batch(torch.float64).cuda(), LENS.cuda())
    got = [out, *torch.autograd.grad(out.pow(2).sum(), list(model.parameters()))]
    for x, y in zip(got, expected, strict=True):
        assert_close(x.cpu(), y)


@pytest.mark.parametrize("cell", ["ligru", "libru_arith", "ubru", "lstm_bn", "gru", "lstm"])
@pytest.mark.parametrize("lens", [LENS, torch.full((4,), 12)], ids=["padded", "full"])
def test_encoder_layer_outputs_are_those_of_shallower_encoders(cell: str, lens: torch.Tensor) -> None:
    model = encoder(cell)
    x = torch.randn(4, 12, INPUT_SIZE, generator=torch.Generator().manual_seed(2))
    third, first, second = model.layer_outputs(x, lens, [3, 1, 2])
    for layers, output in ((1, first), (2, second), (3, third)):
        shallow = build_encoder(INPUT_SIZE, config(cell, num_layers=layers)).eval()
        shallow.load_state_dict({name: model.state_dict()[name] for name in shallow.state_dict()})
        assert_close(output, shallow(x, lens)[0])
    x[torch.arange(12) >= lens[:, None]] = torch.nan  # padding is not read
    assert torch.equal(model.layer_outputs(x.nan_to_num(7.0), lens, [1])[0], first)
