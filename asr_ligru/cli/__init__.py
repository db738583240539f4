"""The command line: each verb parses its arguments, calls one function and prints what it returns.

Results go to stdout, everything else to stderr. An error is a message of up to three lines; ``--traceback`` shows
where it came from. Exit codes are those of ``asr_ligru.errors``.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from asr_ligru import __version__
from asr_ligru.cli import corpora, decode, demo, export, fmllr, lm, results, rover, serve, setup, train, tune
from asr_ligru.cli.numbers import number, whole_number
from asr_ligru.errors import AsrLigruError, EnvironmentError_
from asr_ligru.registry import nearest
from asr_ligru.safety import printable, printable_lines

# Read once, when torch is imported, which no verb has done yet.
# Threads that spin while they wait make two-thread training a hundred times slower beside one other busy process.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# oneDNN keeps a compiled product for each of 1024 shapes; batches of ever new lengths would fill that with 3 GB.
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
# Large tensors on large pages: a tenth off a training step.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_VERBS = (demo, train, decode, serve, results, rover, corpora, lm, tune, fmllr, export, setup)
_DESCRIPTION = "Train and use speech recognisers with light gated recurrent units."


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors name the nearest known verb or option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register("type", int, whole_number)
        self.register("type", float, number)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an unknown option where its verb is known."""
        found, rest = super().parse_known_args(args, namespace)
        unknown = next((word.partition("=")[0] for word in rest if word.startswith("--")), "")
        if unknown and self._subparsers is None:
            close = difflib.get_close_matches(unknown, self._option_string_actions, n=1)
            self.error(f"unknown option {unknown}" + (f"; did you mean {close[0]}?" if close else ""))
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with 2."""
        print(f"usage error: {printable(message)}", file=sys.stderr)
        print(f"  fix: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = Parser(prog="asr-ligru", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"asr-ligru {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where in the program an error came from")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for module in _VERBS:
        module.add_to(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    _repair_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    verb = next((a for a in given if not a.startswith("-")), "")
    known = next(a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    if verb and verb not in known:
        parser.error(f"unknown verb {verb!r}; {nearest(verb, known)}")
    options = parser.parse_args(given)
    _be_quiet()
    try:
        with logging_redirect_tqdm():  # a warning would stand on the line of the bar
            return int(options.run(options))
    except AsrLigruError as error:
        return _fail(error, options.traceback)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader, such as head, has gone
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (OSError, MemoryError) as error:
        return _fail(_environment(error), options.traceback)


def _repair_streams() -> None:
    """Give what is closed a place to write to, and write what an encoding does not have as its number."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(error: AsrLigruError, with_traceback: bool) -> int:
    if with_traceback:
        traceback.print_exception(error)
    else:
        print(printable_lines(str(error)), file=sys.stderr)
    return error.exit_code


def _environment(error: OSError | MemoryError) -> AsrLigruError:
    if isinstance(error, MemoryError):
        made = EnvironmentError_("out of memory", fix="lower train.batch_frames or decode.batch_frames")
    elif error.errno == errno.ENOSPC:
        made = EnvironmentError_("disk full", where=str(error.filename or ""), fix="free some space and start again")
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        made = EnvironmentError_("too many open files", fix="ulimit -n 4096, or a smaller train.num_workers")
    else:
        made = EnvironmentError_(error.strerror or str(error), where=str(error.filename or ""))
    made.__cause__ = error
    return made


def _be_quiet() -> None:
    """Show our own messages only."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("asr_ligru").setLevel(logging.INFO)
    for library in ("speechbrain", "torchaudio", "hydra"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
