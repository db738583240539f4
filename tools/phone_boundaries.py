"""How many phone boundaries an alignment finds within 20 ms of the synthesiser's own, on the demo corpus.

    asr-ligru fmllr train data/demo exp/demo_fmllr --set edge_silence=1 [--times data/demo/train.times.jsonl]
    asr-ligru fmllr align exp/demo_fmllr data/demo/dev.jsonl exp/demo_times
    python tools/phone_boundaries.py exp/demo_times/phones.ctm data/demo/dev.times.jsonl

Boundaries are the beginnings of all phones and the end of each utterance's last one. An utterance whose phones are not
those that were synthesised (another pronunciation was chosen) is counted and left out.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from asr_ligru.hmm.known_times import read_phone_times
from asr_ligru.hmm.times import Interval

WITHIN_S = (0.010, 0.020, 0.030)
WORST = 10


def borders(phones: list[Interval]) -> list[tuple[str, float]]:
    """Return what each boundary lies between, and when it is."""
    names = ["#", *(phone.label for phone in phones), "#"]
    times = [*(phone.start_s for phone in phones), phones[-1].end_s]
    return [(f"{a} {b}", time) for (a, b), time in zip(pairwise(names), times, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ctm", type=Path, help="phones.ctm of `asr-ligru fmllr align`")
    parser.add_argument("times", type=Path, help="the corpus's own times")
    options = parser.parse_args()
    truth = read_phone_times(options.times)
    found = {
        utt_id: [p for p in phones if p.label != "SIL"] for utt_id, phones in read_phone_times(options.ctm).items()
    }
    off = defaultdict(list)
    same = [utt_id for utt_id, phones in found.items() if [p.label for p in phones] == [p.label for p in truth[utt_id]]]
    for utt_id in same:
        for (where, got), (_, expected) in zip(borders(found[utt_id]), borders(truth[utt_id]), strict=True):
            off[where].append(got - expected)
    errors = [error for values in off.values() for error in values]
    print(f"{len(same)} of {len(found)} utterances with the synthesised phones, {len(errors)} boundaries")
    for limit in WITHIN_S:
        print(f"within {1000 * limit:.0f} ms: {100 * sum(abs(e) <= limit for e in errors) / len(errors):.1f} %")
    print(f"median {1000 * statistics.median(errors):+.1f} ms; most boundaries beyond 20 ms:")
    worst = sorted(off, key=lambda where: -sum(abs(e) > 0.020 for e in off[where]))[:WORST]
    for where in worst:
        beyond = sum(abs(e) > 0.020 for e in off[where])
        print(
            f"  {where:8s} {beyond:3d} of {len(off[where]):3d}, median {1000 * statistics.median(off[where]):+.0f} ms"
        )


if __name__ == "__main__":
    main()
