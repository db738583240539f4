"""Every kind of tokenizer: words come back, ids stay in range, nothing unknown passes unseen."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
import sentencepiece

from asr_ligru.config import TokensConfig
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.tokenizer import BpeTokenizer, PhoneTokenizer, Tokenizer, build_tokenizer
from asr_ligru.typing import Utterance

KINDS = ("char", "word", "bpe", "phone")
TEXTS = ["go to the red room", "turn the light on", "read the café's note", "כן לא כן", "go on", "x"]
LEXICON = Lexicon({word: [tuple(f"{c}_ph" for c in word)] for text in TEXTS for word in text.split()})


def make(kind: str, unknown: str = "error", texts: list[str] = TEXTS, vocab_size: int = 40) -> Tokenizer:
    return build_tokenizer(TokensConfig(name=kind, unknown=unknown, vocab_size=vocab_size), texts, LEXICON)


def utterances(*texts: str) -> list[Utterance]:
    return [Utterance(f"u{i}", Path("a.wav"), 1.0, text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("unknown", ["error", "drop", "unk"])
@pytest.mark.parametrize("kind", KINDS)
def test_decode_encoded_words_come_back(kind: str, unknown: str) -> None:
    tokenizer = make(kind, unknown)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert ids
        assert all(0 < i < tokenizer.vocab_size for i in ids)
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_encode_surplus_spaces_do_not_matter(kind: str) -> None:
    tokenizer = make(kind)
    assert tokenizer.encode("  go   on ") == tokenizer.encode("go on")
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_any_ids_are_spelled_by_their_own_part(kind: str) -> None:
    tokenizer = make(kind, "unk")
    rng = random.Random(1)
    for length in range(30):
        ids = [rng.randrange(1, tokenizer.vocab_size) for _ in range(length)]
        words = tokenizer.words(ids)
        assert [tokenizer.decode(ids[w.start : w.end]) for w in words] == [w.text for w in words]
        edges = [edge for w in words for edge in (w.start, w.end)]
        assert edges == sorted(edges)
        assert all(w.start < w.end <= length for w in words)


@pytest.mark.parametrize("kind", KINDS)
def test_build_order_of_texts_does_not_matter(kind: str) -> None:
    assert make(kind, texts=TEXTS[::-1]).files() == make(kind).files()


@pytest.mark.parametrize("unknown", ["error", "drop", "unk"])
@pytest.mark.parametrize("kind", KINDS)
def test_load_saved_tokenizer_is_equal(tmp_path: Path, kind: str, unknown: str) -> None:
    tokenizer = make(kind, unknown)
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert (type(again), again.tokens, again.unknown) == (type(tokenizer), tokenizer.tokens, unknown)
    assert [again.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]
    assert again.files() == tokenizer.files()
    assert "tokenizer.json" in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_encode_all_unknown_characters_are_one_error(kind: str) -> None:
    tokenizer = make(kind)
    with pytest.raises(DataError) as caught:
        tokenizer.encode_all(utterances("go ßßö", "on", "ß go", "ß", "ß \x1b"))
    message = str(caught.value)
    assert "3 unknown characters" in message
    assert "'ß' x 5 (u0, u2, u3)" in message
    assert "'ö' x 1 (u0)" in message
    assert "'\\x1b' x 1 (u4)" in message
    assert "\x1b" not in message
    assert "tokens.unknown=drop" in message


@pytest.mark.parametrize("kind", ["word", "phone"])
def test_encode_all_unknown_words_are_one_error(kind: str) -> None:
    with pytest.raises(DataError, match=r"2 unknown words: 'cat' x 2 \(u0, u2\); 'sat' x 1 \(u0\)"):
        make(kind).encode_all(utterances("the cat sat", "go", "cat"))


@pytest.mark.parametrize("kind", KINDS)
def test_encode_all_dropped_and_replaced_are_counted(kind: str) -> None:
    item = "ß"  # a character, and a word of its own
    dropped = make(kind, "drop").encode_all(utterances("go ß on", "ß"))
    assert dropped.unknown == Counter({item: 2})
    assert dropped.tokens["u0"] == make(kind).encode("go on")
    assert dropped.tokens["u1"] == []
    tokenizer = make(kind, "unk")
    replaced = tokenizer.encode_all(utterances("go ß on"))
    assert replaced.unknown == Counter({item: 1})
    assert replaced.tokens["u0"].count(1) == 1
    assert tokenizer.tokens[1] == "<unk>"
    assert tokenizer.decode(replaced.tokens["u0"]) == "go <unk> on"


@pytest.mark.parametrize("unknown", ["error", "unk"])
def test_word_special_names_in_a_transcript_are_words(unknown: str) -> None:
    texts = ["<blank> is <unk>"]
    tokenizer = make("word", unknown, texts)
    assert min(tokenizer.encode(texts[0])) > (unknown == "unk")
    assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]


def test_char_inventory_is_blank_and_sorted_characters() -> None:
    assert make("char", texts=["ba", "a c"]).tokens == ("<blank>", " ", "a", "b", "c")
    assert make("char", "unk", ["ba"]).tokens == ("<blank>", "<unk>", "a", "b")


def test_char_greedy_output_with_stray_spaces_gives_words() -> None:
    tokenizer = make("char", texts=["ab c"])
    space, a = tokenizer.encode("a c")[1], tokenizer.encode("a")[0]
    assert tokenizer.decode([space, a, space, space, a, space]) == "a a"


def test_bpe_pieces_equal_those_of_sentencepiece(tmp_path: Path) -> None:
    tokenizer = make("bpe")
    tokenizer.save(tmp_path)
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model"))
    assert tokenizer.vocab_size == oracle.vocab_size() == 40
    assert (oracle.pad_id(), oracle.unk_id(), oracle.bos_id(), oracle.eos_id()) == (0, 1, -1, -1)
    assert [tokenizer.encode(text) for text in TEXTS] == [oracle.encode(text) for text in TEXTS]
    rng = random.Random(2)
    for length in range(30):
        ids = [rng.randrange(1, 40) for _ in range(length)]
        assert tokenizer.decode(ids).split() == oracle.decode(ids).split()


def test_bpe_very_long_transcript_is_trained_on() -> None:
    tokenizer = make("bpe", texts=["a b c d e f g", "z" * 5000], vocab_size=24)
    assert tokenizer.encode("zz")  # SentencePiece leaves out lines above 4192 bytes unless told


@pytest.mark.parametrize(("vocab_size", "reason"), [(5, "required_chars"), (5000, "value <= ")])
def test_bpe_impossible_vocab_size_is_a_config_error(vocab_size: int, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        make("bpe", vocab_size=vocab_size)
    assert caught.value.where == "tokens.vocab_size"


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_build_without_words_is_a_data_error(kind: str, texts: list[str]) -> None:
    with pytest.raises(DataError, match="no words in the training transcripts"):
        make(kind, texts=texts)


@pytest.mark.parametrize(
    "change",
    [{"kind": "os.system"}, {"format": 2}, {"unknown": "eval"}, {"tokens": "ab"}, {"tokens": ["a"]}, {"tokens": [1]}],
)
def test_load_strange_head_is_a_data_error(tmp_path: Path, change: dict[str, object]) -> None:
    make("char").save(tmp_path)
    head = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**head, **change}))
    with pytest.raises(DataError, match="token") as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.where.endswith("tokenizer.json")


def test_load_missing_or_foreign_spm_model_is_a_data_error(tmp_path: Path) -> None:
    make("bpe").save(tmp_path)
    (tmp_path / "spm.model").write_bytes(make("bpe", vocab_size=35).files()["spm.model"])
    with pytest.raises(DataError, match="different tokens"):
        Tokenizer.load(tmp_path)
    (tmp_path / "spm.model").write_bytes(b"\0garbage")
    with pytest.raises(DataError, match="not a SentencePiece model"):
        Tokenizer.load(tmp_path)
    (tmp_path / "spm.model").unlink()
    with pytest.raises(DataError, match="no SentencePiece model"):
        Tokenizer.load(tmp_path)


def foreign_model(tmp_path: Path) -> bytes:
    """Return a SentencePiece model trained with its own default ids, as others publish them."""
    (tmp_path / "text").write_text("\n".join(TEXTS), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "m"), vocab_size=40, model_type="bpe", minloglevel=3
    )
    return (tmp_path / "m.model").read_bytes()


def test_bpe_model_with_other_special_ids_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ids 0 and 1"):
        BpeTokenizer(foreign_model(tmp_path), "error")


HOMOPHONES = Lexicon(
    {
        "to": [("T", "UW")],
        "two": [("T", "UW")],
        "a": [("AH",), ("EY",)],
        "day": [("D", "EY")],
        "today": [("T", "AH", "D", "EY")],
        "tooth": [("T", "UW", "TH")],
    }
)


def phone(texts: list[str]) -> PhoneTokenizer:
    tokenizer = build_tokenizer(TokensConfig(name="phone"), texts, HOMOPHONES)
    assert isinstance(tokenizer, PhoneTokenizer)
    return tokenizer


def ids_of(tokenizer: Tokenizer, tokens: str) -> list[int]:
    return [tokenizer.tokens.index(token) for token in tokens.split()]


def test_phone_encode_takes_first_pronunciations_with_boundaries() -> None:
    tokenizer = phone([])
    assert tokenizer.tokens == ("<blank>", "|", "AH", "D", "EY", "T", "TH", "UW")
    assert tokenizer.encode("a tooth") == ids_of(tokenizer, "AH | T UW TH")


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("EY | T UW TH", "a tooth"),  # a second pronunciation
        ("| | AH | |", "a"),
        ("T AH D EY", "today"),
        ("T UW D EY", "two day"),  # no boundary: the longest words from the left
        ("T UW TH AH", "tooth a"),
        ("TH TH | AH", "TH-TH a"),  # nothing fits
        ("T UW TH TH", "T-UW-TH-TH"),
    ],
)
def test_phone_decode_stretches_become_words(tokens: str, words: str) -> None:
    tokenizer = phone(["two two to"])
    assert tokenizer.decode(ids_of(tokenizer, tokens)) == words
    assert tokenizer.decode_phones(ids_of(tokenizer, tokens)) == " ".join(tokens.replace("|", "").split())


def test_phone_homophone_frequent_in_training_wins_also_after_loading(tmp_path: Path) -> None:
    for texts, word in ((["to to two"], "to"), (["to two two"], "two"), ([], "to")):
        tokenizer = phone(texts)
        tokenizer.save(tmp_path)
        for one in (tokenizer, Tokenizer.load(tmp_path)):
            assert one.decode(ids_of(one, "T UW")) == word


def test_phone_without_lexicon_or_with_reserved_phone_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a pronunciation lexicon"):
        build_tokenizer(TokensConfig(name="phone"), TEXTS)
    with pytest.raises(DataError, match=r"a phone called '\|'"):
        build_tokenizer(TokensConfig(name="phone"), TEXTS, Lexicon({"a": [("|",)]}))
