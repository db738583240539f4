"""``asr-ligru rover``: several systems' hypotheses made one by a vote on each word."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_ligru.score.rover import Vote
    from asr_ligru.score.rover_files import Networks

_EPILOG = """
examples:
  asr-ligru decode MODEL data/an4/dev.jsonl --format json --confidence \\
      > a_dev.jsonl
  asr-ligru rover a_dev.jsonl b_dev.jsonl --tune data/an4/dev.jsonl -o vote.json
  asr-ligru rover a_test.jsonl b_test.jsonl --config vote.json -o both.jsonl
  asr-ligru score data/an4/test.jsonl both.jsonl

Words are aligned file by file to the first one's, so the best system comes
first. More than two systems have more to vote about.
"""
_LISTED = 5


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "rover",
        help="combine several systems' hypotheses by a vote on each word",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("hyps", type=Path, nargs="+", metavar="HYP", help="jsonl or ctm with confidences; others without")
    add("-o", "--output", default="-", metavar="FILE", help=".jsonl or .trn; with --tune .json (default: -, jsonl)")
    add("--tune", type=Path, metavar="REF", help="choose the vote on these references, never the test set")
    add("--config", type=Path, metavar="FILE", help="the vote that --tune wrote")
    add("--method", choices=("mean", "max"), help="of the confidences of a word (default: mean)")
    add("--alpha", type=float, metavar="A", help="weight of the frequency, the rest is confidence's (default: 1)")
    add("--null-confidence", type=float, metavar="C", help="of having heard no word (default: 0)")
    add("--profile", default="none", help="with --tune: normalisation, such as lower-nopunct (%(default)s)")
    add("-q", "--quiet", action="store_true", help="only results")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Combine, or tune, and say what was missing."""
    from asr_ligru.safety import atomic_write
    from asr_ligru.score.rover_files import align_systems, read_system, render

    vote = _vote(options)
    systems = [read_system(path) for path in options.hyps]
    networks = align_systems(systems)
    if not options.quiet:
        for path, system, missing in zip(options.hyps, systems, networks.missing, strict=True):
            _report(path, len(system.words), missing, system.unsure)
    if options.tune:
        return _tune(options, networks)
    text = render(networks, vote, as_trn=options.output.endswith(".trn"))
    if options.output == "-":
        sys.stdout.write(text)
    else:
        atomic_write(Path(options.output), text)
    return 0


def _vote(options: argparse.Namespace) -> Vote:
    from asr_ligru.config import build
    from asr_ligru.errors import ConfigError
    from asr_ligru.score.rover import Vote
    from asr_ligru.score.rover_files import read_vote

    given = {
        key: getattr(options, key)
        for key in ("method", "alpha", "null_confidence")
        if getattr(options, key) is not None
    }
    if sum(map(bool, (given, options.config, options.tune))) > 1:
        raise ConfigError("--tune, --config and the options of a vote exclude each other", fix="keep one of them")
    if options.profile != "none" and not options.tune:
        raise ConfigError("--profile is for the references of --tune", fix="leave it out, or normalise in `score`")
    if options.tune and options.output == "-":
        raise ConfigError("--tune writes a file", fix="name it: -o vote.json")
    return read_vote(options.config) if options.config else build(Vote, given)


def _tune(options: argparse.Namespace, networks: Networks) -> int:
    from asr_ligru.score.rover_files import write_vote
    from asr_ligru.score.rover_tune import development_texts, tune_vote, votes
    from asr_ligru.score.wer import kaldi_line
    from asr_ligru.train.progress import ProgressBar

    refs = development_texts(options.tune)
    with ProgressBar("rover", len(votes()), enabled=not options.quiet, leave=False) as bar:
        found = tune_vote(networks, refs, options.profile, tick=bar.tick)
    for election in found[:5]:
        vote = election.vote
        weights = f"{vote.method}, alpha {vote.alpha:g}, null confidence {vote.null_confidence:g}"
        print(f"{kaldi_line(election.scores.words)}  {weights}")
    best = found[0]
    tuned = {"refs": str(options.tune), "systems": len(options.hyps), "errors": best.scores.words.errors}
    write_vote(Path(options.output), best.vote, {**tuned, "words": best.scores.words.ref})
    return 0


def _report(path: Path, count: int, missing: list[str], unsure: int) -> None:
    """Say on standard error what a file does not have."""
    from asr_ligru.safety import printable

    name = printable(str(path))
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        listed = printable(", ".join(missing[:_LISTED])) + more
        print(f"{name}: {count} utterances, {len(missing)} missing, where the others vote: {listed}", file=sys.stderr)
    if unsure:
        print(f"{name}: {unsure} words without confidence, 1 taken", file=sys.stderr)
