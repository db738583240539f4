"""Settings of a search in a file: round trip, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.rescore import RescoreSettings, Rescoring
from asr_ligru.decode.settings import SettingsFile, read_settings, write_settings
from asr_ligru.decode.wfst.decoder import SearchOptions
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.lm.model import write_lm
from tests.lm.tiny_lm import tiny_lm


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "x.arpa").write_text("a model", encoding="utf-8")
    file = SettingsFile(BeamSettings(lm_weight=0.75, beam_size=7), tmp_path / "x.arpa", tuned={"split": "dev"})
    write_settings(tmp_path / "decode.json", file)
    return tmp_path / "decode.json"


def test_settings_written_then_read_are_the_same_also_after_a_move(written: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("x.arpa", "decode.json"):
        (tmp_path / name).rename(moved / name)
    found = read_settings(moved / "decode.json")
    assert found.settings == BeamSettings(lm_weight=0.75, beam_size=7)
    assert found.lm == moved / "x.arpa"
    assert found.tuned == {"split": "dev"}


def test_settings_of_another_language_model_are_refused(written: Path, tmp_path: Path) -> None:
    (tmp_path / "x.arpa").write_text("another", encoding="utf-8")
    with pytest.raises(DataError, match="is not the one they were tuned with"):
        read_settings(written)
    (tmp_path / "x.arpa").unlink()
    with pytest.raises(DataError, match="is not there"):
        read_settings(written)


@pytest.mark.parametrize(
    "body", ["[]", "{", '{"decoder": "beam"}', '{"format": 1, "decoder": "beam", "settings": {}, "lm": {"path": 3}}']
)
def test_settings_damaged_file_is_refused(tmp_path: Path, body: str) -> None:
    (tmp_path / "x.json").write_text(body, encoding="utf-8")
    with pytest.raises(DataError):
        read_settings(tmp_path / "x.json")


def test_settings_out_of_range_or_unknown_are_named(tmp_path: Path) -> None:
    body = '{"format": 1, "decoder": "beam", "settings": {"beam_size": 0, "lm_wait": 1}}'
    (tmp_path / "x.json").write_text(body, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"beam_size: expected a value from 1.*did you mean 'lm_weight'"):
        read_settings(tmp_path / "x.json")


def test_settings_of_a_graph_search_keep_their_lexicon(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("go g o\n", encoding="utf-8")
    write_settings(tmp_path / "w.json", SettingsFile(SearchOptions(0.15, -2.0), lexicon=tmp_path / "words.txt"))
    found = read_settings(tmp_path / "w.json")
    assert (found.decoder, found.settings, found.lm) == ("wfst", SearchOptions(0.15, -2.0), None)
    assert found.lexicon == tmp_path / "words.txt"
    (tmp_path / "words.txt").write_text("go g\n", encoding="utf-8")
    with pytest.raises(DataError, match="the lexicon of these settings is not the one"):
        read_settings(tmp_path / "w.json")


def test_settings_keep_the_neural_language_model_that_rescores(tmp_path: Path) -> None:
    write_lm(tmp_path / "run" / "lm", tiny_lm(), {})
    again = Rescoring(tmp_path / "run", RescoreSettings(0.25, -1.0))
    write_settings(tmp_path / "r.json", SettingsFile(BeamSettings(), rescore=again))
    assert read_settings(tmp_path / "r.json").rescore == Rescoring(tmp_path / "run" / "lm", again.settings)
    write_lm(tmp_path / "run" / "lm", tiny_lm("gru"), {})
    with pytest.raises(DataError, match="the neural language model of these settings is not the one"):
        read_settings(tmp_path / "r.json")
