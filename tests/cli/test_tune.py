"""``asr-ligru tune``: what is refused before anything is searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.cli import main
from tests.tiny_model import write_model


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--split", "test", "-o", "out"], 2, "not chosen on the test set"),
        ([], 2, "results do not go into a model folder"),
        (["--lm-weights", "0,-1", "-o", "out"], 2, "lm_weight: expected a value from 0.0"),
        (["--corpus", "none", "-o", "out"], 3, "cannot read manifest"),
        (["--decoder", "wfst", "--lm-weights", "1", "-o", "out"], 2, "--decoder wfst has no --lm-weights"),
        (["--decoder", "wfst", "--acoustic-scales", "0", "-o", "out"], 2, "acoustic_scale: expected a value from"),
        (["--blank-penalties", "1", "-o", "out"], 2, "--decoder beam has no --blank-penalties"),
        (["--rescore-weights", "1", "-o", "out"], 2, "weights of rescoring without a model"),
        (["--rescore", "lm", "--rescore-bonuses", "900", "-o", "out"], 2, "rescore_bonus: expected a value from"),
        (["--lexicon", "x", "-o", "out"], 2, "--decoder beam has no --lexicon"),
    ],
)
def test_tune_wrong_use_is_said_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    folder = write_model(tmp_path / "model")
    assert main(["tune", str(folder), "--lm", "x.arpa", "-q", *arguments]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lm-weights", "a,b"], "--lm-weights: expected numbers with commas between, got 'a,b'"),
        (["--beam-size", "x"], "--beam-size: expected a whole number, got 'x'"),
        (["--threads", "0"], "--threads: expected a whole number from 1 on, got '0'"),
    ],
)
def test_tune_what_is_no_number_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["tune", "MODEL", "--lm", "x.arpa", *arguments])
    assert message in capsys.readouterr().err
