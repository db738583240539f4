"""``asr-ligru prepare`` and ``validate``: corpora made ready, and checked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    prepare = verbs.add_parser("prepare", help="make manifests of a corpus")
    prepare.add_argument("corpus", metavar="CORPUS", help="an4, demo, fsdd, mini_librispeech or yesno")
    prepare.add_argument("--root", type=Path, metavar="DIR", help="where the corpus is")
    prepare.add_argument("--out", type=Path, metavar="DIR", help="where manifests go (default: data/CORPUS)")
    prepare.add_argument("--download", action="store_true", help="fetch it first, into DIR of --root")
    prepare.set_defaults(run=run_prepare, takes_rest=False)
    validate = verbs.add_parser("validate", help="check a prepared corpus: everything wrong, in one table")
    validate.add_argument("folder", type=Path, metavar="DIR", help="a prepared corpus, such as data/an4")
    validate.add_argument("--sample-rate-hz", type=int, metavar="N", help="what the recipe expects")
    validate.set_defaults(run=run_validate, takes_rest=False)


def run_prepare(options: argparse.Namespace) -> int:
    """Prepare a corpus and print what was found."""
    from tqdm import tqdm

    from asr_ligru.data.prepare import prepare_corpus

    out = options.out or Path("data") / options.corpus
    with tqdm(desc="reading", unit=" files", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False) as bar:
        report = prepare_corpus(options.corpus, options.root, out, download=options.download, tick=bar.update)
    print(report.render())
    return 0


def run_validate(options: argparse.Namespace) -> int:
    """Print every finding; 3 when there is one that training would stumble over."""
    from asr_ligru.data.validate import validate_corpus

    report = validate_corpus(options.folder, sample_rate_hz=options.sample_rate_hz)
    print(report.text())
    return 3 if report.has_errors else 0
