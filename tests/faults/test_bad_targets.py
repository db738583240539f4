"""Target ids that torch's CTC loss would take for memory: refused by utterance, before training begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import cli
from asr_ligru.text.units import CharTokenizer
from tests.tiny_corpus import OVERRIDES, write_corpus

VOCABULARY = 10  # the blank, the space and eight letters


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)


@pytest.mark.parametrize("wrong", [0, -1, VOCABULARY, VOCABULARY + 1, 10**6])
@pytest.mark.parametrize(("split", "call"), [("train", 5), ("dev", 15)])
def test_train_target_out_of_range_names_utterance_and_token(
    wrong: int, split: str, call: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plain, calls = CharTokenizer._encode, []

    def encode(self: CharTokenizer, text: str) -> list[int]:
        calls.append(text)
        return [*plain(self, text), *([wrong] if len(calls) == call else [])]

    monkeypatch.setattr(CharTokenizer, "_encode", encode)
    assert cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={tmp_path}"]) == 3
    message = capsys.readouterr().err
    assert f"{split}-" in message
    assert f"target id {wrong} at position" in message
    assert "Traceback" not in message
    assert not (tmp_path / "checkpoints").exists()
