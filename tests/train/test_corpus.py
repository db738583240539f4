"""A corpus made ready to train on: what cannot be used is found beforehand, counted and recorded."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from array import array
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.compose import compose
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.train.corpus import Corpus, load_corpus, load_split
from asr_ligru.train.progress import ProgressBar
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, say, write_corpus

BARS = partial(ProgressBar, enabled=False, leave=False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", num_train=8)


def load(corpus: Path, *more: str, stack: int = 1) -> Corpus:
    config = compose([*OVERRIDES, f"corpus.dir={corpus}", *more])
    return load_corpus(config, None, lambda frames: -(-frames // stack), BARS, [])


def edit(corpus: Path, split: str, number: int, **keys: Any) -> None:
    """Change keys of one line of a manifest."""
    path = corpus / f"{split}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines[number] |= keys
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def bad(found: Corpus) -> list[tuple[str, str]]:
    return [(b.utt_id, b.stage) for b in found.bad]


def test_load_whole_corpus_keeps_everything_in_order(corpus: Path) -> None:
    found = load(corpus)
    assert [u.utt_id for u in found.train.utterances] == [f"train-{n}" for n in range(8)]
    assert [u.utt_id for u in found.dev.utterances] == [f"dev-{n}" for n in range(6)]
    for split in (found.train, found.dev):
        assert split.num_frames == [len(found.source.feats(u)) for u in split.utterances]
        assert [found.tokenizer.decode(tokens) for tokens in split.tokens] == [u.text for u in split.utterances]
    assert found.bad == []
    assert found.lexicon is None


def test_fingerprint_is_the_hash_of_the_whole_as_json(corpus: Path) -> None:
    found = load(corpus)
    states = replace(found.dev, tokens=[array("i", ids) for ids in found.dev.tokens], ctc_tokens=[[1], []])
    as_lists = [[u.utt_id for u in states.utterances], states.num_frames, [list(t) for t in states.tokens], [[1], []]]
    train = [[u.utt_id for u in found.train.utterances], found.train.num_frames, found.train.tokens]
    whole = json.dumps([found.tokenizer.tokens, [train, as_lists]])
    assert replace(found, dev=states).fingerprint == hashlib.sha256(whole.encode()).hexdigest()


@pytest.mark.parametrize(("spare", "kept"), [(0, True), (-1, False)])
def test_load_transcript_is_kept_exactly_while_its_tokens_fit(spare: int, kept: bool, corpus: Path) -> None:
    frames = load(corpus).train.num_frames[0]
    edit(corpus, "train", 0, text=("abcdefgh" * 30)[: frames - spare])
    found = load(corpus)
    assert bad(found) == ([] if kept else [("train-0", "length")])
    if not kept:
        assert found.bad[0].reason == f"{frames + 1} tokens do not fit in {frames} output frames"


def test_load_repeated_tokens_need_a_blank_between_them(corpus: Path) -> None:
    frames = load(corpus).train.num_frames[0]
    edit(corpus, "train", 0, text="a" * ((frames + 1) // 2))  # a-a-a: 2 U - 1 frames
    edit(corpus, "train", 1, text="a" * (load(corpus).train.num_frames[1] // 2 + 1))
    assert bad(load(corpus)) == [("train-1", "length")]


def test_load_counts_the_frames_the_model_gives(corpus: Path) -> None:
    frames = load(corpus).train.num_frames[0]
    edit(corpus, "train", 0, text=("abcdefgh" * 30)[: frames // 2 + 1 + frames % 2])
    assert bad(load(corpus, stack=1)) == []
    assert bad(load(corpus, stack=2)) == [("train-0", "length")]


def test_load_transcript_must_fit_at_the_fastest_speed_in_training_only(corpus: Path) -> None:
    frames = load(corpus).train.num_frames[0], load(corpus).dev.num_frames[0]
    edit(corpus, "train", 0, text=("abcdefgh" * 30)[: frames[0]])
    edit(corpus, "dev", 0, text=("abcdefgh" * 30)[: frames[1]])
    assert bad(load(corpus, "train.augment.speed=[0.9,1.0]")) == []
    assert bad(load(corpus, "train.augment.speed=[0.9,1.1]")) == [("train-0", "length")]


@pytest.mark.parametrize("speed", [1.1, 1.25, 2.0])
@pytest.mark.parametrize("spare", [0, 40, 79])  # samples after the last window
def test_load_kept_transcript_fits_the_frames_at_the_fastest_speed(speed: float, spare: int, corpus: Path) -> None:
    num_samples = 49 * 80 + 200 + spare  # 50 frames
    audio.write(corpus / "wav" / "train" / "0.wav", say(["ab"] * 2, 1)[:num_samples], SAMPLE_RATE_HZ)
    text = ("abcdefgh" * 30)[: int(50 / speed)]
    edit(corpus, "train", 0, text=text, duration=num_samples / SAMPLE_RATE_HZ)
    found = load(corpus, f"train.augment.speed=[{speed}]")
    fewest = 1 + (math.ceil((num_samples - spare) / speed) - 200) // 80
    assert len(found.source.feats(read_manifest(corpus / "train.jsonl")[0], speed)) >= fewest
    assert bad(found) == ([] if fewest >= len(text) else [("train-0", "length")])


def test_load_empty_transcript_is_left_out_of_training_and_kept_for_decisions(corpus: Path) -> None:
    edit(corpus, "train", 2, text="")
    edit(corpus, "dev", 2, text="")
    found = load(corpus)
    assert bad(found) == [("train-2", "text")]
    assert "dev-2" in [u.utt_id for u in found.dev.utterances]


@pytest.mark.parametrize("unknown", ["drop", "unk"])
def test_load_unknown_characters_are_counted_aloud(
    unknown: str, corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit(corpus, "dev", 0, text="ab äb ä")
    edit(corpus, "dev", 1, text="ñab")
    with caplog.at_level(logging.WARNING, "asr_ligru"):
        found = load(corpus, f"tokens.unknown={unknown}")
    messages = [record.getMessage() for record in caplog.records]
    assert any("'ä' is unknown" in m and m.endswith("2 times") for m in messages), messages
    assert any("'ñ' is unknown" in m and m.endswith("1 times") for m in messages), messages
    words = sum(len(u.text.split()) for u in found.dev.utterances)
    assert f"3 of {words} words hold such: the error rate is at least {300 / words:.2f} %" in messages
    assert [u.text for u in found.dev.utterances][:2] == ["ab äb ä", "ñab"]  # the reference stays as it is


def test_load_unknown_characters_end_it_where_that_is_asked_for(corpus: Path) -> None:
    edit(corpus, "dev", 0, text="ab ä")
    with pytest.raises(DataError, match="unknown character"):
        load(corpus, "tokens.unknown=error")


def test_load_limit_takes_the_first_of_each_set(corpus: Path) -> None:
    whole, found = load(corpus), load(corpus, "train.max_utterances=3")
    assert [u.utt_id for u in found.train.utterances] == ["train-0", "train-1", "train-2"]
    assert [u.utt_id for u in found.dev.utterances] == ["dev-0", "dev-1", "dev-2"]
    assert found.tokenizer.tokens == whole.tokenizer.tokens  # the inventory is the corpus's


def test_load_bears_one_unreadable_file_and_not_two(corpus: Path) -> None:
    (corpus / "wav" / "train" / "1.wav").write_bytes(b"RIFF")
    assert bad(load(corpus)) == [("train-1", "audio")]
    (corpus / "wav" / "train" / "5.wav").unlink()
    with pytest.raises(DataError, match="2 of 8 utterances are unusable") as caught:
        load(corpus)
    assert caught.value.where == "corpus.max_bad_rate"
    assert bad(load(corpus, "corpus.max_bad_rate=0.25")) == [("train-1", "audio"), ("train-5", "audio")]


def test_load_split_without_a_usable_utterance_says_why(corpus: Path) -> None:
    for number in range(6):
        edit(corpus, "dev", number, text="ab" * 400)
    with pytest.raises(DataError, match="no usable utterance with words in split 'dev' of 6") as caught:
        load(corpus)
    assert "6 x length" in caught.value.what


def test_load_normalisation_is_fitted_on_the_training_set(corpus: Path) -> None:
    found = load(corpus, "features.cmvn=global")
    train = torch.cat([found.source.feats(u) for u in found.train.utterances])
    dev = torch.cat([found.source.feats(u) for u in found.dev.utterances])
    assert train.mean(0).abs().max() < 1e-5 < 1e-3 < dev.mean(0).abs().max()


def test_load_lexicon_beside_the_manifests_is_used(corpus: Path) -> None:
    with pytest.raises(ConfigError, match="lexicon"):
        load(corpus, "tokens=phone")
    lexicon = "ab A B\ncd C D\nef E F\ngh G H\n"
    (corpus / "lexicon.txt").write_text(lexicon, encoding="utf-8")
    found = load(corpus, "tokens=phone")
    assert found.lexicon is not None
    assert set(found.tokenizer.tokens) >= set("ABCDEFGH")


def test_load_split_normalises_its_texts(corpus: Path) -> None:
    edit(corpus, "test", 0, text="AB,  cd")
    config = compose([*OVERRIDES, f"corpus.dir={corpus}", "corpus.normalize=lower-nopunct"]).corpus
    assert load_split(config, "test")[0].text == "ab cd"


def test_load_split_of_a_corpus_not_prepared_says_what_to_type(tmp_path: Path) -> None:
    config = compose([*OVERRIDES, f"corpus.dir={tmp_path}"]).corpus
    with pytest.raises(DataError, match="is not prepared") as caught:
        load_split(config, "train")
    assert "asr-ligru prepare demo" in caught.value.fix
