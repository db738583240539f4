"""ARPA files: n-gram models as text, read with every finding named by its line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.safety.files import atomic_file, write_errors
from asr_ligru.text.ngram import BOS, EOS, UNK, Gram, NgramModel

MAX_ORDER = 10
UNITS = ("word", "char", "bpe")
_HEADER = "# asr-ligru units="
_MAX_LINE_BYTES = 10_000
_MAX_SHOWN = 50
_BYTES_A_LINE = 40  # about, to say what a full disk lacks


def write_arpa(path: Path, model: NgramModel) -> None:
    """Write a model entirely or not at all.

    Args:
        path: the file; its folder must exist.
        model: the model; what its words are is noted in a comment that other programs pass over.

    Raises:
        EnvironmentError_: the file cannot be written.
    """
    with write_errors(path.parent, _BYTES_A_LINE * sum(map(len, model.orders))), atomic_file(path) as stream:
        stream.writelines(f"{line}\n".encode() for line in arpa_lines(model))


def header(units: str) -> str:
    """Return the first line of a file that says what its words are."""
    return f"{_HEADER}{units}"


def arpa_lines(model: NgramModel) -> Iterator[str]:
    """Yield the lines of a model's file."""
    yield from (header(model.units), "\\data\\")
    yield from (f"ngram {n}={len(grams)}" for n, grams in enumerate(model.orders, start=1))
    for n, grams in enumerate(model.orders, start=1):
        yield from ("", f"\\{n}-grams:")
        for gram, (prob, weight) in grams.items():
            last = "" if n == model.order else f"\t{weight:.7g}"
            yield f"{prob:.7g}\t{' '.join(gram)}{last}"
    yield from ("", "\\end\\")


def read_counts(path: Path) -> list[int]:
    """Return how many n-grams of each order a sound file says it has, without reading them."""
    with path.open(encoding="utf-8") as stream:
        head = itertools.takewhile(lambda line: not line.startswith("\\1-grams"), stream)
        return [int(line.partition("=")[2]) for line in head if line.startswith("ngram ")]


def read_arpa(path: Path) -> NgramModel:
    """Read a model.

    Args:
        path: UTF-8 text. Lines before ``\\data\\`` may say anything; <UNK> is read as <unk>.

    Raises:
        DataError: absent, cut short or damaged: wrong counts, numbers that are none, positive log probabilities, words
            that are not among the 1-grams, n-grams twice, a context that has no line or no back-off weight of its
            own, no <s> or </s>; every finding with its line, up to 50 of them.
    """
    reader = _Reader()
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b""), start=1):
                reader.take(number, raw)
                if reader.done:
                    break
    except OSError as error:
        fix = "name an ARPA file, such as `asr-ligru lm train` writes"
        if path.is_dir():
            fix += "; a neural language model, which is a folder, goes to --rescore"
        raise DataError(
            f"cannot read the language model: {error.strerror}", where=printable(str(path)), fix=fix
        ) from error
    return reader.result(path)


class _Reader:
    """Takes one line after the other; each state is a method that reads a line and returns what is wrong, or ""."""

    def __init__(self) -> None:
        self.done = False
        self._read = self._before_data
        self._number = 0
        self._units = "word"
        self._announced: list[tuple[int, int]] = []  # (line, how many n-grams of that length)
        self._orders: list[dict[Gram, tuple[float, float]]] = []
        self._without_weight: dict[Gram, int] = {}  # n-gram -> its line
        self._findings: list[tuple[int, str]] = []

    def take(self, number: int, raw: bytes) -> None:
        self._number = number
        if len(raw) > _MAX_LINE_BYTES:
            self.done = True
            problem = f"longer than {_MAX_LINE_BYTES} bytes; the rest was not read"
        else:
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip(" \t\r\n")
                problem = self._read(line) if line else ""
            except UnicodeDecodeError as error:
                problem = f"not UTF-8 at byte {error.start + 1}"
        if problem:
            self._findings.append((number, problem))

    def result(self, path: Path) -> NgramModel:
        """Return the model after the last line, or raise with all findings."""
        if not self.done:
            self._findings.append((self._number, self._cut_short()))
        elif not self._findings:
            self._check_whole()
        if self._findings:
            raise _error(path, self._findings)
        return NgramModel(tuple(self._orders), self._units)

    def _cut_short(self) -> str:
        if self._read == self._before_data:
            return "no line \\data\\ up to here: not an ARPA file"
        return "the file ends here, expected \\end\\: cut short"

    def _before_data(self, line: str) -> str:
        if line == "\\data\\":
            self._read = self._count
        elif line.startswith(_HEADER):
            self._units = line.removeprefix(_HEADER)
            if self._units not in UNITS:
                return f"expected units={', '.join(UNITS)}, got {printable(self._units[:20])!r}"
        return ""

    def _count(self, line: str) -> str:
        if line.startswith("\\"):
            return self._section(line)
        head, _, count = line.partition("=")
        expected = f"ngram {len(self._announced) + 1}"
        if head.split() != expected.split() or not _is_count(count.strip()):
            return f"expected {expected}=COUNT, got '{printable(line[:60])}'"
        if len(self._announced) == MAX_ORDER:
            self.done = True
            return f"n-grams of more than {MAX_ORDER} words; the rest was not read"
        self._announced.append((self._number, int(count)))
        return ""

    def _section(self, line: str) -> str:
        """Enter the next section, or end."""
        order = len(self._orders) + 1
        expected = f"\\{order}-grams:" if order <= len(self._announced) else "\\end\\"
        if line != expected:
            self.done = True
            return f"expected {expected}, got '{printable(line[:60])}'; the rest was not read"
        if line == "\\end\\":
            self.done = True
            return "" if order > 1 else "a model without n-grams"
        self._orders.append({})
        self._read = self._gram
        return ""

    def _gram(self, line: str) -> str:
        order = len(self._orders)
        fields = [field for field in line.replace("\t", " ").split(" ") if field]
        if line.startswith("\\") and len(fields) == 1:
            return self._section(line)
        if len(fields) not in (order + 1, order + 2):
            return f"expected a log probability, {order} word{'s' * (order > 1)} and a back-off weight, got " + (
                f"{len(fields)} fields: '{printable(line[:60])}'"
            )
        if not line.isprintable() and printable(line.replace("\t", " ")) != line.replace("\t", " "):
            return f"a control character in '{printable(line[:60])}'"
        gram = tuple(UNK if word == "<UNK>" else word for word in fields[1 : order + 1])
        numbers = [_number(field) for field in (fields[0], *fields[order + 1 :])]
        return self._problem(gram, fields, numbers) or self._enter(gram, numbers)

    def _problem(self, gram: Gram, fields: list[str], numbers: list[float]) -> str:
        name = printable(" ".join(gram))
        if not all(map(math.isfinite, numbers)):
            return f"'{name}': expected numbers, got {printable(' and '.join((fields[0], *fields[len(gram) + 1 :])))}"
        if numbers[0] > 0.0:
            return f"'{name}': expected a log10 probability of at most 0, got {fields[0]}"
        if gram in self._orders[-1]:
            return f"'{name}' is there twice"
        if len(gram) == 1:
            return ""
        if strange := [word for word in gram if (word,) not in self._orders[0]]:
            return f"'{name}': {printable(strange[0])!r} is not among the 1-grams"
        if gram[:-1] not in self._orders[-2]:
            return f"'{name}': its context '{printable(' '.join(gram[:-1]))}' is not among the {len(gram) - 1}-grams"
        if line := self._without_weight.pop(gram[:-1], 0):
            self._findings.append(
                (line, f"'{printable(' '.join(gram[:-1]))}': no back-off weight, but '{name}' follows")
            )
        return ""

    def _enter(self, gram: Gram, numbers: list[float]) -> str:
        if len(numbers) == 1:
            self._without_weight[gram] = self._number
        self._orders[-1][gram] = (numbers[0], numbers[1] if len(numbers) == 2 else 0.0)
        return ""

    def _check_whole(self) -> None:
        for order, ((line, announced), grams) in enumerate(zip(self._announced, self._orders, strict=True), start=1):
            if announced != len(grams):
                self._findings.append((line, f"{announced} {order}-grams announced, {len(grams)} found"))
        for word in (BOS, EOS):
            if (word,) not in self._orders[0]:
                self._findings.append((self._number, f"up to here no {word} among the 1-grams"))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _number(text: str) -> float:
    """Return a number, or NaN for what is none."""
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def _error(path: Path, findings: list[tuple[int, str]]) -> DataError:
    shown = "; ".join(f"line {line}: {problem}" for line, problem in sorted(findings)[:_MAX_SHOWN])
    more = f"; and {len(findings) - _MAX_SHOWN} more" if len(findings) > _MAX_SHOWN else ""
    return DataError(
        f"{len(findings)} wrong line{'s' if len(findings) > 1 else ''} in the language model: {shown}{more}",
        where=printable(str(path)),
        fix="write it again, or correct these lines; `asr-ligru lm check FILE` lists them",
    )
