"""``asr-ligru score`` and ``report``: error rates and tables of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

_FORMATS = ("text", "md", "csv", "latex", "json", "html")


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    score = verbs.add_parser("score", help="count the errors of hypotheses against references")
    score.add_argument("ref", type=Path, metavar="REF", help="a manifest (jsonl), trn, stm, ctm or Kaldi text")
    score.add_argument("hyp", type=Path, metavar="HYP", help="hypotheses, matched by utterance id")
    score.add_argument(
        "--profile", default="none", help="normalisation of both sides, such as lower-nopunct (%(default)s)"
    )
    score.add_argument("--allow-missing", action="store_true", help="count a missing hypothesis as deletions")
    score.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the counts there as JSON")
    score.set_defaults(run=run_score)
    report = verbs.add_parser("report", help="a table of the runs below a folder")
    report.add_argument("folder", type=Path, metavar="DIR", help="a run, or a folder of runs such as exp/an4_ctc")
    report.add_argument("--format", choices=_FORMATS, default="text", help="%(choices)s (default: %(default)s)")
    report.add_argument("--baseline", default="", metavar="CELL", help="compare every other row with this cell")
    report.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead")
    report.set_defaults(run=run_report)


def run_score(options: argparse.Namespace) -> int:
    """Print error rates."""
    from asr_ligru.score.commands import score_files

    print(
        score_files(
            options.ref, options.hyp, options.profile, options.allow_missing, out=options.output, color=in_color()
        ),
        end="",
    )
    return 0


def run_report(options: argparse.Namespace) -> int:
    """Print the table."""
    from asr_ligru.score.commands import report_folder

    print(
        report_folder(options.folder, options.format, options.output, baseline=options.baseline, color=in_color()),
        end="",
    )
    return 0


def in_color() -> bool:
    """Whether stdout shows colours and the user does not mind."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
