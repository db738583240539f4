"""What stands beside an utterance in its batch, and in which order, changes nothing that a model says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from asr_ligru.config import CellConfig, Config, ModelConfig
from asr_ligru.models.build import build_model
from asr_ligru.models.ctc import CtcModel
from asr_ligru.nn import CELLS
from asr_ligru.train.loss import ctc_losses
from asr_ligru.typing import Batch
from tests.nn.encoder_case import OF_TORCH, perturb

FEATURES, VOCABULARY = 4, 6
LIMIT, DOUBLE_LIMIT = 1e-5, 1e-10
BATCHES_OF_A_MODEL = 3


def draw_batch(rng: torch.Generator) -> Batch:
    """Return one to five utterances of 1 to 12 frames; what stands behind their ends is noise or NaN."""
    size = int(torch.randint(1, 6, (), generator=rng))
    lens = torch.randint(1, 13, (size,), generator=rng)
    token_lens = (lens // 4).clamp(min=1)
    feats = torch.randn(size, int(lens.max()) + int(torch.randint(3, (), generator=rng)), FEATURES, generator=rng)
    if int(torch.randint(2, (), generator=rng)):
        feats[torch.arange(feats.shape[1]) >= lens[:, None]] = torch.nan
    return Batch(
        utt_ids=tuple(map(str, range(size))),
        feats=feats,
        feat_lens=lens,
        tokens=torch.arange(1, 1 + int(token_lens.max())).expand(size, -1).clone(),
        token_lens=token_lens,
        epoch=1,
    )


def draw_model(cell: str, two_way: bool, rng: torch.Generator) -> CtcModel:
    """Return a model in evaluation mode whose parameters and statistics are those of a trained one."""
    stack, layers, seed = (int(torch.randint(1, high, (), generator=rng)) for high in (4, 4, 1 << 30))
    keys = {"hidden_size": 5, "num_layers": layers, "bidirectional": two_way, "dropout": 0.0, **OF_TORCH.get(cell, {})}
    torch.manual_seed(seed)
    config = Config(cell=CellConfig(name=cell, **keys), model=ModelConfig(stack_frames=stack))
    model = build_model(config, FEATURES, VOCABULARY)
    perturb(model.encoder)
    return model.eval()


def said_of(model: CtcModel, batch: Batch, chosen: list[int], num_frames: int) -> list[tuple[Tensor, Tensor]]:
    """Return log probabilities and loss of each chosen utterance, put into one batch cut after ``num_frames``."""
    part = Batch(
        tuple(batch.utt_ids[i] for i in chosen), batch.feats[chosen, :num_frames], batch.feat_lens[chosen],
        batch.tokens[chosen], batch.token_lens[chosen], batch.epoch,
    )  # fmt: skip
    log_probs, lens = model(part.feats, part.feat_lens)
    losses = ctc_losses(log_probs, lens, part) if log_probs.dtype == torch.float32 else torch.zeros(len(chosen))
    return [(x[:n], loss) for x, n, loss in zip(log_probs, lens, losses, strict=True)]


def largest_difference(got: list[tuple[Tensor, Tensor]], expected: list[tuple[Tensor, Tensor]]) -> float:
    """Return the largest difference, of a number in proportion to it where it is above 1; infinite losses are equal."""
    pairs = [pair for one, other in zip(got, expected, strict=True) for pair in zip(one, other, strict=True)]
    assert all(torch.equal(x.isfinite(), y.isfinite()) for x, y in pairs)
    gaps = [((x - y).abs() / y.abs().clamp(min=1)).nan_to_num(nan=0.0, posinf=0.0).max() for x, y in pairs]
    return float(torch.stack(gaps).max())


def worst(cell: str, two_way: bool, number: int, dtype: torch.dtype = torch.float32) -> float:
    """Return the largest difference between padded and alone, and padded and in another order, over many batches."""
    rng = torch.Generator().manual_seed(number)
    found = 0.0
    with torch.no_grad():
        for count in range(number):
            if count % BATCHES_OF_A_MODEL == 0:
                model = draw_model(cell, two_way, rng).to(dtype)
            batch = draw_batch(rng)
            batch = replace(batch, feats=batch.feats.to(dtype))
            size, frames = len(batch.utt_ids), batch.feats.shape[1]
            together = said_of(model, batch, list(range(size)), frames)
            assert all(bool(x.isfinite().all()) for x, _ in together)
            alone = [said_of(model, batch, [i], int(batch.feat_lens[i]))[0] for i in range(size)]
            order = torch.randperm(size, generator=rng).tolist()
            shuffled = said_of(model, batch, order, int(batch.feat_lens.max()))
            found = max(found, largest_difference(alone, together))
            found = max(found, largest_difference(shuffled, [together[i] for i in order]))
    return found


@pytest.mark.parametrize("two_way", [True, False], ids=["both directions", "one direction"])
@pytest.mark.parametrize("cell", list(CELLS))
def test_model_five_random_batches_alone_padded_and_shuffled_agree(cell: str, two_way: bool) -> None:
    assert worst(cell, two_way, 5) <= LIMIT


@pytest.mark.parametrize("cell", list(CELLS))
def test_model_in_float64_two_random_batches_agree_more_closely(cell: str) -> None:
    assert worst(cell, True, 2, torch.float64) <= DOUBLE_LIMIT


@pytest.mark.fuzz
@pytest.mark.parametrize("two_way", [True, False], ids=["both directions", "one direction"])
@pytest.mark.parametrize("cell", list(CELLS))
def test_model_500_random_batches_alone_padded_and_shuffled_agree(cell: str, two_way: bool) -> None:
    assert worst(cell, two_way, 500) <= LIMIT


def test_worst_sees_a_model_that_reads_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = CtcModel.forward

    def forward(self: CtcModel, feats: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        log_probs, out_lens = plain(self, feats, lens)
        return log_probs + 1e-4 * feats.shape[1], out_lens

    assert worst("ligru", True, 3) <= LIMIT
    monkeypatch.setattr(CtcModel, "forward", forward)
    assert worst("ligru", True, 3) > LIMIT
