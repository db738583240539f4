"""``asr-ligru fmllr``: a GMM-HMM trained, features adapted to speakers, and words and phones found in time."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_ligru.cli.numbers import positive
from asr_ligru.errors import ConfigError

if TYPE_CHECKING:
    from asr_ligru.config import CorpusConfig
    from asr_ligru.hmm.manifests import Outcome
    from asr_ligru.hmm.run import Done
    from asr_ligru.hmm.stages import Trained
    from asr_ligru.hmm.train import Progress

_EPILOG = """
examples:
  asr-ligru fmllr train data/an4 exp/an4_fmllr
  asr-ligru fmllr train data/an4 exp/an4_small --set sat_gauss=1000
  asr-ligru fmllr align exp/an4_fmllr data/an4/dev.jsonl exp/an4_times
  asr-ligru fmllr apply exp/an4_fmllr data/an4/test.jsonl exp/an4_test_feats

train goes on where it was stopped; its settings: HmmConfig in
asr_ligru/config.py.
"""


def add_to(verbs: Any) -> None:
    """Add the verb and its three kinds of work."""
    parser = verbs.add_parser(
        "fmllr",
        help="train a GMM-HMM, adapt features to speakers, align words and phones",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    works = parser.add_subparsers(dest="work", metavar="WORK", required=True)
    train = works.add_parser("train", help="train on a prepared corpus")
    train.add_argument("corpus", type=Path, metavar="CORPUS", help="a prepared corpus, such as data/an4")
    train.add_argument("out", type=Path, metavar="OUT", help="folder of the stages and the model")
    train.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="sizes of the models")
    train.add_argument("--splits", default="train", metavar="NAMES", help="what to train on (%(default)s)")
    train.add_argument("--lexicon", type=Path, metavar="FILE", help="default: CORPUS/lexicon.txt, else characters")
    times = "CTM of phones, or *.times.jsonl of the demo corpus: alignments of these utterances keep to it"
    train.add_argument("--times", type=Path, metavar="FILE", help=times)
    train.add_argument("--sample-rate-hz", type=int, default=16000, metavar="N", help="of the audio (%(default)s)")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (%(default)s)")
    train.set_defaults(run=run_train)
    align = works.add_parser("align", help="write CTM and TextGrid files")
    align.set_defaults(run=run_align)
    apply = works.add_parser("apply", help="write adapted features and transforms as Kaldi archives")
    apply.add_argument("--with-text", action="store_true", help="adapt by the manifest's texts, as for training data")
    apply.set_defaults(run=run_apply)
    for work in (align, apply):
        work.add_argument("model", type=Path, metavar="MODEL", help="OUT of `fmllr train`")
        work.add_argument("manifest", type=Path, metavar="MANIFEST", help="such as data/an4/dev.jsonl")
        work.add_argument("out", type=Path, metavar="OUT", help="folder to write into")
    for work in (train, align, apply):
        work.add_argument(
            "--threads", type=positive, default=1, metavar="N", help="more pay on idle cores only (%(default)s)"
        )
        work.add_argument("--resample", action="store_true", help="convert audio of another sample rate")
        work.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def run_train(options: argparse.Namespace) -> int:
    """Train and print a line for each stage."""
    from dataclasses import replace

    from asr_ligru.config import HmmConfig, build
    from asr_ligru.data.manifest import read_manifest
    from asr_ligru.hmm.known_times import read_phone_times
    from asr_ligru.hmm.run import FEATURES, train_system
    from asr_ligru.hmm.stages import ITERATIONS
    from asr_ligru.text.lexicon import Lexicon
    from asr_ligru.train.progress import ProgressBar

    config = build(HmmConfig, _settings(options.set))
    lexicon = options.lexicon or options.corpus / "lexicon.txt"
    utterances = [u for split in options.splits.split(",") for u in read_manifest(options.corpus / f"{split}.jsonl")]
    began = time.monotonic()

    def finished(name: str, trained: Trained) -> None:
        gmms = trained.model.gmms
        sizes = f"{gmms.num_pdfs} tied states, {gmms.gauss.num_gauss} Gaussians"
        bar.write(f"{name}: {sizes}, {trained.log_like:.3f} nats/frame, {time.monotonic() - began:.0f} s")

    with ProgressBar("fmllr", sum(ITERATIONS.values()), enabled=not options.quiet) as bar:
        done = train_system(
            options.out,
            utterances,
            Lexicon.read(lexicon) if options.lexicon or lexicon.is_file() else None,
            _corpus(options, options.corpus),
            features=replace(FEATURES, sample_rate_hz=options.sample_rate_hz),
            config=config,
            seed=options.seed,
            times=options.times and read_phone_times(options.times),
            watch=lambda progress: _show(bar, progress),
            finished=finished,
        )
    _report(done, options.out)
    if config.max_hours:
        used = len(done.material.utterances)
        print(f"trained on {used} of {len(utterances)} utterances: max_hours={config.max_hours:g}")
    if options.times:
        known = sum(near is not None for near in done.material.near)
        print(f"phones of {known} of {len(done.material.utterances)} utterances at the times of {options.times}")
    print(f"model: {options.out / 'model'}")
    return 0


def run_align(options: argparse.Namespace) -> int:
    """Align; 1 when some utterance could not be."""
    from asr_ligru.hmm.manifests import align_manifest

    with _reading(options) as bar:
        corpus = _corpus(options, options.manifest.parent)
        done = align_manifest(options.model, options.manifest, options.out, corpus, tick=bar.tick)
    print(f"{done.num_utterances} utterances aligned: words.ctm, phones.ctm and textgrid/ in {options.out}")
    return _report_adapted(done, options.out)


def run_apply(options: argparse.Namespace) -> int:
    """Write adapted features; 1 when some utterance was left out."""
    from asr_ligru.hmm.manifests import apply_manifest

    with _reading(options) as bar:
        corpus = _corpus(options, options.manifest.parent)
        done = apply_manifest(
            options.model, options.manifest, options.out, corpus, with_text=options.with_text, tick=bar.tick
        )
    print(f"{done.num_utterances} utterances: feats.scp and trans.scp in {options.out}")
    return _report_adapted(done, options.out)


def _settings(pairs: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            found[key] = float(value) if "." in value or "e" in value else int(value)
        except ValueError as error:
            raise ConfigError(f"expected KEY=NUMBER, got {pair!r}", fix="asr-ligru fmllr train --help") from error
    return found


def _corpus(options: argparse.Namespace, folder: Path) -> CorpusConfig:
    """Return how audio is read; sets the number of threads on the way to the first work."""
    import torch

    from asr_ligru.config import CorpusConfig

    torch.set_num_threads(options.threads)
    return CorpusConfig(name=folder.name, dir=str(folder), resample=options.resample)


def _show(bar: Any, progress: Progress) -> None:
    from asr_ligru.hmm.stages import ITERATIONS

    stages = list(ITERATIONS)
    before = sum(ITERATIONS[name] for name in stages[: stages.index(progress.stage)])
    note = f"{progress.stage} {progress.log_like:.2f} nats/frame"
    if progress.unaligned:
        note += f", {progress.unaligned} not aligned"
    bar.advance_to(before + progress.iteration, note)


def _reading(options: argparse.Namespace) -> Any:
    from asr_ligru.data.manifest import read_manifest
    from asr_ligru.train.progress import ProgressBar

    return ProgressBar("reading", len(read_manifest(options.manifest)), enabled=not options.quiet, leave=False)


def _report_adapted(done: Outcome, out: Path) -> int:
    """Print how speakers were adapted and what was left out; return 1 if something was."""
    estimate = done.estimate
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(estimate.kinds).most_common())
    gain = float(estimate.improvement.sum() / estimate.count.sum().clamp(min=1.0))
    print(f"{len(estimate.kinds)} speakers adapted ({kinds}), {gain:+.2f} nats/frame")
    return _report(done, out)


def _report(done: Done | Outcome, out: Path) -> int:
    """Print what was left out; return 1 if something was."""
    from asr_ligru.hmm.vocabulary import render_missing
    from asr_ligru.safety import printable

    if done.missing:
        print(render_missing(done.missing))
    if done.bad:
        print(f"{len(done.bad)} utterances left out, in {out / 'bad_utterances.jsonl'}; the first:", file=sys.stderr)
        for bad in done.bad[:3]:
            print(f"  {printable(bad.utt_id)}: {printable(bad.reason)}", file=sys.stderr)
    return 1 if done.bad else 0
