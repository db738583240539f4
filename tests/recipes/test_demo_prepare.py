from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asr_ligru.recipes.demo import prepare as recipe
from asr_ligru.recipes.demo.grammar import vocabulary

from asr_ligru.data import audio
from asr_ligru.data.layout import Listing
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.text.lexicon import Lexicon

pytest.importorskip("espeakng_loader")
MINUTES = {"train_minutes": 0.2, "dev_minutes": 0.3, "test_minutes": 0.2}
STAMP = "synthesis.json"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listing]:
    out = tmp_path_factory.mktemp("demo")
    return out, recipe.prepare(None, out, **MINUTES)


def _forbid_making(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("the corpus was made again")

    monkeypatch.setattr(recipe, "_make", refuse)


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_prepare_splits_share_neither_speakers_nor_sentences(corpus: tuple[Path, Listing]) -> None:
    splits = corpus[1].splits
    assert list(splits) == ["train", "dev", "test"]
    for field in ("speaker", "text", "utt_id", "audio_path"):
        values = [{getattr(utterance, field) for utterance in split} for split in splits.values()]
        assert sum(map(len, values)) == len(set.union(*values))
    assert [len({utterance.speaker for utterance in split}) for split in splits.values()] == [44, 6, 10]


def test_prepare_audio_is_what_the_listing_says(corpus: tuple[Path, Listing]) -> None:
    for utterance in (one for split in corpus[1].splits.values() for one in split):
        assert audio.probe(utterance.audio_path).sample_rate_hz == 16000
        wav = audio.read(utterance.audio_path)
        assert len(wav) / 16000 == utterance.duration_s
        assert 0.05 < wav.abs().max() <= 0.9
        assert 5 <= utterance.snr_db <= 20


def test_prepare_seconds_of_a_split_are_about_as_asked(corpus: tuple[Path, Listing]) -> None:
    seconds = sum(utterance.duration_s for utterance in corpus[1].splits["dev"])
    assert 18 <= seconds < 18 + 3.5  # at most one sentence more


def test_prepare_lexicon_has_each_word_and_tells_near_homophones_apart(corpus: tuple[Path, Listing]) -> None:
    lexicon = Lexicon.read(corpus[0] / "lexicon.txt")
    assert [word for word, _ in lexicon] == list(vocabulary())
    assert corpus[1].lexicon == (corpus[0] / "lexicon.txt").read_text(encoding="utf-8").splitlines()
    assert lexicon.pronunciations("pin") == (("p", "I", "n"),)
    assert lexicon.pronunciations("chip") == (("tS", "I", "p"),)
    assert len({lexicon.pronunciations(word) for word in vocabulary()}) == len(vocabulary())


def test_prepare_times_name_the_words_of_each_utterance(corpus: tuple[Path, Listing]) -> None:
    out, listing = corpus
    for split, utterances in listing.splits.items():
        times = _lines(out / f"{split}.times.jsonl")
        assert [row["id"] for row in times] == [utterance.utt_id for utterance in utterances]
        for row, utterance in zip(times, utterances, strict=True):
            assert " ".join(word["word"] for word in row["words"]) == utterance.text
            assert 0 < row["words"][0]["start_s"] < row["words"][-1]["end_s"] < utterance.duration_s


def test_prepare_in_another_process_gives_the_same_bytes(corpus: tuple[Path, Listing], tmp_path: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path; from asr_ligru.recipes.demo.prepare import prepare;"
        "prepare(None, Path(sys.argv[1]), **json.loads(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), json.dumps(MINUTES)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    for path in (path for path in corpus[0].rglob("*") if path.is_file() and path.name != ".lock"):
        assert (tmp_path / path.relative_to(corpus[0])).read_bytes() == path.read_bytes(), path.name


def test_prepare_with_another_seed_gives_other_sentences(corpus: tuple[Path, Listing], tmp_path: Path) -> None:
    other = recipe.prepare(None, tmp_path, seed=1, **MINUTES).splits["test"]
    assert {one.text for one in other}.isdisjoint(one.text for one in corpus[1].splits["test"])


def test_prepare_of_a_finished_corpus_makes_nothing(
    corpus: tuple[Path, Listing], monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid_making(monkeypatch)
    assert recipe.prepare(None, corpus[0], **MINUTES) == corpus[1]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_prepare_after_an_interruption_starts_again(
    corpus: tuple[Path, Listing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: int
) -> None:
    calls: list[str] = []
    make_split = recipe._make_split

    def interrupted(out: Path, split: str, *rest: object) -> None:
        calls.append(split)
        make_split(out, split, *rest)
        if len(calls) == stage:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "_make_split", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recipe.prepare(None, tmp_path, **MINUTES)
    assert "files" not in json.loads((tmp_path / STAMP).read_bytes())
    (tmp_path / "wav" / "left_over.wav").write_bytes(b"")
    recipe.prepare(None, tmp_path, **MINUTES)
    assert (tmp_path / STAMP).read_bytes() == (corpus[0] / STAMP).read_bytes()


@pytest.mark.parametrize("damage", ["changed", "missing", "lexicon"])
def test_prepare_of_a_damaged_corpus_makes_it_again(
    corpus: tuple[Path, Listing], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    out, listing = corpus
    victim = out / "lexicon.txt" if damage == "lexicon" else listing.splits["train"][3].audio_path
    content = victim.read_bytes()
    if damage == "changed":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        victim.unlink()
    recipe.prepare(None, out, **MINUTES)
    assert victim.read_bytes() == content
    _forbid_making(monkeypatch)
    recipe.prepare(None, out, **MINUTES)


def test_prepare_beside_a_foreign_folder_leaves_it_alone(tmp_path: Path) -> None:
    mine = tmp_path / "wav" / "mine.wav"
    mine.parent.mkdir()
    mine.write_bytes(b"precious")
    with pytest.raises(DataError, match="not made by this recipe"):
        recipe.prepare(None, tmp_path, **MINUTES)
    assert mine.read_bytes() == b"precious"


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_prepare_with_impossible_minutes_names_them(tmp_path: Path, value: float) -> None:
    with pytest.raises(ConfigError, match="dev_minutes"):
        recipe.prepare(None, tmp_path, dev_minutes=value)
    assert not any(tmp_path.iterdir())
