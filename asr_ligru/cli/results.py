"""``asr-ligru score`` and ``report``: error rates and tables of them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

_FORMATS = ("text", "md", "csv", "latex", "json", "kaldi", "html")

_EXP = Path("exp")  # exp_root
_CLEAR = "\x1b[H\x1b[2J"  # the terminal, cursor at the top


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    score = verbs.add_parser("score", help="count the errors of hypotheses against references")
    score.add_argument("ref", type=Path, metavar="REF", help="a manifest (jsonl), trn, stm, ctm or Kaldi text")
    score.add_argument("hyp", type=Path, metavar="HYP", help="hypotheses, matched by utterance id")
    score.add_argument(
        "--profile", default="none", help="normalisation of both sides, such as lower-nopunct (%(default)s)"
    )
    score.add_argument("--allow-missing", action="store_true", help="count a missing hypothesis as deletions")
    score.add_argument("--against", type=Path, nargs="+", default=[], metavar="HYP", help="test other hypotheses, too")
    score.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the counts there as JSON")
    score.set_defaults(run=run_score)
    report = verbs.add_parser("report", help="tables of the runs below some folders")
    report.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="runs, or folders of them (default: exp)")
    report.add_argument("--format", choices=_FORMATS, default="text", help="%(choices)s (default: %(default)s)")
    report.add_argument(
        "--baseline", default="", metavar="CELL", help="compare every other row with this cell, or the best"
    )
    report.add_argument(
        "--with-published",
        action="append",
        default=[],
        metavar="CORPUS",
        help="what others published, such as an4",
    )
    report.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead")
    report.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=5.0,
        default=0.0,
        metavar="S",
        help="again every %(const)g s, with curves",
    )
    report.set_defaults(run=run_report)


def run_score(options: argparse.Namespace) -> int:
    """Print error rates."""
    from asr_ligru.score.commands import score_files

    print(
        score_files(
            options.ref,
            options.hyp,
            options.profile,
            options.allow_missing,
            against=options.against,
            out=options.output,
            color=in_color(),
        ),
        end="",
    )
    return 0


def run_report(options: argparse.Namespace) -> int:
    """Print the table, with ``--watch`` until Ctrl-C."""
    from asr_ligru.score.commands import report_folders

    exp = [] if options.with_published and not _EXP.is_dir() else [_EXP]
    try:
        while True:
            text = report_folders(
                options.folders or exp,
                options.format,
                options.output,
                baseline=options.baseline,
                published=options.with_published,
                color=in_color(),
                every_s=options.watch,
            )
            print(_CLEAR if options.watch and sys.stdout.isatty() else "", text, sep="", end="", flush=True)
            if not options.watch:
                return 0
            time.sleep(options.watch)
    except KeyboardInterrupt:
        if not options.watch:
            raise
        return 0


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"expected 1 to 86400 seconds, got {text[:20]}")
    return value


def in_color() -> bool:
    """Whether stdout shows colours and the user does not mind."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
