"""``asr-ligru export``: a model in one file, or in the format of another program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

_SUFFIXES = {"zip": ".zip", "onnx": ".onnx", "torchscript": ".pt", "speechbrain": "-speechbrain"}
_EPILOG = """
examples:
  asr-ligru export exp/an4_ctc/ligru-fbank40-char-seed1
  asr-ligru export exp/an4_ctc/ligru-fbank40-char-seed1 --to onnx \\
      --check mine.wav -o an4.onnx

zip: the model folder in one file, for every verb that takes a MODEL.
onnx and torchscript: the network from features to log probabilities, for any
length and batch, with a .json beside it.
speechbrain: a folder for EncoderASR.from_hparams. docs/export.md says more.
"""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "export",
        help="write a model as one file, or for onnxruntime, TorchScript or SpeechBrain",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run folder, its model folder or a .zip of it")
    parser.add_argument("--to", choices=tuple(_SUFFIXES), default="zip", help="format (%(default)s)")
    parser.add_argument("-o", "--out", type=Path, metavar="PATH", help="default: the model's name in this folder")
    parser.add_argument(
        "--check",
        type=Path,
        nargs="+",
        default=[],
        metavar="AUDIO",
        help="compare the exported network with the model on these; default: a tone and noise",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export, and print what was written and how near it is."""
    from asr_ligru.export.run import export
    from asr_ligru.safety import printable

    out: Path = options.out or Path(f"{_name(options.model)}{_SUFFIXES[options.to]}")
    check = export(options.model, options.to, out, options.check)
    print(printable(str(out)))
    if check is not None:
        figure = f"log probabilities differ by {check.difference:.1e} at most, texts are equal"
        print(f"checked on {check.recordings} recordings: {figure}", file=sys.stderr)
    return 0


def _name(model: Path) -> str:
    path = model.resolve()
    path = path.parent if path.name == "model" else path
    return path.stem if path.suffix == ".zip" else path.name
