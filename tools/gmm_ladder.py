"""Word error rates of the GMM-HMM alone, stage by stage, next to Kaldi's: what adaptation is worth.

    python tools/gmm_ladder.py data/an4 exp/an4_ladder                     # train on train, score dev
    python tools/gmm_ladder.py data/an4 exp/an4_final --train train,dev --score test
    python tools/gmm_ladder.py data/fsdd/loso_theo exp/ladder_theo --score test --sample-rate-hz 8000

The decoder's weights below were chosen on the development speakers of AN4. Kaldi's figures are printed beside AN4 only.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru.config import CorpusConfig, HmmConfig
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.hmm.chain import train_chain
from asr_ligru.hmm.decode_words import SearchOptions, Spoken, Unigram, WordLoop
from asr_ligru.hmm.material import Material, load
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.run import FEATURES
from asr_ligru.hmm.stages import Trained, project
from asr_ligru.hmm.system import System
from asr_ligru.hmm.vocabulary import Vocabulary, character_lexicon
from asr_ligru.score.wer import kaldi_line, score
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.typing import BadUtterance, Utterance

KALDI = {"mono": 10.61, "tri": 10.48, "lda_mllt": 11.38, "sat, not adapted": 9.06, "sat, adapted": 5.95}  # AN4, test
WEIGHTS = {"mono": SearchOptions(0.0667, 0.0), "tri": SearchOptions(0.05, 0.0), "lda_mllt": SearchOptions(0.05, -2.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="a prepared corpus; characters are the units without lexicon.txt")
    parser.add_argument("out", type=Path, help="folder of the stages; what is there is not trained again")
    parser.add_argument("--train", default="train", help="splits to train on (%(default)s)")
    parser.add_argument("--score", default="dev", help="split to score (%(default)s)")
    parser.add_argument("--sample-rate-hz", type=int, default=16000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ladder = Ladder(options.corpus, options.train.split(","), options.score, options.sample_rate_hz)
    ladder.climb(options.out, options.seed)


class Ladder:
    """A corpus and how its scored split is printed."""

    def __init__(self, corpus: Path, train: Sequence[str], scored: str, sample_rate_hz: int) -> None:
        self.config = HmmConfig()
        self.features = replace(FEATURES, sample_rate_hz=sample_rate_hz)
        self.kaldi = KALDI if corpus.name == "an4" else {}
        texts = [u for split in train for u in read_manifest(corpus / f"{split}.jsonl")]
        lexicon = corpus / "lexicon.txt"
        self.vocabulary = Vocabulary(
            Lexicon.read(lexicon) if lexicon.exists() else character_lexicon(u.text for u in texts)
        )
        self.train = self._read(corpus, texts)
        self.scored = self._read(corpus, read_manifest(corpus / f"{scored}.jsonl"))
        words = dict(self.vocabulary.entries)
        self.unigram = Unigram.of((u.text for u in self.train.utterances), words)
        print(f"{len(self.train.utterances)} utterances to train on, {len(self.scored.utterances)} scored")

    def _read(self, corpus: Path, utterances: Sequence[Utterance]) -> Material:
        bad: list[BadUtterance] = []
        source = FeatureSource(self.features, CorpusConfig(dir=str(corpus)), corpus / "features")
        material = load(utterances, source, self.vocabulary, bad)
        for record in bad:
            print(f"left out: {record.utt_id}: {record.reason}")
        return material

    def climb(self, out: Path, seed: int) -> None:
        """Train the stages and print a line for each."""
        began, cpu = time.monotonic(), time.process_time()

        def finished(name: str, trained: Trained) -> None:
            size = f"{trained.model.gmms.num_pdfs} tied states, {trained.model.gmms.gauss.num_gauss} Gaussians"
            spent = f"{time.monotonic() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU"
            print(f"{name}: {size}, {trained.log_like:.3f} nats/frame, {spent} so far", flush=True)
            stages[name] = trained

        stages: dict[str, Trained] = {}
        train_chain(out, self.train, self.features, self.config, seed, lambda progress: None, finished)
        for name, weights in WEIGHTS.items():
            trained = stages[name]
            feats = project(self.scored.base, trained.projection, self.config.lda_context)
            found = WordLoop(self.vocabulary.entries, self.unigram, weights).decode(trained.model, feats)
            self.show(name, found)
        self.adapted(System(self.features, self.config, self.vocabulary, self.unigram, stages["sat"]))

    def adapted(self, system: System) -> None:
        """Score the last stage as it is, and adapted in two passes."""
        model = system.trained.model
        feats = system.project(self.scored.base)
        first = system.loop.decode(AcousticModel(model.tree, model.transitions, system.partner), feats)
        plain = self.show("sat, not adapted", first)
        began, cpu = time.monotonic(), time.process_time()
        found = system.adapt(feats, self.scored.speakers, system.recognised)
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(found.first.kinds).items())
        gain = float(found.first.improvement.sum() / found.first.count.sum())
        print(
            f"  {len(found.first.kinds)} speakers ({kinds}): {gain:+.2f} nats/frame,"
            f" {time.monotonic() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU with decoding"
        )
        moved: list[Tensor] = self.scored.speakers.transform(found.transforms, feats)
        rate = self.show("sat, adapted", system.decode(moved))
        kaldi = " (Kaldi: 34.3 %)" if self.kaldi else ""
        print(f"adaptation: {100 * (1 - rate / plain):.1f} % fewer errors{kaldi}")

    def show(self, name: str, found: Sequence[Spoken | None]) -> float:
        """Print a line and return the error rate."""
        refs = {u.utt_id: u.text for u in self.scored.utterances}
        hyps = {u.utt_id: " ".join(s.words) if s else "" for u, s in zip(self.scored.utterances, found, strict=True)}
        words = score(refs, hyps).words
        kaldi = f" Kaldi {self.kaldi[name]:5.2f}" if self.kaldi else ""
        print(f"{name:17s} {kaldi_line(words):55s}{kaldi}", flush=True)
        return words.rate or 0.0


if __name__ == "__main__":
    main()
