"""What searching a graph costs and what its beam loses: real-time factors, and error rates beside those of no beam.

    python tools/bench_wfst.py ctc MODEL data/an4/dev.jsonl --lm an4.ug.lm --lexicon data/an4/lexicon.txt
    python tools/bench_wfst.py hybrid MODEL data/an4/dev.jsonl --lm an4_3gram.arpa --scales 0.15 --word-scores=-1
    python tools/bench_wfst.py gmm exp/an4_final/mono data/an4 --train train,dev --score test

``ctc`` and ``hybrid`` search with ten times the beam too, with each combination of weights, or with ``--every-path``
without any, which takes a fifth of the audio's time. ``gmm`` takes a stage that ``gmm_ladder.py`` left, and prints
what its search without a beam finds. Seconds are CPU seconds of the search and what follows it, acoustic scores apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from every_path import EveryPath
from gmm_ladder import WEIGHTS, Ladder
from torch import Tensor

from asr_ligru.data.manifest import read_manifest
from asr_ligru.decode.run import _read
from asr_ligru.decode.wfst.build import hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder
from asr_ligru.decode.wfst.graph import DecodingGraph
from asr_ligru.decode.wfst.make import make_graph
from asr_ligru.hmm.decode_words import WordLoop
from asr_ligru.hmm.stages import project
from asr_ligru.hmm.store import read_stage
from asr_ligru.models.load import load_model
from asr_ligru.score.wer import kaldi_line, score
from asr_ligru.typing import Utterance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("ctc", "hybrid", "gmm"))
    parser.add_argument("model", type=Path, help="a trained model, or the folder of a GMM-HMM's stage")
    parser.add_argument("data", type=Path, help="a manifest; gmm: the corpus")
    parser.add_argument("--lm", type=Path, help="an ARPA file; default: a hybrid model's own")
    parser.add_argument("--lexicon", type=Path, help="words and phones")
    parser.add_argument("--scales", default="1", help="acoustic scales (%(default)s)")
    parser.add_argument("--word-scores", default="0", help="(%(default)s)")
    parser.add_argument("--beam", type=float, default=12.0)
    parser.add_argument("--every-path", action="store_true", help="ctc, hybrid: no beam in place of ten times the beam")
    parser.add_argument("--train", default="train", help="gmm: splits whose words make the unigram model (%(default)s)")
    parser.add_argument("--score", default="dev", help="gmm: split to score (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    gmm(options) if options.kind == "gmm" else trained(options)


def trained(options: argparse.Namespace) -> None:
    """Print a line for each pair of weights, twice."""
    model = load_model(options.model)
    utterances = read_manifest(options.data)
    raws = [_read(model, u, model.config.corpus) for u in utterances]
    model.frontend.add_speakers(zip((u.speaker for u in utterances), raws, strict=True))
    scores = [model.log_probs([model.frontend(raw, u.speaker)])[0][0] for u, raw in zip(utterances, raws, strict=True)]
    graph = make_graph(model, options.lm, options.lexicon)
    priors = model.hmm.states.log_priors if model.hmm else None
    for scale in map(float, options.scales.split(",")):
        for word_score in map(float, options.word_scores.split(",")):
            chosen = SearchOptions(scale, word_score, options.beam)
            times = [1] if options.every_path else [1, 10]
            compare(graph, chosen, utterances, scores, times, priors)
            if options.every_path:
                search, decoder = EveryPath(graph), WfstDecoder(graph, chosen, priors)
                began = time.process_time()
                texts = [search.text(decoder.weighed(frames.numpy())) for frames in scores]
                show("every path", utterances, texts, time.process_time() - began)


def gmm(options: argparse.Namespace) -> None:
    """Print the ladder's search, which drops no path, and that of the graph."""
    stage = options.model.name
    head = json.loads((options.model / "stage.json").read_text(encoding="utf-8"))["head"]
    stage_model = read_stage(options.model, head["key"])
    assert stage_model is not None
    ladder = Ladder(options.data, options.train.split(","), options.score)
    feats = project(ladder.scored.base, stage_model.projection, ladder.config.lda_context)
    weights = WEIGHTS[stage]
    began = time.process_time()
    found = WordLoop(ladder.vocabulary.entries, ladder.unigram, weights).decode(stage_model.model, feats)
    utterances = ladder.scored.utterances
    texts = [" ".join(spoken.words) if spoken else "" for spoken in found]
    show(f"{stage}, every path", utterances, texts, time.process_time() - began)
    tree, transitions = stage_model.model.tree, stage_model.model.transitions
    graph = hmm_graph(tree, transitions, ladder.unigram.model(), ladder.vocabulary.lexicon)
    scores = [stage_model.model.gmms.log_likes(frames).float() for frames in feats]
    chosen = SearchOptions(weights.acoustic_scale, weights.word_score, options.beam)
    same = sum(a == b for a, b in zip(compare(graph, chosen, utterances, scores, [1]), texts, strict=True))
    print(f"{same} of {len(texts)} texts are those of every path")


def compare(
    graph: DecodingGraph,
    options: SearchOptions,
    utterances: Sequence[Utterance],
    scores: Sequence[Tensor],
    times: Sequence[int] = (1, 10),
    log_priors: Tensor | None = None,
) -> list[str]:
    """Print a line for each multiple of the beam; return the texts of the first."""
    print(f"graph: {graph.fst.num_states} states, {graph.fst.num_arcs} arcs; {options}")
    texts = []
    for beam in (n * options.beam for n in times):
        decoder = WfstDecoder(graph, replace(options, beam=beam), log_priors)
        began = time.process_time()
        found = [decoder(frames[None], torch.tensor([len(frames)]))[0].text for frames in scores]
        show(f"beam {beam:g}, {decoder.partial} partial", utterances, found, time.process_time() - began)
        texts.append(found)
    return texts[0]


def show(name: str, utterances: Sequence[Utterance], texts: Sequence[str], seconds: float) -> None:
    """Print error rate and real-time factor."""
    refs = {u.utt_id: u.text for u in utterances}
    words = score(refs, {u.utt_id: text for u, text in zip(utterances, texts, strict=True)}).words
    print(f"  {name:22s} {kaldi_line(words):55s} RTF {seconds / sum(u.duration_s for u in utterances):.4f}", flush=True)


if __name__ == "__main__":
    main()
