"""The neural half of ``asr-ligru lm``: train, measure, check, sample."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_ligru.cli.numbers import positive

if TYPE_CHECKING:
    from asr_ligru.lm.model import NeuralLm
    from asr_ligru.text.tokenizer import Tokenizer

# What only --neural has: keyword of ``LmConfig`` and of its cell, type, what the help says.
_NUMBERS = (
    ("hidden_size", int, "units of a layer (default: 256)"),
    ("num_layers", int, "layers (default: 1)"),
    ("dropout", float, "share left out below and above the recurrence, 0 to 0.95 (default: 0.5)"),
    ("epochs", int, "at most (default: 60)"),
    ("early_stopping", int, "epochs without a better development set that end it (default: 6)"),
    ("lr", float, "learning rate, halved where the development set gains nothing (default: 0.004)"),
    ("held_out", float, "share of the sentences taken for development without --dev (default: 0.1)"),
    ("vocab_size", int, "pieces of --units bpe without --model (default: 100)"),
    ("seed", int, "draws weights, order and dropout (default: 1)"),
)
_MAX_SHOWN = 10


def add_training_options(train: argparse.ArgumentParser) -> None:
    """Add what a network needs beside what n-grams do."""
    group = train.add_argument_group("a network instead of n-grams")
    group.add_argument("--neural", action="store_true", help="train one over characters, or --units bpe")
    group.add_argument(
        "--cell", metavar="NAME", help="its cell, as in `asr-ligru ls`, in one direction (default: ligru)"
    )
    dev = "development texts, which end the training"
    group.add_argument("--dev", nargs="+", type=Path, metavar="TEXT", help=dev)
    for name, kind, text in _NUMBERS:
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="X" if kind is float else "N", help=text)
    group.add_argument("--device", metavar="D", help="cpu, cuda or cuda:N (default: cpu)")
    group.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: 1)")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def add_sample(works: Any) -> None:
    """Add the work of drawing sentences."""
    parser = works.add_parser("sample", help="print sentences drawn from a neural model")
    parser.add_argument("lm", type=Path, metavar="LM", help="the folder of a neural model")
    parser.add_argument("--n", type=int, default=5, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, other sentences (%(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, metavar="X", help="above 0; lower is less daring (%(default)s)"
    )
    parser.add_argument("--max-tokens", type=int, default=500, metavar="N", help="where one is cut (%(default)s)")
    parser.set_defaults(run=run_sample)


def refuse_training_options(options: argparse.Namespace) -> None:
    """Raise a ConfigError where an option for networks is given and --neural is not."""
    from asr_ligru.errors import ConfigError

    names = ("cell", "dev", "device", "threads", *(name for name, _, _ in _NUMBERS))
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    if given:
        raise ConfigError(f"n-grams have no {', '.join(given)}", fix="add --neural, or leave them out")


def run_train(options: argparse.Namespace) -> int:
    """Train, and say how well the result predicts the development texts."""
    import torch

    from asr_ligru.cli.decode_job import choose_device
    from asr_ligru.compose import compose
    from asr_ligru.errors import ConfigError
    from asr_ligru.lm.model import FOLDER
    from asr_ligru.lm.settings import lm_config
    from asr_ligru.lm.train import Texts, train_lm
    from asr_ligru.safety import printable
    from asr_ligru.train.interrupt import Interrupted

    if options.order is not None or options.units == "word":
        fix = "leave them out: it reads whole sentences as characters, or --units bpe"
        raise ConfigError("a network has no --order, and no --units word", fix=fix)
    if options.output.exists() and not options.output.is_dir():
        raise ConfigError("-o names a file, expected a folder", where=printable(str(options.output)))
    given = {name: getattr(options, name) for name, _, _ in _NUMBERS if getattr(options, name) is not None}
    cell = compose([f"cell={options.cell or 'ligru'}"]).cell
    config = lm_config(cell, {**given, "units": options.units or "char"})
    _quiet()
    torch.set_num_threads(options.threads or 1)
    read = _texts(options.text, options.profile)
    texts = Texts(read, _texts(options.dev, options.profile)) if options.dev else None
    try:
        lm, facts = train_lm(
            config,
            texts or Texts.held_out(read, config.held_out, config.seed),
            options.output,
            tokenizer=_tokenizer(options.model) if config.units == "bpe" and options.model else None,
            device=choose_device(options.device or "cpu"),
            progress=not options.quiet,
        )
    except Interrupted:
        print("stopped; the same command goes on from there", file=sys.stderr)
        raise
    _print_model(lm, facts)
    print(f"written                    {printable(str(options.output / FOLDER))}")
    return 0


def run_ppl(options: argparse.Namespace) -> int:
    """Print perplexities per word and per character."""
    from asr_ligru.safety import printable

    lm, _ = _read(options.lm)
    found = lm.perplexity(_texts(options.text, options.profile))
    count = sum(found.unknown.values())
    shown = ", ".join(f"{printable(char)!r} x {n}" for char, n in found.unknown.most_common(_MAX_SHOWN))
    more = ", ..." if len(found.unknown) > _MAX_SHOWN else ""
    print(f"perplexity                 {found.per_word:.2f}  (per word)")
    print(f"per character              {found.per_character:.3f}")
    print(f"unknown characters         {100 * count / found.characters:.2f} %  ({count} of {found.characters})")
    if count:
        print(f"                           {shown}{more}")
    print(f"sentences                  {found.sentences}")
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Print what a model's folder holds."""
    _print_model(*_read(options.lm))
    return 0


def run_sample(options: argparse.Namespace) -> int:
    """Print sentences, one a line."""
    from asr_ligru.lm.sample import sample

    lm, _ = _read(options.lm)
    limits = {"seed": options.seed, "temperature": options.temperature, "max_tokens": options.max_tokens}
    drawn = sample(lm, options.n, **limits)
    for sentence in drawn:
        print(sentence.text)
    if cut := sum(not sentence.complete for sentence in drawn):
        print(f"{cut} of {len(drawn)} were cut at {options.max_tokens} tokens", file=sys.stderr)
    return 0


def _read(path: Path) -> tuple[NeuralLm, dict[str, Any]]:
    from asr_ligru.lm.model import read_lm

    _quiet()
    return read_lm(path)


def _quiet() -> None:
    logging.getLogger("asr_ligru.ops").setLevel(logging.WARNING)  # which backend runs is of no interest here


def _print_model(lm: NeuralLm, facts: dict[str, Any]) -> None:
    cell = lm.config.cell
    size = f"{cell.num_layers} x {cell.hidden_size}, {facts['parameters'] / 1e6:.2f} M parameters"
    print(f"network                    {cell.name} {size}")
    print(f"tokens                     {lm.tokenizer.vocab_size}, {lm.config.units}")
    print(
        f"trained on                 {facts['sentences']} sentences, best of {facts['epochs']} epochs: {facts['epoch']}"
    )
    print(f"development perplexity     {facts['dev_perplexity_word']:.2f}  (per word)")
    print(f"per character              {facts['dev_perplexity_character']:.3f}")


def _tokenizer(model: Path) -> Tokenizer:
    from asr_ligru.models.folder import read_model_folder
    from asr_ligru.text.sentences import speller
    from asr_ligru.text.tokenizer import BpeTokenizer

    found = read_model_folder(model / "model" if (model / "model").is_dir() else model).tokenizer
    speller("bpe", found)  # refuses another kind
    return BpeTokenizer(found.files()["spm.model"], "unk")


def _texts(paths: list[Path], profile: str) -> list[str]:
    from asr_ligru.text.sentences import read_sentences

    return [" ".join(words) for path in paths for words in read_sentences(path, profile)]
