"""Damage what the toolkit reads, thousands of times, and look at how each reader takes it.

``python tools/fuzz_readers.py`` runs every reader in full: Kaldi archives 3,000, Kaldi folders 1,000, manifests 5,000,
lexicons 2,000, ARPA files 2,000, and 1,000 of each format that is scored. ``--reader kaldi --n 100 --seed 7`` picks. A
case is lost when something other than the toolkit's own errors comes out, when an error names neither line nor key,
when what is accepted is not sound, or when it takes more than a second. The exit code is the number of
lost cases, at most 100; each is printed with its number, and ``--only N`` repeats one.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import math
import random
import re
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from damage import mutate

from asr_ligru.data import kaldi_io
from asr_ligru.data.kaldi_folder import FILES, read_folder
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.errors import DataError
from asr_ligru.score.texts import read_texts
from asr_ligru.text.arpa import read_arpa, write_arpa
from asr_ligru.text.kneser_ney import estimate
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.typing import Utterance

MAX_SECONDS = 1.0
NAMED = re.compile(
    r"line \d+|key |after byte|position \d+|x\.ctm: \S|no (words in it|utterances|line in it)|without utterances"
)


@dataclass(frozen=True)
class Reader:
    """What is damaged and how it is read.

    Attributes:
        cases: how many make the full run.
        seeds: sound inputs.
        tokens: bytes that mean something to the reader, put in at random places.
        read: reads the damaged bytes from a file of the folder; raises ``AssertionError`` when it accepts nonsense.
    """

    cases: int
    seeds: Callable[[], list[bytes]]
    tokens: tuple[bytes, ...]
    read: Callable[[bytes, Path], None]


def kaldi_seeds() -> list[bytes]:
    """Return archives of every kind, binary, compressed, text and gzip."""
    torch.manual_seed(0)
    feats = [(f"utt-{i}", torch.randn(3 + 9 * i, 5)) for i in range(3)]
    others = [("d", torch.randn(2, 6).double()), ("v", torch.randn(4)), ("i", torch.tensor([1, 7, -3]))]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.ark"
        kaldi_io.write_table(path, [*feats, *others])
        plain = path.read_bytes()
        kaldi_io.write_table(path, feats, compress=True)
        compressed = path.read_bytes()
    byte = b"utt \0BCM3 " + struct.pack("<ffii", -1.0, 2.0, 2, 3) + bytes(range(6))
    text = b"utt-1  [\n  0.5 1 -2e-3\n  1 2 3 ]\nutt-2  [ 1 2 ]\nutt-3 4 5 6\n"
    return [plain, compressed, byte, text, gzip.compress(plain, mtime=0), gzip.compress(text, mtime=0)]


def read_kaldi(data: bytes, folder: Path) -> None:
    """Read an archive, and a script file that points into it."""
    archive = folder / "x.ark"
    archive.write_bytes(data)
    keys = set()
    for key, array in kaldi_io.read_table(archive):
        assert key not in keys, "a key twice"
        assert array.dtype in (np.int32, np.float32, np.float64), array.dtype
        assert array.dtype == np.int32 or np.isfinite(array).all(), "not finite"
        assert array.size <= len(data) * 1100, "larger than the file"  # gzip packs a thousand to one
        keys.add(key)


def folder_seeds() -> list[bytes]:
    """Return folders of Kaldi's as one text each, files divided by lines of ``%%%``."""
    wavs = "a-1 a.wav\na-2 b.wav\nb-1 a.wav\n"
    text, speakers = "a-1 ONE TWO\na-2\nb-1 É THREE\n", "a-1 a\na-2 a\nb-1 b\n"
    cut = "a-1 r 0 0.5\na-2 r 0.5 -1\nb-1 q 1e0 1.4\n"
    return [
        "%%%\n".join(parts).encode() for parts in ((wavs, text, speakers), ("r a.wav\nq b.wav\n", text, speakers, cut))
    ]


def read_kaldi_folder(data: bytes, folder: Path) -> None:
    """Read a folder whose recordings are not there, so that no utterance of it is whole."""
    for name, part in zip(FILES, [*data.split(b"%%%\n"), b"", b"", b""], strict=False):
        (folder / name).unlink(missing_ok=True)
        if part or name != "segments":
            (folder / name).write_bytes(part)
    split = read_folder(folder, keep_unreadable=True)
    ids = [u.utt_id for u in split.utterances]
    assert len(ids) == len(set(ids)), "an utterance twice"
    for utterance in split.utterances:
        assert utterance.speaker, utterance
        assert min(utterance.offset_s, utterance.duration_s) >= 0, utterance
        assert "|" not in str(utterance.audio_path), utterance
    if split.utterances:
        write_manifest(folder / "m.jsonl", [u for u in split.utterances if u.duration_s])


def manifest_seeds() -> list[bytes]:
    """Return a manifest with and without the keys that may be absent."""
    start = '{"id": "u%d", "audio_filepath": "wav/%d.wav", "offset": 0.25, '
    line = start + '"duration": 1.5, "text": "é Z", "speaker": "s"}\n'
    short = '{"id": "v", "audio_filepath": "/abs/v.flac", "duration": 3, "text": ""}\n'
    return ["".join(line % (i, i) for i in range(4)).encode(), (short + line % (7, 7)).encode()]


def read_one_manifest(data: bytes, folder: Path) -> None:
    """Read a manifest; what is accepted must be written and read back equal."""
    path = folder / "m.jsonl"
    path.write_bytes(data)
    utterances = read_manifest(path)
    assert all(isinstance(u, Utterance) and 0 < u.duration_s <= 1e6 and 0 <= u.offset_s <= 1e6 for u in utterances)
    write_manifest(path, utterances)
    again = read_manifest(path)
    assert [(u.utt_id, u.text, u.duration_s) for u in again] == [(u.utt_id, u.text, u.duration_s) for u in utterances]


def lexicon_seeds() -> list[bytes]:
    """Return a lexicon as CMU writes it."""
    return ["A AH\nA(2)  EY\nÉTÉ\tE T E\n;;; a comment\nREAD R EH D\nREAD(2) R IY D\n<sil> SIL\n".encode()]


def read_lexicon(data: bytes, folder: Path) -> None:
    """Read a lexicon; what is accepted must come back equal."""
    path = folder / "lexicon.txt"
    path.write_bytes(data)
    lexicon = Lexicon.read(path)
    pairs = list(lexicon)
    assert pairs
    assert all(word and phones and all(phones) for word, phones in pairs)
    path.write_text(lexicon.text(), encoding="utf-8")
    assert list(Lexicon.read(path)) == pairs


def arpa_seeds() -> list[bytes]:
    """Return models of one to three words, one without comments and with blanks for tabs."""
    sentences = ["é b a", "a b", "a c b a", "b"]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.arpa"
        made = []
        for order in (1, 2, 3):
            write_arpa(path, estimate([s.split() for s in sentences], order).model)
            made.append(path.read_bytes())
    return [*made, made[1].partition(b"\n")[2].replace(b"\t", b"  ")]


def read_one_arpa(data: bytes, folder: Path) -> None:
    """Read a model; what is accepted must be written and read back equal, and give every word a probability."""
    path = folder / "x.arpa"
    path.write_bytes(data)
    model = read_arpa(path)
    assert all(math.isfinite(x) for grams in model.orders for pair in grams.values() for x in pair)
    assert all(prob <= 0 for grams in model.orders for prob, _ in grams.values())
    assert all(map(math.isfinite, model.log10_probs(["a", "b", "never", "a"])))
    write_arpa(path, model)
    assert [grams.keys() for grams in read_arpa(path).orders] == [grams.keys() for grams in model.orders]


def read_scored(suffix: str, data: bytes, folder: Path) -> None:
    """Read a file that is scored; each side."""
    path = folder / f"x{suffix}"
    path.write_bytes(data)
    for side in ("ref", "hyp"):
        found = read_texts(path, side)
        assert found.texts
        assert set(found.speakers) | set(found.failed) | set(found.snr_db) <= set(found.texts)


KALDI_TOKENS = (b"[", b"]", b"\0B", b"FM ", b"CM ", b"\4", b"PKL", b"NPY", b"RIFF", b" ", b"\n")
FOLDER_TOKENS = (b"|", b"%%%\n", b"nan", b"-1", b"\n", b"\t", b"9e9", b"[1:2]", b":7", b"\0")
MANIFEST_TOKENS = (b"{", b"}", b"[" * 99, b"NaN", b"1e999", b'"', b"\\ud800", b"null", b"\n", b"\0", b"|")
LEXICON_TOKENS = (b"(2)", b"\n", b" ", b"\0", b";;;", b"\xe2\x80\xae", b"A AH\n", b"\xa0")
ARPA_TOKENS = (
    b"\n",
    b"\t",
    b"nan",
    b"-1e999",
    b"1",
    b"\\end\\",
    b"\\data\\",
    b"\\2-grams:",
    b"<s>",
    b"ngram 2=7\n",
    b"\0",
)
READERS = {
    "kaldi": Reader(3000, kaldi_seeds, KALDI_TOKENS, read_kaldi),
    "kaldi-folder": Reader(1000, folder_seeds, FOLDER_TOKENS, read_kaldi_folder),
    "manifest": Reader(5000, manifest_seeds, MANIFEST_TOKENS, read_one_manifest),
    "lexicon": Reader(2000, lexicon_seeds, LEXICON_TOKENS, read_lexicon),
    "arpa": Reader(2000, arpa_seeds, ARPA_TOKENS, read_one_arpa),
}
SCORED = {
    ".jsonl": '{"id": "a", "hyp": "x y", "text": "é", "status": "ok", "snr_db": 3.5}\n{"id": "b", "text": ""}\n',
    ".trn": "one two (a-1)\né (a-2)\n(a-3)\n",
    ".stm": ";; c\nr 1 s 0.00 1.5 <o,f0> one é\nr 1 s 1.5 2 ignore_time_segment_in_scoring\nr 2 t 0 9 two\n",
    ".ctm": "r 1 0.1 0.25 one 0.9\nr 1 0.5 0.1 é\n;; c\nq 1 0 1 two\n",
    ".txt": "a-1 one two\na-2\na-3 é\n",
}
SCORED_TOKENS = (b"\n", b" ", b"nan", b"1e999", b"-1", b"(", b")", b"{", b"/", b'"', b"\0", b"\x1b[2J", b"a-1", b"<")


def scored_reader(suffix: str, text: str) -> Reader:
    """Return the reader of one format that is scored."""
    return Reader(1000, lambda: [text.encode()], SCORED_TOKENS, functools.partial(read_scored, suffix))


READERS |= {f"scored{suffix}": scored_reader(suffix, text) for suffix, text in SCORED.items()}


def outcome(reader: Reader, data: bytes, folder: Path) -> str:
    """Return "accepted", "refused" or, when the case is lost, why."""
    started = time.process_time()  # another busy process is no fault of the reader
    try:
        reader.read(data, folder)
        result = "accepted"
    except DataError as error:
        message = str(error)
        result = "refused" if NAMED.search(message) else f"names neither line nor key: {message}"
        if any(ord(character) < 32 and character != "\n" for character in message):
            result = f"a control character in: {message!r}"
    except Exception as error:  # what this program looks for
        result = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - started
    return result if seconds < MAX_SECONDS else f"{seconds:.1f} s, {result}"


def fuzz(name: str, n: int, seed: int, only: int | None = None) -> tuple[Counter[str], list[str]]:
    """Return how many cases were accepted, refused and lost, and a line for each lost one."""
    reader, counts, lost = READERS[name], Counter[str](), []
    seeds = reader.seeds()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for seeded in seeds:
            sound = outcome(reader, seeded, Path(folder))
            assert sound == "accepted", sound
        for case in range(n) if only is None else [only]:
            data = mutate(seeds, reader.tokens, random.Random(f"{name}-{seed}-{case}"))
            result = outcome(reader, data, Path(folder))
            counts[result if result in ("accepted", "refused") else "lost"] += 1
            if result not in ("accepted", "refused") or only is not None:
                lost.append(f"{name} case {case}: {result}")
    return counts, lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", choices=READERS, action="append", help="one of them, or several")
    parser.add_argument("--n", type=int, help="cases of each; the full count if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="N", help="repeat one case and say how it ended")
    args = parser.parse_args()
    torch.set_num_threads(1)
    total = 0
    for name in args.reader or READERS:
        started = time.perf_counter()
        counts, lost = fuzz(name, args.n or READERS[name].cases, args.seed, args.only)
        print(*lost, sep="\n", end="\n" if lost else "")
        tally = ", ".join(f"{kind}: {counts[kind]}" for kind in ("accepted", "refused", "lost"))
        print(f"{name}: {sum(counts.values())} cases in {time.perf_counter() - started:.0f} s, {tally}")
        total += counts["lost"]
    print(f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return min(100, total)


if __name__ == "__main__":
    sys.exit(main())
