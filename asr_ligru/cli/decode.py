"""``asr-ligru decode``: the words of any audio."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from asr_ligru.cli.numbers import positive

_FORMATS = ("txt", "json", "srt", "vtt", "ctm", "trn", "tsv")
_EPILOG = """
examples:
  asr-ligru decode exp/an4_ctc/ligru-fbank40-char-seed1 mine.wav another.m4a
  asr-ligru decode MODEL recordings/ -o texts --format txt,srt --skip-existing
  asr-ligru decode MODEL data/an4/test.jsonl --format trn > hyp.trn
  arecord -f S16_LE -r 16000 -d 5 | asr-ligru decode MODEL -
  arecord -f S16_LE -r 16000 | asr-ligru decode MODEL - --stream

Text goes to standard output, everything else to standard error. With several
inputs each line begins with the file and a tab. Long recordings are cut at
pauses; each piece is a line. Exit code: 0 all were decoded, 1 some failed, 2
usage.
"""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "decode",
        help="print what is said in audio files",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a run folder, or an exported model folder or .zip")
    add("--with", dest="others", type=Path, nargs="+", default=[], metavar="MODEL", help="average with these models")
    add("audio", nargs="+", metavar="AUDIO", help="files, folders, a manifest (.jsonl), or - for standard input")
    add("-o", "--output", default="-", metavar="DIR", help="write files there (default: -, standard output)")
    add("--format", type=_formats, default=("txt",), metavar="F,...", help=f"{', '.join(_FORMATS)} (default: txt)")
    add("--device", default="auto", metavar="D", help="auto, cpu, cuda or cuda:N (default: auto)")
    add("--threads", type=positive, metavar="N", help="CPU threads (default: as torch chooses)")
    add("--batch-size", type=_batch_size, default=None, metavar="N", help="most pieces at once (default: auto)")
    add("--decoder", metavar="D", help="greedy, words, beam or wfst (default: as the rest asks for)")
    add("--lm", type=Path, metavar="ARPA", help="n-gram language model for beam or wfst")
    add("--lexicon", type=Path, metavar="FILE", help="words and their spelling, for wfst")
    add("--decode-config", type=Path, metavar="FILE", help="weights for beam or wfst that `asr-ligru tune` wrote")
    add("--acoustic-scale", type=float, metavar="X", help="weight of the frames' scores, for words or wfst")
    add("--word-score", type=float, metavar="X", help="what each word adds, for words or wfst")
    add("--rescore", type=Path, metavar="LM", help="neural language model that scores readings of beam or wfst again")
    add("--rescore-weight", type=float, metavar="X", help="what it counts for (default: 0.3)")
    add("--rescore-bonus", type=float, metavar="X", help="what each word adds then (default: 0)")
    add("--hot-words", type=_words, default=(), metavar="W,...", help="words for beam to favour")
    add("--n-best", type=positive, default=1, metavar="K", help="readings of each piece (json)")
    add("--word-times", action="store_true", help="times of words (json, tsv, srt, vtt)")
    add("--confidence", action="store_true", help="how sure the words are (json, tsv)")
    add("--stream", action="store_true", help="print what is heard while standard input is still recorded")
    add("--channel", type=_channel, default="mix", metavar="C", help="mix (default), split, or a number from 0")
    add("--raw-rate", type=positive, metavar="HZ", help="what has no header is 16-bit mono at this rate")
    add("--speaker-map", type=Path, metavar="FILE", help="lines `file speaker`, for models that adapt")
    add("--skip-existing", action="store_true", help="with -o: leave out what is there already")
    add("--fail-fast", action="store_true", help="stop at the first file that fails")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="only results and failures")
    loud.add_argument("-v", "--verbose", action="store_true", help="also the model, speed and peak memory")
    parser.set_defaults(run=run)


def _formats(text: str) -> tuple[str, ...]:
    from asr_ligru.registry import nearest

    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in _FORMATS:
            raise argparse.ArgumentTypeError(f"unknown format {name!r}; {nearest(name, _FORMATS)}")
    return names


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _batch_size(text: str) -> int | None:
    return None if text == "auto" else positive(text)


def _channel(text: str) -> str:
    if text not in ("mix", "split") and not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected mix, split or a number from 0, got {text!r}")
    return text


def run(options: argparse.Namespace) -> int:
    """Decode all inputs; a bad one is named in the end and does not stop the rest."""
    _check(options)
    if not options.verbose:
        logging.getLogger("asr_ligru").setLevel(logging.WARNING)  # which backend runs is of no interest here
    if options.stream:
        from asr_ligru.cli import live

        return live.run(options)
    from asr_ligru.cli.decode_job import DecodeJob

    return DecodeJob(options).run()


def _check(options: argparse.Namespace) -> None:
    """Refuse, before anything heavy is loaded, what cannot work."""
    from asr_ligru.errors import ConfigError

    to_stdout = options.output == "-"
    if to_stdout and len(options.format) > 1:
        raise ConfigError("several formats cannot share standard output", fix="name a folder: -o DIR")
    if to_stdout and options.skip_existing:
        raise ConfigError("--skip-existing needs a folder", fix="name it: -o DIR")
    if "-" in options.audio and sys.stdin.isatty():
        raise ConfigError("standard input is a terminal", fix="pipe audio into it: arecord -r 16000 | asr-ligru ...")
