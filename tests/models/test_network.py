"""What every model has: settings of heads that contradict each other are refused, and heads that are off are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asr_ligru.config import CellConfig, ModelConfig
from asr_ligru.errors import ConfigError
from asr_ligru.models.network import check_heads
from asr_ligru.train.run import train
from tests.train.test_joint import config


@pytest.mark.parametrize(
    ("keys", "where", "what", "fix"),
    [
        ({"inter_ctc_layers": (4,)}, "inter_ctc_layers", r"from 1 to 3, each once, got \[4\]", r"layers=\[2\]"),
        ({"inter_ctc_layers": (0, 1)}, "inter_ctc_layers", r"from 1 to 3, each once, got \[0, 1\]", r"layers=\[2\]"),
        ({"inter_ctc_layers": (2, 2)}, "inter_ctc_layers", r"each once, got \[2, 2\]", r"layers=\[2\]"),
        ({"ctc_weight": 0.3}, "ctc_weight", "expected 0, got 0.3", "model=hybrid"),
        (
            {"name": "hybrid", "inter_ctc_layers": (2,)},
            "inter_ctc_layers",
            r"expected none, got \[2\]",
            "ctc_weight=0.3",
        ),
    ],
)
def test_check_heads_refuses_with_all_four_parts(keys: dict[str, Any], where: str, what: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=rf"^config error: .*{what}\n  in: model\.{where}\n  fix: .*{fix}"):
        check_heads(CellConfig(num_layers=4), ModelConfig(**keys))


def test_check_heads_of_one_layer_has_no_inner_one() -> None:
    with pytest.raises(ConfigError, match=r"there is one layer, got \[1\]"):
        check_heads(CellConfig(num_layers=1), ModelConfig(inter_ctc_layers=(1,)))


def test_train_refuses_heads_before_it_reads_anything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="inner layers"):
        train(config(tmp_path, "exp", "model=hybrid", "model.inter_ctc_layers=[1]"))  # there is no corpus
    assert not list(tmp_path.iterdir())
