"""Long recordings from Python: segments in the time of the file, joined where pieces overlap."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import torch

from asr_ligru.data import audio
from asr_ligru.decode.files import decode_files
from asr_ligru.decode.inputs import find_inputs
from asr_ligru.decode.recording import Settings, Stretch
from asr_ligru.decode.result import Result, TimedWord
from asr_ligru.decode.run import decode_utterances
from asr_ligru.decode.transcribe import segments, transcribe
from asr_ligru.errors import DataError
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.typing import Utterance
from tests.data.test_audio import MAY_FAIL, MAY_READ
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_model(tmp_path_factory.mktemp("model")))


def conversation(seed: int) -> tuple[torch.Tensor, list[tuple[float, torch.Tensor]]]:
    """Return a minute of short sentences with pauses of a second, and where each begins (seconds)."""
    words = ["ab", "cd", "ef", "gh"]
    sentences = [say([words[(seed + n * k) % 4] for k in range(1, 3 + n % 4)], seed + n) for n in range(24)]
    pause = 0.003 * torch.randn(SAMPLE_RATE_HZ, generator=torch.Generator().manual_seed(seed))
    starts = [sum(len(s) + len(pause) for s in sentences[:n]) / SAMPLE_RATE_HZ for n in range(24)]
    return torch.cat([part for s in sentences for part in (s, pause)]), list(zip(starts, sentences, strict=True))


def test_transcribe_a_short_file_equals_the_runs_own_decoding(model: LoadedModel, tmp_path: Path) -> None:
    wav = say(["ab", "gh", "cd", "ef"], 1)
    audio.write(tmp_path / "x.wav", wav, SAMPLE_RATE_HZ)
    (segment,) = transcribe(model, tmp_path / "x.wav")
    length_s = len(wav) / SAMPLE_RATE_HZ
    ((hyp,), _) = decode_utterances(model, [Utterance("x", tmp_path / "x.wav", length_s, "")])
    assert (segment.text, segment.score) == (hyp.text, pytest.approx(hyp.score))
    assert (segment.start_s, segment.end_s, segment.channel) == (0.0, pytest.approx(length_s), None)
    assert " ".join(word.text for word in segment.words) == segment.text
    assert all(0 <= w.start_s < w.end_s <= length_s + 1e-9 for w in segment.words)
    stored = io.BytesIO((tmp_path / "x.wav").read_bytes())
    assert list(transcribe(model, stored)) == [segment]


def test_transcribe_a_long_file_is_cut_at_pauses_in_its_own_time(model: LoadedModel, tmp_path: Path) -> None:
    wav, sentences = conversation(1)
    audio.write(tmp_path / "x.flac", wav, SAMPLE_RATE_HZ)
    found = list(transcribe(model, tmp_path / "x.flac"))
    wav = audio.read(tmp_path / "x.flac")
    assert len(found) > 4
    assert all(segment.end_s - segment.start_s <= 11.0 for segment in found)
    for segment in found:
        part = wav[round(segment.start_s * SAMPLE_RATE_HZ) : round(segment.end_s * SAMPLE_RATE_HZ)]
        audio.write(tmp_path / "part.wav", part, SAMPLE_RATE_HZ)
        (alone,) = transcribe(model, tmp_path / "part.wav")
        assert alone.text == segment.text
        assert [w.start_s for w in alone.words] == pytest.approx([w.start_s - segment.start_s for w in segment.words])
    for start_s, sentence in sentences:  # none was cut
        middle_s = start_s + len(sentence) / SAMPLE_RATE_HZ / 2
        (holder,) = [s for s in found if s.start_s <= middle_s < s.end_s]
        assert holder.start_s <= start_s + 0.1
        assert holder.end_s >= start_s + len(sentence) / SAMPLE_RATE_HZ - 0.1


def test_transcribe_gives_the_first_segments_before_all_is_read(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_ligru.decode.batches._AT_ONCE_FRAMES", 500)
    monkeypatch.setattr("asr_ligru.data.audio_file._BLOCK_VALUES", 20_000)
    wav, _ = conversation(2)
    audio.write(tmp_path / "x.flac", wav, SAMPLE_RATE_HZ)
    data = bytearray((tmp_path / "x.flac").read_bytes())
    data[len(data) * 3 // 4 :] = b""
    (tmp_path / "x.flac").write_bytes(data)
    found = transcribe(model, tmp_path / "x.flac")
    assert next(found).start_s == 0.0
    with pytest.raises(DataError):
        list(found)


def result(*words: tuple[str, int, int]) -> Result:
    text = " ".join(word[0] for word in words)
    return Result(text, -1.0, tuple(TimedWord(*word, 0.5) for word in words), ((text, -1.0), ("", -2.0)))


def test_segments_of_pieces_that_overlap_are_joined_at_a_common_word() -> None:
    left = result(("a", 0, 50), ("b", 810, 840), ("c", 880, 915), ("di", 970, 1000))
    right = result(("bee", 10, 38), ("c", 82, 110), ("dig", 165, 230), ("e", 300, 400))
    heard = [(Stretch(None, 0.0, 10.0, 0.0), left), (Stretch(None, 8.0, 18.0, 2.0), right)]
    first, second = segments(heard, 0.01)
    assert (first.text, second.text) == ("a b c", "dig e")
    assert first.end_s == second.start_s == pytest.approx(9.15)
    assert first.n_best == (("a b c", -1.0),)
    assert [word.start_s for word in second.words] == pytest.approx([9.65, 11.0])


def test_segments_of_pieces_that_overlap_without_a_common_word_are_parted_in_the_middle() -> None:
    left = result(("a", 0, 50), ("b", 820, 880), ("c", 940, 990))
    right = result(("x", 30, 60), ("y", 120, 190), ("e", 300, 400))
    heard = [(Stretch(None, 0.0, 10.0, 0.0), left), (Stretch(None, 8.0, 18.0, 2.0), right)]
    first, second = segments(heard, 0.01)
    assert (first.text, second.text) == ("a b", "y e")
    assert first.end_s == second.start_s == pytest.approx(9.0)


def test_segments_of_channels_are_joined_each_by_itself() -> None:
    heard = [
        (Stretch(channel, start_s, start_s + 10.0, 2.0 if start_s else 0.0), result(("a", 0, 10), ("z", 990, 1000)))
        for start_s in (0.0, 8.0)
        for channel in (0, 1)
    ]
    found = list(segments(heard, 0.01))
    assert sorted((s.channel, s.start_s, s.end_s) for s in found) == [
        (0, 0.0, 9.0), (0, 9.0, 18.0), (1, 0.0, 9.0), (1, 9.0, 18.0),
    ]  # fmt: skip


@pytest.mark.parametrize("start", range(0, 94, 10))
def test_decode_of_the_fixtures_ends_as_their_table_says(model: LoadedModel, shared: Path, start: int) -> None:
    folder = shared / "corpora" / "audio_fixtures"
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert len(table) == 94
    rows = table[start : start + 10]
    inputs = find_inputs([str(folder / row["path"]) for row in rows])
    outcomes = [transcript for _, transcript in decode_files(model, inputs, Settings())]
    wrong = [
        (row["path"], row["expected"], outcome.status)
        for row, outcome in zip(rows, outcomes, strict=True)
        if row["expected"] not in (MAY_READ if outcome.status == "ok" else MAY_FAIL)
    ]
    assert wrong == []
    for row, outcome in zip(rows, outcomes, strict=True):
        assert outcome.status != ""
        assert (outcome.status == "ok") == bool(outcome.segments)
        if row["frames"] and outcome.status == "ok":
            assert outcome.duration_s == pytest.approx(int(row["frames"]) / int(row["rate"]), abs=1e-3)
