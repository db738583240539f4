from __future__ import annotations

import torch
from tolerance import assert_close

from asr_ligru.features.moments import affine, outer, pack, unpack


def test_outer_each_frame_equals_torch_outer() -> None:
    feats = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([torch.outer(x, x) for x in affine(feats)])
    assert_close(unpack(outer(feats)), expected)
    assert_close(outer(feats), pack(expected))


def test_pack_order_is_that_of_kaldi_and_unpack_undoes_it() -> None:
    matrix = torch.tensor([[0.0, 1.0, 3.0], [1.0, 2.0, 4.0], [3.0, 4.0, 5.0]])
    assert pack(matrix).tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(unpack(pack(matrix)), matrix)


def test_outer_no_frames_gives_no_rows(poisoned_memory: None) -> None:
    assert outer(torch.zeros(0, 3)).shape == (0, 10)
    assert outer(torch.zeros(2, 3)).isfinite().all()
