"""``asr-ligru tune``: choose the weights of a decoder on the development set."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_ligru.cli.numbers import numbers, positive

if TYPE_CHECKING:
    from asr_ligru.decode.grids import Grid
    from asr_ligru.decode.rescore import RescoreGrid
    from asr_ligru.models.load import LoadedModel

_EPILOG = """
examples:
  asr-ligru lm train data/an4/train.jsonl -o exp/an4.arpa
  asr-ligru tune exp/an4_ctc/ligru-fbank40-char-seed1 --lm exp/an4.arpa
  asr-ligru decode exp/an4_ctc/ligru-fbank40-char-seed1 mine.wav \\
      --decode-config exp/an4_ctc/ligru-fbank40-char-seed1/tune/decode.json
  asr-ligru tune exp/an4_hybrid/ligru-fmllr-char-seed1 --lm exp/an4.arpa
  asr-ligru tune exp/an4_hybrid/ligru-fmllr-char-seed1 --lm exp/an4.arpa \\
      --rescore exp/an4_lm
  asr-ligru tune exp/an4_ctc/ligru-fbank40-char-seed* --decoder wfst \\
      --lm exp/an4.arpa --blank-penalties 0,1,2 -o exp/tuned

Every combination is tried on the outputs of one pass of the network. Written
are trials.tsv, surface.png (extra viz), and decode.json with the best weights;
for several models those with the fewest errors of all together.
"""

_OF_BEAM = ("lm_weights", "word_bonuses", "unknown_penalties", "beam_size")
_OF_WFST = ("acoustic_scales", "word_scores", "blank_penalties", "lexicon")


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "tune",
        help="choose the weights of a search on the development set",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("models", type=Path, nargs="+", metavar="MODEL", help="run folders, or exported model folders or .zip")
    add("--with", dest="others", type=Path, nargs="+", default=[], metavar="MODEL", help="average with these models")
    add("--lm", type=Path, nargs="+", metavar="ARPA", help="language models; the best one is chosen")
    add("--decoder", choices=("beam", "wfst"), help="(default: beam; wfst for hybrid models)")
    add("--split", default="dev", metavar="NAME", help="manifest of the corpus, never the test set (%(default)s)")
    add("--corpus", type=Path, metavar="DIR", help="the prepared corpus (default: that of the training)")
    add("-o", "--output", type=Path, metavar="DIR", help="where results go (default: MODEL/tune)")
    add("--lm-weights", type=numbers, metavar="X,...", help="beam: weights of the language model")
    add("--word-bonuses", type=numbers, metavar="X,...", help="beam: what each word adds")
    add("--unknown-penalties", type=numbers, metavar="X,...", help="beam: what each unknown word costs")
    add("--beam-size", type=int, metavar="N", help="beam: readings kept at each frame (32)")
    add("--acoustic-scales", type=numbers, metavar="X,...", help="wfst: weights of the frames' scores")
    add("--word-scores", type=numbers, metavar="X,...", help="wfst: what each word adds")
    add("--blank-penalties", type=numbers, metavar="X,...", help="wfst: what CTC's blank costs in each frame (0)")
    add("--lexicon", type=Path, metavar="FILE", help="wfst: words and their spelling")
    add("--rescore", type=Path, nargs="+", metavar="LM", help="neural language models that score readings again")
    add("--rescore-weights", type=numbers, metavar="X,...", help="what they count for")
    add("--rescore-bonuses", type=numbers, metavar="X,...", help="what each word adds then")
    add("--threads", type=positive, default=1, metavar="N", help="CPU threads (%(default)s)")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Tune, write what was found and print the best combinations."""
    import torch

    from asr_ligru.decode.choose import as_read_by
    from asr_ligru.decode.trials import SETTINGS, render_trials, write_trials
    from asr_ligru.decode.tune import development_set, tune
    from asr_ligru.models.combined import combine
    from asr_ligru.models.load import load_model
    from asr_ligru.safety import printable
    from asr_ligru.train.progress import ProgressBar

    logging.getLogger("asr_ligru.ops").setLevel(logging.WARNING)  # which backend runs is of no interest here
    torch.set_num_threads(options.threads)
    folder = _folder(options)
    models, others = (
        [as_read_by(load_model(path), options.decoder) for path in paths] for paths in (options.models, options.others)
    )
    if others:
        models = [combine([*models, *others])]
    grid = _grid(options, models[0])
    rescoring = _rescoring(options)
    utterances = development_set(models[0], options.split, options.corpus)
    steps = len(models) * len(utterances) + len(grid.lms) * len(grid.settings(models[0]))
    with ProgressBar("tune", steps, enabled=not options.quiet, leave=False) as bar:
        trials = tune(models, utterances, grid, rescoring, tick=bar.tick)
    print(render_trials(trials[:5]))
    write_trials(folder, trials, options.split)
    model_name, file = printable(str(options.models[0])), printable(str(folder / SETTINGS))
    print(f"\nasr-ligru decode {model_name} AUDIO --decode-config {file}")
    return 0


def _folder(options: argparse.Namespace) -> Path:
    from asr_ligru.errors import ConfigError

    if options.output is None and len(options.models) > 1:
        raise ConfigError("results of several models go into no one's folder", fix="name a folder: -o DIR")
    if options.output is None and not (options.models[0] / "model").is_dir():
        raise ConfigError("results do not go into a model folder", fix="name a folder: -o DIR")
    folder: Path = options.output or options.models[0] / "tune"
    return folder


def _grid(options: argparse.Namespace, model: LoadedModel) -> Grid:
    from asr_ligru.config import as_dict, build
    from asr_ligru.errors import ConfigError

    name = options.decoder or ("wfst" if model.hmm else "beam")
    wrong = [key for key in (_OF_WFST if name == "beam" else _OF_BEAM) if getattr(options, key) is not None]
    if wrong:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in wrong)
        raise ConfigError(f"--decoder {name} has no {flags}", fix="asr-ligru tune --help")
    grid = _beam_grid(options) if name == "beam" else _wfst_grid(options)
    for settings in grid.settings(model):
        build(type(settings), as_dict(settings))  # names what is out of range
    return grid


def _beam_grid(options: argparse.Namespace) -> Grid:
    from asr_ligru.decode.beam.settings import BeamSettings
    from asr_ligru.decode.grids import BeamGrid
    from asr_ligru.errors import ConfigError

    if not options.lm:
        raise ConfigError("there is nothing to weigh without a language model", fix="--lm FILE.arpa")
    given = _given(options, _OF_BEAM)
    base = BeamSettings(beam_size=given.pop("beam_size", BeamSettings().beam_size))
    return BeamGrid(tuple(options.lm), base=base, **given)


def _wfst_grid(options: argparse.Namespace) -> Grid:
    from asr_ligru.decode.grids import WfstGrid

    return WfstGrid(tuple(options.lm or [None]), **_given(options, _OF_WFST))


def _rescoring(options: argparse.Namespace) -> RescoreGrid | None:
    from asr_ligru.decode.rescore import RescoreGrid
    from asr_ligru.errors import ConfigError

    given = {name: getattr(options, f"rescore_{name}") for name in ("weights", "bonuses")}
    given = {name: values for name, values in given.items() if values is not None}
    if not options.rescore:
        if given:
            raise ConfigError("weights of rescoring without a model that scores", fix="--rescore LM")
        return None
    grid = RescoreGrid(tuple(options.rescore), **given)
    grid.choices()  # names what is out of range
    return grid


def _given(options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}
