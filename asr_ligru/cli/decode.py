"""``asr-ligru decode``: the words of audio files."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

_EPILOG = """
examples:
  asr-ligru decode exp/an4_ctc/ligru-fbank40-char-seed1 mine.wav another.flac
  asr-ligru decode exp/an4_ctc/ligru-fbank40-char-seed1 recordings/ > texts.txt

With one file its text is printed; with several, each line is the file, a tab and its
text. Exit code 0 when all were decoded, 1 when some failed.
"""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "decode",
        help="print what is said in audio files",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run folder or its model folder")
    parser.add_argument("audio", nargs="+", metavar="AUDIO", help="audio files, or folders of them")
    parser.add_argument("--batch-frames", type=int, default=24000, help="most frames in a padded batch (%(default)s)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Decode all files; a bad one is named and does not stop the rest."""
    from asr_ligru.decode.files import decode_files
    from asr_ligru.models.load import load_model
    from asr_ligru.safety import printable

    logging.getLogger("asr_ligru").setLevel(logging.WARNING)  # which backend runs is of no interest here
    model = load_model(options.model)
    show_bar = not options.quiet and sys.stderr.isatty()
    hyps, timing = decode_files(model, options.audio, batch_frames=options.batch_frames, show_bar=show_bar)
    for hyp in hyps:
        name = "" if len(hyps) == 1 else f"{printable(hyp.utt_id)}\t"
        if hyp.status == "ok":
            print(f"{name}{printable(hyp.text)}")
    failed = [hyp for hyp in hyps if hyp.status != "ok"]
    for hyp in failed:
        print(f"failed: {printable(hyp.utt_id)}: {printable(hyp.status)}", file=sys.stderr)
    if len(hyps) > 1 and not options.quiet:
        rate = f"{timing.audio_s:.0f} s of audio, real-time factor {timing.rtf:.4f}"
        print(f"{len(hyps) - len(failed)} of {len(hyps)} files decoded, {rate}", file=sys.stderr)
    sys.stdout.flush()
    return os.EX_OK if not failed else 1
