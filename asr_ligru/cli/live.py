"""``asr-ligru decode MODEL - --stream``: text while somebody speaks."""

from __future__ import annotations

import argparse
import os
import sys

from asr_ligru.errors import ConfigError

_OTHERS: dict[str, object] = {
    "format": ("txt",),
    "output": "-",
    "others": [],
    "decoder": None,
    "lm": None,
    "lexicon": None,
    "decode_config": None,
    "hot_words": (),
    "acoustic_scale": None,
    "word_score": None,
    "rescore": None,
    "rescore_weight": None,
    "rescore_bonus": None,
    "n_best": 1,
    "channel": "mix",
    "speaker_map": None,
}


def run(options: argparse.Namespace) -> int:
    """Print what is heard, on a terminal over and over in one line, else a line for each change.

    Such a line begins with "partial" or "final" and a tab; with ``--quiet`` there are only final ones, without that.
    """
    _check(options)
    from asr_ligru.decode.choose import as_read_by
    from asr_ligru.decode.streaming import stream
    from asr_ligru.models.load import load_model
    from asr_ligru.safety import printable

    model = as_read_by(load_model(options.model), "greedy")
    on_terminal = sys.stdout.isatty()
    for update in stream(model, sys.stdin.buffer, raw_rate_hz=options.raw_rate):
        text = printable(update.segment.text)
        if on_terminal:
            print(_fitting(text, update.final), end="\n" if update.final else "", flush=True)
        elif not options.quiet:
            print(f"{'final' if update.final else 'partial'}\t{text}", flush=True)
        elif update.final:
            print(text, flush=True)
    return os.EX_OK


def _fitting(text: str, final: bool) -> str:
    """Return what replaces a terminal's line; of a partial text only the end that fits."""
    shown = text if final else text[-(os.get_terminal_size().columns - 1) :]
    return f"\r\x1b[K{shown}"


def _check(options: argparse.Namespace) -> None:
    if options.audio != ["-"]:
        raise ConfigError("--stream reads standard input", fix="arecord | asr-ligru decode MODEL - --stream")
    given = [name for name, plain in _OTHERS.items() if getattr(options, name) != plain]
    if given:
        flags = ", ".join(f"--{'with' if name == 'others' else name.replace('_', '-')}" for name in given)
        raise ConfigError(f"--stream decodes greedily to text: it does not go with {flags}", fix="leave that out")
