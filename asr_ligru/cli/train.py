"""``asr-ligru train``: one run, or a sweep of them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from asr_ligru.cli.results import in_color
from asr_ligru.errors import AsrLigruError
from asr_ligru.safety import printable_lines

_EPILOG = """
examples:
  asr-ligru train recipe=an4_ctc_ligru
  asr-ligru train recipe=an4_ctc cell=libru seed=2 train.lr=2e-3
  asr-ligru train -m recipe=an4_ctc cell=ligru,libru,gru_bn,lstm_bn seed=1,2,3
  asr-ligru train -m recipe=an4_ctc seed=1,2,3 hydra/launcher=joblib
  asr-ligru train recipe=an4_ctc debug=smoke
  torchrun --nproc_per_node 2 -m asr_ligru train recipe=an4_ctc_ligru

The same command again goes on where it stopped. `asr-ligru ls` lists the groups
and their choices; every key with its range is in asr_ligru/config.py.
"""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "train",
        help="train a recipe, or go on with it",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="choices of groups and values of keys")
    parser.add_argument("-m", "--multirun", action="store_true", help="a run for each combination of comma lists")
    parser.add_argument("--config-dir", metavar="DIR", help="a folder with groups of your own (see `asr-ligru cp`)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train; a failed run of a sweep does not stop the others, and its exit code is kept."""
    from asr_ligru import ranks
    from asr_ligru.compose import Launch, launch
    from asr_ligru.score.commands import report_folders
    from asr_ligru.train import distributed
    from asr_ligru.train.interrupt import Interrupted
    from asr_ligru.train.run import train
    from asr_ligru.train.summary import summary

    arguments = [*options.overrides]
    arguments += ["--multirun"] if options.multirun else []
    arguments += [f"--config-dir={Path(options.config_dir).resolve()}"] if options.config_dir else []
    home = os.getpid()
    failures: list[AsrLigruError] = []
    folders: list[Path] = []

    def one(found: Launch) -> None:
        command = f"{distributed.launcher()} train " + " ".join(shlex.quote(o) for o in found.overrides)
        try:
            folder = train(found.config, command)
            if ranks.is_first():
                folders.append(folder)
                print(summary(folder), end="", file=sys.stderr)
        except AsrLigruError as error:
            if not options.multirun or ranks.count() > 1:  # of several processes each may be somewhere else
                raise
            failures.append(error)
            print(f"{printable_lines(str(error))}\n  run: {found.config.exp_dir}", file=sys.stderr)
            if os.getpid() != home:  # a launcher's process
                raise

    try:
        launch(arguments, one)
    except Interrupted:
        if ranks.is_first():
            print("stopped; the same command goes on from there", file=sys.stderr)
        raise
    except distributed.LostRankError as error:
        print(printable_lines(str(error)), file=sys.stderr, flush=True)
        os._exit(error.exit_code)  # at once: what torch tidies up may wait for the process that is lost
    finally:
        distributed.leave()
    if folders:
        print(report_folders([folders[0] if len(folders) == 1 else folders[0].parent], color=in_color()), end="")
    elif (
        options.multirun and not failures and distributed.launcher() == "asr-ligru"
    ):  # made by a launcher, in other processes or later
        print("`asr-ligru report` shows the runs", file=sys.stderr)
    return max((e.exit_code for e in failures), default=0)
