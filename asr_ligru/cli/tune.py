"""``asr-ligru tune``: choose the weights of a decoder on the development set."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_ligru.decode.tune import Grid

_EPILOG = """
examples:
  asr-ligru lm train data/an4/train.jsonl -o exp/an4.arpa
  asr-ligru tune exp/an4_ctc/ligru-fbank40-char-seed1 --lm exp/an4.arpa
  asr-ligru decode exp/an4_ctc/ligru-fbank40-char-seed1 mine.wav \\
      --decode-config exp/an4_ctc/ligru-fbank40-char-seed1/tune/decode.json

Every combination is tried on the outputs of one pass of the network. Written are
trials.tsv, surface.png (extra viz), and decode.json with the best weights.
"""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "tune",
        help="choose the weights of a beam search on the development set",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a run folder, or an exported model folder or .zip")
    add("--lm", type=Path, nargs="+", required=True, metavar="ARPA", help="language models; the best one is chosen")
    add("--decoder", choices=("beam",), default="beam", help="(default: %(default)s)")
    add("--split", default="dev", metavar="NAME", help="manifest of the corpus, never the test set (%(default)s)")
    add("--corpus", type=Path, metavar="DIR", help="the prepared corpus (default: that of the training)")
    add("-o", "--output", type=Path, metavar="DIR", help="where results go (default: MODEL/tune)")
    add("--lm-weights", type=_numbers, metavar="X,...", help="weights of the language model")
    add("--word-bonuses", type=_numbers, metavar="X,...", help="what each word adds")
    add("--unknown-penalties", type=_numbers, metavar="X,...", help="what each unknown word costs")
    add("--beam-size", type=int, default=32, metavar="N", help="readings kept at each frame (%(default)s)")
    add("--threads", type=int, default=1, metavar="N", help="CPU threads (%(default)s)")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, got {text[:40]!r}") from None


def run(options: argparse.Namespace) -> int:
    """Tune, write what was found and print the best combinations."""
    import torch

    from asr_ligru.decode.trials import SETTINGS, render_trials, write_trials
    from asr_ligru.decode.tune import development_set, tune
    from asr_ligru.models.load import load_model
    from asr_ligru.safety import printable
    from asr_ligru.train.progress import ProgressBar

    logging.getLogger("asr_ligru.ops").setLevel(logging.WARNING)  # which backend runs is of no interest here
    torch.set_num_threads(options.threads)
    grid, folder = _grid(options), _folder(options)
    model = load_model(options.model)
    utterances = development_set(model, options.split, options.corpus)
    with ProgressBar("tune", len(utterances) + grid.size, enabled=not options.quiet, leave=False) as bar:
        trials = tune(model, utterances, grid, tick=bar.tick)
    print(render_trials(trials[:5]))
    write_trials(folder, trials, options.split)
    model_name, file = printable(str(options.model)), printable(str(folder / SETTINGS))
    print(f"\nasr-ligru decode {model_name} AUDIO --decode-config {file}")
    return 0


def _folder(options: argparse.Namespace) -> Path:
    from asr_ligru.errors import ConfigError

    if options.output is None and not (options.model / "model").is_dir():
        raise ConfigError("results do not go into a model folder", fix="name a folder: -o DIR")
    folder: Path = options.output or options.model / "tune"
    return folder


def _grid(options: argparse.Namespace) -> Grid:
    from asr_ligru.config import as_dict, build
    from asr_ligru.decode.beam.settings import BeamSettings
    from asr_ligru.decode.tune import Grid

    given = {name: getattr(options, name) for name in ("lm_weights", "word_bonuses", "unknown_penalties")}
    grid = Grid(
        tuple(options.lm),
        base=BeamSettings(beam_size=options.beam_size),
        **{name: values for name, values in given.items() if values is not None},
    )
    for settings in grid.settings():
        build(BeamSettings, as_dict(settings))  # names what is out of range
    return grid
