"""``asr-ligru lm``: language models, n-gram ones and neural ones, estimated, measured and checked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_ligru.cli import neural_lm

if TYPE_CHECKING:
    from asr_ligru.text.sentences import Speller

_EPILOG = """
examples:
  asr-ligru lm train data/an4/train.jsonl -o exp/an4.arpa --order 3
  asr-ligru lm train texts.txt -o exp/chars.arpa --units char --order 6
  asr-ligru lm ppl exp/an4.arpa data/an4/dev.jsonl
  asr-ligru lm check exp/an4.arpa
  asr-ligru lm train data/an4/train.jsonl --dev data/an4/dev.jsonl \\
      -o exp/an4_lm --neural --cell gru
  asr-ligru lm ppl exp/an4_lm data/an4/test.jsonl
  asr-ligru lm sample exp/an4_lm --n 5 --seed 1 --temperature 1.0

ARPA files of other programs, such as KenLM's lmplz or SRILM, can be used as
they are.
"""


def add_to(verbs: Any) -> None:
    """Add the verb and its kinds of work."""
    parser = verbs.add_parser(
        "lm",
        help="train, measure, check and sample language models, n-gram and neural",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    works = parser.add_subparsers(dest="work", metavar="WORK", required=True)
    train = works.add_parser("train", help="estimate n-grams by interpolated modified Kneser-Ney, or train a network")
    train.add_argument("text", nargs="+", type=Path, metavar="TEXT", help="manifests (.jsonl) or plain text files")
    train.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help="the ARPA file to write, or a folder"
    )
    train.add_argument("--order", type=int, metavar="N", help="longest n-gram, 1 to 6 (default: 3)")
    units = "of what (default: word; with --neural char)"
    train.add_argument("--units", choices=("word", "char", "bpe"), help=units)
    estimators = "lmplz is KenLM's program, for texts larger than memory (default: lmplz if installed, else own)"
    train.add_argument("--estimator", choices=("own", "lmplz"), help=estimators)
    train.set_defaults(run=run_train)
    neural_lm.add_training_options(train)
    ppl = works.add_parser("ppl", help="print perplexity and the share of unknown words")
    ppl.add_argument("lm", type=Path, metavar="LM", help="an ARPA file, or the folder of a neural model")
    ppl.add_argument("text", nargs="+", type=Path, metavar="TEXT", help="manifests (.jsonl) or plain text files")
    ppl.set_defaults(run=run_ppl)
    check = works.add_parser("check", help="read a language model and say what is wrong with it")
    check.add_argument("lm", type=Path, metavar="LM", help="an ARPA file, or the folder of a neural model")
    check.set_defaults(run=run_check)
    neural_lm.add_sample(works)
    for work in (train, ppl):
        work.add_argument("--profile", default="none", help="normalisation, such as lower-nopunct (%(default)s)")
        work.add_argument("--model", type=Path, metavar="MODEL", help="the model whose pieces are meant by bpe")


def run_train(options: argparse.Namespace) -> int:
    """Estimate, write and say how large it became."""
    from asr_ligru.errors import ConfigError

    if options.neural:
        if options.estimator:
            raise ConfigError("a network is not estimated by counting", fix="leave --estimator or --neural out")
        return neural_lm.run_train(options)
    neural_lm.refuse_training_options(options)
    from asr_ligru.safety import printable
    from asr_ligru.text.arpa import read_counts

    options.output.parent.mkdir(parents=True, exist_ok=True)
    note = _estimate(options, options.units or "word", 3 if options.order is None else options.order)
    sizes = ", ".join(f"{count} {n}-grams" for n, count in enumerate(read_counts(options.output), start=1))
    print(f"{printable(str(options.output))}: {sizes}\n{note}".rstrip())
    return 0


def _estimate(options: argparse.Namespace, units: str, order: int) -> str:
    """Write the model and return what there is to say of how it was made."""
    from asr_ligru.safety import printable
    from asr_ligru.text.arpa import write_arpa
    from asr_ligru.text.kneser_ney import estimate
    from asr_ligru.text.lmplz import write_lmplz

    sentences = _sentences(options, _speller(options, units))
    if program := _lmplz(options.estimator):
        size = sum(path.stat().st_size for path in options.text if path.is_file())
        write_lmplz(options.output, sentences, order, units, program=program, text_bytes=size)
        return f"estimated by {printable(program)}"
    made = estimate(sentences, order, units)
    write_arpa(options.output, made.model)
    if not made.fallback:
        return ""
    orders = ", ".join(f"{n}-grams" for n in made.fallback)
    return f"too little text to estimate the discounts of {orders}: 0.5, 1 and 1.5 taken, as lmplz would"


def _lmplz(estimator: str | None) -> str:
    """Return the path of lmplz where it is wanted, "" where our own estimate is."""
    from asr_ligru.errors import EnvironmentError_
    from asr_ligru.text.lmplz import find_lmplz

    program = "" if estimator == "own" else find_lmplz()
    if estimator == "lmplz" and not program:
        fix = "build KenLM (github.com/kpu/kenlm) and put its lmplz there, or --estimator own"
        raise EnvironmentError_("no program lmplz on the PATH", fix=fix)
    return program or ""


def run_ppl(options: argparse.Namespace) -> int:
    """Print perplexities."""
    if options.lm.is_dir():
        return neural_lm.run_ppl(options)
    from asr_ligru.errors import DataError
    from asr_ligru.text.arpa import read_arpa
    from asr_ligru.text.ngram import perplexity

    model = read_arpa(options.lm)
    found = perplexity(model, _sentences(options, _speller(options, model.units)))
    if not found.sentences:
        raise DataError("no words in the text", where=", ".join(map(str, options.text)))
    unit = {"word": "words", "char": "characters", "bpe": "pieces"}[model.units]
    print(f"perplexity                 {found.including_unknown:.2f}")
    print(f"without unknown {unit:<11}{found.excluding_unknown:.2f}")
    print(f"unknown {unit:<19}{100 * found.unknown_rate:.2f} %  ({found.unknown} of {found.words})")
    print(f"sentences                  {found.sentences}")
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Print what a model holds; what is wrong with an ARPA file is an error with its lines."""
    if options.lm.is_dir():
        return neural_lm.run_check(options)
    from asr_ligru.text.arpa import read_arpa
    from asr_ligru.text.ngram import UNK

    model = read_arpa(options.lm)
    for n, grams in enumerate(model.orders, start=1):
        print(f"{n}-grams      {len(grams)}")
    print(f"units        {model.units}")
    if (UNK,) in model.orders[0]:
        print(f"<unk>        log10 probability {model.orders[0][UNK,][0]:.4f}")
    else:
        print("<unk>        none: unknown words are all but impossible")
    print(f"sum          {model.unigram_sum():.6f} of the one-word probabilities; 1 is right")
    return 0


def _speller(options: argparse.Namespace, units: str) -> Speller:
    from asr_ligru.models.folder import read_model_folder
    from asr_ligru.text.sentences import speller

    folder = options.model
    if units != "bpe" or folder is None:
        return speller(units)
    return speller(units, read_model_folder(folder / "model" if (folder / "model").is_dir() else folder).tokenizer)


def _sentences(options: argparse.Namespace, speller: Speller) -> Iterator[list[str]]:
    from asr_ligru.text.sentences import read_sentences, spell

    for path in options.text:
        for words in read_sentences(path, options.profile):
            yield spell(words, speller)
