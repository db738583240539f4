"""``asr-ligru prepare``, ``validate``, ``shards``, ``add-noise`` and ``export-kaldi``: corpora made ready."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from asr_ligru import resources


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    prepare = verbs.add_parser(
        "prepare",
        help="make manifests of a corpus",
        description="Make manifests of a corpus: one that is named here, a folder laid out as Kaldi has it, or any "
        "that lhotse knows. `asr-ligru ls corpus` has a line about each.",
    )
    prepare.add_argument("corpus", metavar="CORPUS", help=_corpora())
    prepare.add_argument("--root", type=Path, metavar="DIR", help="where the corpus is")
    prepare.add_argument("--out", type=Path, metavar="DIR", help="where manifests go (default: data/CORPUS)")
    prepare.add_argument(
        "--download", action="store_true", help="fetch it first, into DIR of --root (default: OUT/download)"
    )
    prepare.add_argument(
        "--part",
        action="append",
        default=[],
        metavar="NAME",
        help="fetch only this part, such as dev-clean; repeatable",
    )
    prepare.set_defaults(run=run_prepare)
    validate = verbs.add_parser("validate", help="check a prepared corpus: everything wrong, in one table")
    validate.add_argument("folder", type=Path, metavar="DIR", help="a prepared corpus, such as data/an4")
    validate.add_argument("--sample-rate-hz", type=int, metavar="N", help="what the recipe expects")
    validate.add_argument("--resample", action="store_true", help="other sample rates are converted, not errors")
    validate.add_argument("--channel", default="error", metavar="C", help="error, mix, 0 or 1 (%(default)s)")
    validate.add_argument(
        "--max-seconds", type=float, default=40.0, metavar="S", help="longest utterance to train on (%(default)s)"
    )
    validate.set_defaults(run=run_validate)
    shards = verbs.add_parser("shards", help="write a split as shards, for training sets larger than a disk")
    shards.add_argument("manifest", type=Path, metavar="MANIFEST", help="a split, such as data/librispeech/train.jsonl")
    shards.add_argument("-o", "--out", type=Path, metavar="DIR", required=True, help="a new folder")
    shards.add_argument("--shard-mb", type=float, default=500.0, metavar="MB", help="size of a shard (%(default)s)")
    shards.add_argument("--sample-rate-hz", type=int, default=16000, metavar="N", help="of the audio (%(default)s)")
    shards.add_argument("--seed", type=int, default=1, metavar="N", help="of the random order (%(default)s)")
    shards.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as corpus.resample=true")
    shards.set_defaults(run=run_shards)
    noise = verbs.add_parser("add-noise", help="write a split once more with noise, for tests")
    noise.add_argument("manifest", type=Path, metavar="MANIFEST", help="a split, such as data/an4/test.jsonl")
    noise.add_argument("out", type=Path, metavar="OUT", help="the noisy one, such as data/an4/test_10db.jsonl")
    noise.add_argument("--noise", type=Path, metavar="DIR", required=True, help="recordings of noise")
    noise.add_argument("--glob", default="*", metavar="NAMES", help="which of them, such as '1-*' (default: all)")
    noise.add_argument("--snr-db", type=float, default=10.0, metavar="DB", help="speech over noise (%(default)s)")
    noise.add_argument("--seed", type=int, default=1, metavar="N", help="which noise goes where (%(default)s)")
    noise.add_argument("--sample-rate-hz", type=int, default=16000, metavar="N", help="of the split (%(default)s)")
    noise.add_argument("--resample", action="store_true", help="convert other sample rates")
    noise.set_defaults(run=run_add_noise)
    export = verbs.add_parser("export-kaldi", help="write a split as a folder of Kaldi's, with features if wanted")
    export.add_argument("manifest", type=Path, metavar="MANIFEST", help="a split, such as data/an4/train.jsonl")
    export.add_argument("folder", type=Path, metavar="DIR", help="gets wav.scp, text, utt2spk, spk2utt and segments")
    export.add_argument("--wav", action="store_true", help="copy the audio as WAV: Kaldi reads nothing else")
    export.add_argument("--features", metavar="NAME", help="also feats and cmvn: a choice of `asr-ligru ls features`")
    export.add_argument("--compress", action="store_true", help="compressed features, a quarter of the size")
    export.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as corpus.resample=true")
    export.set_defaults(run=run_export_kaldi)


def _corpora() -> str:
    """Return the names of all corpora, in words."""
    names = sorted(path.parent.name for path in resources.folder("recipes").glob("*/prepare.py"))
    return ", ".join("lhotse:NAME" if name == "lhotse" else name for name in names)


def _bar() -> Any:
    """Count files on a terminal."""
    from tqdm import tqdm

    return tqdm(desc="reading", unit=" files", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)


def run_prepare(options: argparse.Namespace) -> int:
    """Prepare a corpus and print what was found."""
    from asr_ligru.data.prepare import prepare_corpus

    out = options.out or Path("data") / options.corpus.replace(":", "_")
    with _bar() as bar:
        report = prepare_corpus(
            options.corpus,
            options.root,
            out,
            download=options.download,
            parts=options.part,
            tick=bar.update,
            say=lambda line: print(line, file=sys.stderr),
        )
    print(report.render())
    return 0


def run_validate(options: argparse.Namespace) -> int:
    """Print every finding; 3 when there is one that training would stumble over."""
    from asr_ligru.data.validate import validate_corpus

    with _bar() as bar:
        report = validate_corpus(
            options.folder,
            sample_rate_hz=options.sample_rate_hz,
            resample=options.resample,
            channel=options.channel,
            max_seconds=options.max_seconds,
            tick=bar.update,
        )
    print(report.render())
    return 3 if report.has_errors else 0


def run_shards(options: argparse.Namespace) -> int:
    """Write shards, record what was left out beside them, and say what was written."""
    from asr_ligru.compose import compose
    from asr_ligru.data.manifest import read_manifest, write_bad_utterances
    from asr_ligru.data.shards import write_shards
    from asr_ligru.safety import printable

    utterances, corpus = read_manifest(options.manifest), compose(options.overrides).corpus
    size = int(options.shard_mb * 1e6)
    with _bar() as bar:
        index, bad = write_shards(
            utterances, options.out, corpus, options.sample_rate_hz, size, seed=options.seed, tick=bar.update
        )
    write_bad_utterances(options.out / "bad_utterances.jsonl", bad)
    print(f"{index.utterances} utterances in {len(index.shards)} shards; {len(bad)} could not be read")
    print(printable(f"train from them: corpus.shards={options.out}"))
    return 0


def run_add_noise(options: argparse.Namespace) -> int:
    """Write a noisy split and say what was written."""
    from asr_ligru.data.noisy import write_noisy
    from asr_ligru.safety import printable

    with _bar() as bar:
        count, bad = write_noisy(
            options.manifest,
            options.out,
            options.noise,
            options.snr_db,
            glob=options.glob,
            seed=options.seed,
            sample_rate_hz=options.sample_rate_hz,
            resample=options.resample,
            tick=bar.update,
        )
    for record in bad:
        print(printable(f"left out: {record.utt_id}: {record.reason}"))
    print(printable(f"{count} utterances at {options.snr_db:g} dB in {options.out}"))
    return 0


def run_export_kaldi(options: argparse.Namespace) -> int:
    """Write a folder that Kaldi's tools read."""
    from asr_ligru.compose import compose
    from asr_ligru.data.manifest import read_manifest
    from asr_ligru.integrations.kaldi import export_feats, export_folder

    chosen = [f"features={options.features}"] if options.features else []
    config = compose([*chosen, *options.overrides])
    with _bar() as bar:
        export = export_folder(read_manifest(options.manifest), options.folder, wav=options.wav, tick=bar.update)
        if options.features:
            export_feats(export, config.features, config.corpus, compress=options.compress, tick=bar.update)
    print(export.render())
    return 0
