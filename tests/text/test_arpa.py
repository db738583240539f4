"""ARPA files: what is written is read back, by kenlm too; what is wrong is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.text.arpa import read_arpa, write_arpa
from asr_ligru.text.kneser_ney import estimate
from asr_ligru.text.ngram import NgramModel
from asr_ligru.text.sentences import read_sentences

FIXTURES = Path(__file__).parent / "fixtures"
LINES = (
    "made by hand",
    "",
    "\\data\\",
    "ngram 1=5",
    "ngram 2=2",
    "",
    "\\1-grams:",
    "-1.0\t<unk>",
    "-99\t<s>\t-0.25",
    "-0.5\t</s>",
    "-0.75\ta\t-0.5",
    "-0.5\tb",
    "",
    "\\2-grams:",
    "-0.125\t<s> a",
    "-0.25\ta b",
    "",
    "\\end\\",
)


def read(tmp_path: Path, lines: list[str] | bytes) -> NgramModel:
    path = tmp_path / "x.arpa"
    path.write_bytes(lines if isinstance(lines, bytes) else "\n".join(lines).encode())
    return read_arpa(path)


def test_read_good_file_gives_probabilities_and_weights(tmp_path: Path) -> None:
    model = read(tmp_path, [*LINES, "what follows does not matter"])
    assert model.orders[0]["a",] == (-0.75, -0.5)
    assert model.orders[0]["b",] == (-0.5, 0.0)
    assert model.orders[1] == {("<s>", "a"): (-0.125, 0.0), ("a", "b"): (-0.25, 0.0)}
    assert (model.units, model.vocabulary) == ("word", {"a", "b"})


def test_read_corpus_model_of_pocketsphinx_is_sound(shared: Path) -> None:
    model = read_arpa(shared / "corpora" / "an4" / "etc" / "an4.ug.lm")
    assert (model.order, len(model.vocabulary)) == (2, 104)
    assert model.unigram_sum() == pytest.approx(1.0, abs=1e-3)
    assert model.log10_probs(["YES", "strange"]) == [-2.0253] * 3


@pytest.mark.parametrize("units", ["word", "char", "bpe"])
def test_write_then_read_gives_the_same_model(tmp_path: Path, units: str) -> None:
    made = estimate(read_sentences(FIXTURES / "commands.txt"), 3, units).model
    write_arpa(tmp_path / "x.arpa", made)
    again = read_arpa(tmp_path / "x.arpa")
    assert again.units == units
    for ours, theirs in zip(made.orders, again.orders, strict=True):
        assert list(ours) == list(theirs)
        assert all(theirs[gram] == pytest.approx(values, abs=1e-6) for gram, values in ours.items())


def test_write_kenlm_reads_it_and_scores_alike(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed: pip install asr-ligru[lm]")
    made = estimate(read_sentences(FIXTURES / "commands.txt"), 3).model
    write_arpa(tmp_path / "x.arpa", made)
    theirs = kenlm.Model(str(tmp_path / "x.arpa"))
    sentences = [*list(read_sentences(FIXTURES / "commands.txt"))[::10], ["set", "nonsense", "light"], []]
    for words in sentences:
        full = [(prob, is_unknown) for prob, _, is_unknown in theirs.full_scores(" ".join(words))]
        assert made.log10_probs(words) == pytest.approx([prob for prob, _ in full], abs=1e-5)
        assert [word not in made for word in words] == [is_unknown for _, is_unknown in full[:-1]]


def replaced(number: int, line: str) -> list[str]:
    return [*LINES[: number - 1], line, *LINES[number:]]


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        (replaced(4, "ngram 1=6"), "line 4: 6 1-grams announced, 5 found"),
        (replaced(5, "ngram 3=2"), "line 5: expected ngram 2=COUNT, got 'ngram 3=2'"),
        (replaced(5, "ngram 2=two"), "line 5: expected ngram 2=COUNT"),
        (replaced(7, "\\2-grams:"), r"line 7: expected \\1-grams:, got '\\2-grams:'"),
        (replaced(14, "\\3-grams:"), r"line 14: expected \\2-grams:, got '\\3-grams:'"),
        (replaced(9, "-1.0\tzoo"), "line 15: '<s> a': '<s>' is not among the 1-grams"),
        (replaced(10, "-1.0\tzoo"), "line 18: up to here no </s>"),
        (replaced(11, "-0.75\ta"), "line 11: 'a': no back-off weight, but 'a b' follows"),
        (replaced(11, "0.75\ta\t-0.5"), "line 11: 'a': expected a log10 probability of at most 0, got 0.75"),
        (replaced(11, "nan\ta\t-0.5"), "line 11: 'a': expected numbers, got nan and -0.5"),
        (replaced(11, "-0.75\ta\tinf"), "line 11: 'a': expected numbers, got -0.75 and inf"),
        (replaced(11, "x\ta\t-1"), "line 11: 'a': expected numbers, got x"),
        (replaced(11, "-0.75\ta\t-1\t-1"), "line 11: expected a log probability, 1 word and a back-off weight, got 4"),
        (replaced(12, "-0.5\ta"), "line 12: 'a' is there twice"),
        (replaced(12, "-0.5\ta\x1b[2J"), "line 12: a control character"),
        (replaced(16, "-0.25\ta zoo"), "line 16: 'a zoo': 'zoo' is not among the 1-grams"),
        (replaced(16, "-0.25\ta"), "line 16: expected a log probability, 2 words"),
        (replaced(18, ""), r"line 17: the file ends here, expected \\end\\: cut short"),
        (list(LINES[:12]), r"line 12: the file ends here, expected \\end\\"),
        (replaced(3, "data"), r"line 18: no line \\data\\ up to here"),
        (["# asr-ligru units=phones", *LINES], "line 1: expected units=word, char, bpe, got 'phones'"),
        (["\\data\\", "\\end\\"], "line 2: a model without n-grams"),
        (b"\\data\\\nngram 1=\xff", "line 2: not UTF-8 at byte 9"),
        (b"\\data\\\n" + b"x" * 10_001, "line 2: longer than 10000 bytes"),
        (["\\data\\", *(f"ngram {n}=1" for n in range(1, 12))], "line 12: n-grams of more than 10 words"),
        (b"", "line 0: no line"),
    ],
)
def test_read_damaged_file_is_refused_by_line(tmp_path: Path, lines: list[str] | bytes, finding: str) -> None:
    with pytest.raises(DataError, match=finding):
        read(tmp_path, lines)


def test_read_model_without_unk_makes_unknown_words_all_but_impossible(tmp_path: Path) -> None:
    assert read(tmp_path, replaced(8, "-1.0\tzoo")).log10_probs(["never"])[0] == -0.25 - 100.0


def test_read_longer_gram_without_its_context_is_refused(tmp_path: Path) -> None:
    lines = [*replaced(5, "ngram 2=2\nngram 3=1")[:-2], "", "\\3-grams:", "-0.1\tb a b", "", "\\end\\"]
    with pytest.raises(DataError, match="'b a b': its context 'b a' is not among the 2-grams"):
        read(tmp_path, "\n".join(lines).encode())


def test_read_many_findings_are_listed_and_counted(tmp_path: Path) -> None:
    bad = [f"1\tw{i}" for i in range(60)]
    with pytest.raises(DataError, match=r"60 wrong lines.*line 8: 'w0'.*; and 10 more"):
        read(tmp_path, [*LINES[:7], *bad, *LINES[7:]])


def test_read_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the language model: No such file"):
        read_arpa(tmp_path / "none.arpa")
