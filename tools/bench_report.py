"""Measure scoring and reports: how long they take, what they need, and whether their counts are everybody's.

    python -m tools.bench_report [--runs 200] [--pairs 10000] [--words 50000]

Each line has what was done, what was found and, where there is one, the bound it is to stay below.
"""

from __future__ import annotations

import argparse
import itertools
import random
import resource
import tempfile
import time
from pathlib import Path

import jiwer
import kaldialign

from asr_ligru.score.commands import report_folders
from asr_ligru.score.wer import score
from tests.score.made_runs import write_run

FORMATS = ("text", "md", "csv", "latex", "json", "kaldi", "html")
CELLS = {"ligru": 0.07, "libru": 0.08, "gru": 0.11, "lstm": 0.14}  # and about how wrong they are
FEATURES = ("fbank", "mfcc", "fmllr", "fbank80", "plp")
UTTERANCES = 130  # as in AN4's test set
MAX_REPORT_S, MAX_PAIR_S, MAX_PAIR_GB = 5, 60, 2


class Stopwatch:
    """The time that passed, and the processor time, which other programs do not lengthen; seconds."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Note the time."""
        self._passed, self._core = time.perf_counter() - self._start[0], time.process_time() - self._start[1]

    def __str__(self) -> str:
        return f"{self._passed:.1f} s, {self._core:.1f} of them on the processor"


def bench_pair(words: int) -> None:
    vocabulary = [f"w{n}" for n in range(2000)]
    ref, hyp = (" ".join(random.Random(seed).choices(vocabulary, k=words)) for seed in (1, 2))
    watch = Stopwatch()
    counts = score({"a": ref}, {"a": hyp}).words
    watch.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    said = f"{watch} (< {MAX_PAIR_S} s), {peak:.2f} GB (< {MAX_PAIR_GB})"
    print(f"one pair of {counts.ref} words: {said}", flush=True)


def compare_pairs(count: int) -> None:
    rng = random.Random(count)
    words = ["one", "two", "three", "oh", "o", "\u05db\u05df", "na\u00efve"]
    refs, hyps = ({str(n): " ".join(rng.choices(words, k=rng.randint(0, 12))) for n in range(count)} for _ in "rh")
    scores = score(refs, hyps)
    wrong = 0
    for utterance in scores.utterances:
        ref, hyp, found = refs[utterance.utt_id], hyps[utterance.utt_id], utterance.words
        theirs = jiwer.process_words([ref], [hyp])
        same = (found.sub, found.dels, found.ins) == (theirs.substitutions, theirs.deletions, theirs.insertions)
        wrong += not (same and found.errors == kaldialign.edit_distance(ref.split(), hyp.split())["total"])
    wrong += scores.words.rate != jiwer.wer(list(refs.values()), list(hyps.values()))
    print(f"{count} random pairs: {wrong} differ from jiwer or kaldialign", flush=True)


def bench_reports(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed, features, (cell, rate) in itertools.islice(
            itertools.product(range(count), FEATURES, CELLS.items()), count
        ):
            write_run(folder, cell, seed, features=features, rate=rate, utterances=UTTERANCES)
        for fmt in FORMATS:
            watch = Stopwatch()
            report_folders([folder], fmt, folder / "report", baseline="gru")
            watch.stop()
            print(f"{count} runs as {fmt}, all tested against gru: {watch} (< {MAX_REPORT_S} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="runs in the report (%(default)s)")
    parser.add_argument("--pairs", type=int, default=10_000, help="random pairs (%(default)s)")
    parser.add_argument("--words", type=int, default=50_000, help="words of the long pair (%(default)s)")
    options = parser.parse_args()
    bench_pair(options.words)  # first, so that the most memory ever used is its own
    compare_pairs(options.pairs)
    bench_reports(options.runs)


if __name__ == "__main__":
    main()
