"""``asr-ligru demo``: the embedded corpus, four cells, one table."""

from __future__ import annotations

import argparse
import sys
from typing import Any

CELLS = ("ligru", "libru", "gru_bn", "lstm_bn")


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser("demo", help="make the synthetic corpus, train four cells, print the table")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train")
    parser.set_defaults(run=run)


def say(line: str) -> None:
    """Tell the user what happens next."""
    print(line, file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> int:
    """Make the corpus, train each cell (going on where it stopped) and print the table."""
    from pathlib import Path

    from asr_ligru.cli.train import run as run_train
    from asr_ligru.compose import compose
    from asr_ligru.data.prepare import prepare_corpus
    from asr_ligru.score.commands import report_folders

    config = compose(["recipe=demo_ctc", *options.overrides])
    say("1/3  the corpus: synthetic speech by espeak-ng, noise and rooms added")
    print(prepare_corpus("demo", None, Path(config.corpus.dir)).render(), file=sys.stderr)
    say(f"2/3  training {', '.join(CELLS)}; Ctrl-C and the same command go on where it stopped")
    folder = Path(config.exp_root) / config.run_name
    options.overrides = ["recipe=demo_ctc", f"cell={','.join(CELLS)}", *options.overrides]
    options.multirun, options.config_dir = True, None
    code = run_train(options)
    report = folder / "report.html"
    report_folders([folder], "html", report)
    say(f"3/3  synthetic speech: compare the cells, do not quote the error rates. Report: {report}")
    return code
