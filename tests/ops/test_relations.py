"""Cells that are special cases of one another, down to the ones that torch.nn has."""

from __future__ import annotations

import math

import pytest
import torch
from recurrence_case import Case, extras, recurrence
from tolerance import assert_close
from torch import Tensor

OPEN = 1e3  # a gate's input at which it is exactly 1


def _reference(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, **options: Tensor) -> Tensor:
    states: Tensor = recurrence(cell, "reference")(wx, u, h0, mask, **options)
    return states


def _like(x: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` (D or 1, H) at every sequence and frame of ``x`` (D, B, T, ...)."""
    return value[:, None, None].expand(*x.shape[:3], -1)


def test_gru_reset_before_with_diagonal_candidate_weights_equals_torchs_form() -> None:
    wx, u, h0, mask = Case("gru_bn", own=2).inputs()
    u[:, 10:] *= torch.eye(5, dtype=u.dtype)
    assert_close(_reference("gru_reset_before", wx, u, h0, mask), _reference("gru_bn", wx, u, h0, mask))


def test_gru_reset_before_with_full_candidate_weights_is_another_function() -> None:
    inputs = Case("gru_bn").inputs()
    assert (_reference("gru_reset_before", *inputs) - _reference("gru_bn", *inputs)).abs().max() > 0.05


@pytest.mark.parametrize("form", ["gru_bn", "gru_reset_before"])
def test_mgru_equals_gru_with_reset_gate_open(form: str) -> None:
    wx, u, h0, mask = Case("mgru").inputs()
    (w_c, w_z), (u_c, u_z) = wx.chunk(2, dim=-1), u.chunk(2, dim=1)
    wx_r, u_r = torch.full_like(w_c, OPEN), torch.zeros_like(u_c)
    expected = _reference(form, torch.cat((wx_r, w_z, w_c), -1), torch.cat((u_r, u_z, u_c), 1), h0, mask)
    assert_close(_reference("mgru", wx, u, h0, mask), expected)


def test_mgru_with_candidate_near_zero_equals_ligru_of_its_sign() -> None:
    wx, u, h0, _ = Case("mgru", batch_size=1).inputs()
    wx[..., :5], u, h0 = wx[..., :5].abs() * 1e-9, u.abs(), h0 * 1e-9  # tanh x and ReLU x are x there
    assert_close(_reference("mgru", wx, u, h0), _reference("ligru", wx, u, h0))


def test_mgu_equals_gru_whose_gates_are_complements() -> None:
    wx, u, h0, mask = Case("mgu").inputs()
    (w_c, w_f), (u_c, u_f) = wx.chunk(2, dim=-1), u.chunk(2, dim=1)
    wider, higher = torch.cat((w_f, -w_f, w_c), dim=-1), torch.cat((u_f, -u_f, u_c), dim=1)
    assert_close(_reference("mgu", wx, u, h0, mask), _reference("gru_reset_before", wider, higher, h0, mask))


def test_gru1_equals_gru_whose_gates_have_a_constant_input() -> None:
    wx, u, h0, mask = Case("gru1", own=2).inputs()
    wider = torch.cat((_like(wx, extras("gru1", u)["bias"]), wx), dim=-1)
    assert_close(_reference("gru1", wx, u, h0, mask), _reference("gru_reset_before", wider, u, h0, mask))


def test_gru2_equals_gru1_without_bias() -> None:
    wx, u, h0, mask = Case("gru2", own=2).inputs()
    expected = _reference("gru1", wx, u, h0, mask, bias=u.new_zeros(2, 10))
    assert_close(_reference("gru2", wx, u, h0, mask), expected)


def test_gru3_equals_gru1_whose_gates_do_not_see_the_state() -> None:
    wx, u, h0, mask = Case("gru3", own=2).inputs()
    higher = torch.cat((torch.zeros_like(u), torch.zeros_like(u), u), dim=1)
    bias = extras("gru3", u)["bias"]
    assert_close(_reference("gru3", wx, u, h0, mask), _reference("gru1", wx, higher, h0, mask, bias=bias))


def test_lstm_peephole_with_weights_of_zero_equals_torchs_form() -> None:
    wx, u, h0, mask = Case("lstm_peephole", own=2).inputs()
    expected = _reference("lstm_bn", wx, u, h0, mask)
    assert_close(_reference("lstm_peephole", wx, u, h0, mask, peepholes=u.new_zeros(2, 15)), expected)


def test_lstm_peephole_one_unit_equals_numbers_worked_out_by_hand() -> None:
    wx, h0 = torch.tensor([[[[0.1, 0.2, 0.3, 0.4]]]], dtype=torch.float64), torch.tensor([[[0.0, 2.0]]])
    u, peepholes = torch.zeros(1, 4, 1), torch.tensor([[0.5, -0.5, 0.25]])
    h, c = _reference("lstm_peephole", wx, u.double(), h0.double(), peepholes=peepholes.double()).flatten().tolist()

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    cell = sigmoid(0.2 - 0.5 * 2) * 2 + sigmoid(0.1 + 0.5 * 2) * math.tanh(0.3)
    assert c == pytest.approx(cell, rel=1e-12)
    assert h == pytest.approx(sigmoid(0.4 + 0.25 * cell) * math.tanh(cell), rel=1e-12)  # the output gate sees the new c


def test_rnn_relu_dropped_units_are_zero_and_others_scaled() -> None:
    wx, u, h0, mask = Case("rnn_relu").inputs()
    assert mask is not None
    states = _reference("rnn_relu", wx, torch.zeros_like(u), h0, mask)
    assert_close(states, torch.relu(wx) * mask.unsqueeze(2))
