"""Small random models, lexica and language models."""

from __future__ import annotations

import random
from itertools import pairwise

import torch

from asr_ligru.hmm.topology import Pauses, Topology, Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.text.ngram import BOS, EOS, Gram, NgramModel


def language_model(rng: random.Random, words: list[str], order: int) -> NgramModel:
    """Return a back-off model with random numbers for the n-grams of a few random sentences."""
    texts = [[BOS, *rng.choices(words, k=rng.randint(0, 4)), EOS] for _ in range(4)]
    orders: list[dict[Gram, tuple[float, float]]] = [{(w,): (0.0, 0.0) for w in (*words, BOS, EOS)}]
    for n in range(2, order + 1):
        grams = {tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)}
        orders.append(dict.fromkeys(sorted(grams), (0.0, 0.0)))
    for n, grams in enumerate(orders, start=1):
        for gram in grams:
            back = 0.0 if n == order or gram[-1] == EOS else rng.uniform(-1.0, 0.0)
            grams[gram] = (-99.0 if gram == (BOS,) else rng.uniform(-2.0, -0.1), back)
    return NgramModel(tuple(orders))


def spellings(rng: random.Random, words: list[str], units: range, longest: int) -> dict[str, list[tuple[int, ...]]]:
    """Return random pronunciations; some words have two, some two words share one, and one begins another."""
    spelled = {
        w: [tuple(rng.choices(units, k=rng.randint(1, longest))) for _ in range(rng.randint(1, 2))] for w in words
    }
    for a, b in pairwise(words):
        if rng.random() < 0.4:
            spelled[b][0] = spelled[a][0] if rng.random() < 0.5 else (*spelled[a][0], rng.choice(units))[: longest + 1]
    return {word: list(dict.fromkeys(choices)) for word, choices in spelled.items()}


def random_tree(rng: random.Random, phones: list[str], states: int) -> tuple[ContextTree, Transitions]:
    """Return tied states that depend on context at random, or on nothing."""
    silence_states, edge = rng.randint(1, 2), rng.choice([0.5, 0.3])
    topology = Topology.of(phones, states, silence_states, Pauses(edge, between=0.8 - edge))
    tree = ContextTree.monophone(topology)
    if rng.random() < 0.7:
        size = tree.num_pdfs
        others = torch.tensor([rng.randrange(size) for _ in range(tree.table.numel())], dtype=torch.int32)
        table = torch.where(tree.table >= 0, others.reshape(tree.table.shape), tree.table)
        tree = ContextTree(topology, table)
    stay = torch.tensor([rng.uniform(0.1, 0.9) for _ in range(tree.num_pdfs)], dtype=torch.float64)
    return tree, Transitions(stay)
