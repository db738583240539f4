from __future__ import annotations

from collections import Counter

from asr_ligru.recipes.demo.grammar import SentenceSource, vocabulary
from asr_ligru.recipes.demo.randomness import generator


def _draw(source: SentenceSource, count: int) -> list[str]:
    return [source.draw(generator(0, str(index))) for index in range(count)]


def test_vocabulary_has_about_120_lower_case_words() -> None:
    words = vocabulary()
    assert 110 <= len(words) <= 130
    assert all(word.isalpha() and word.islower() and word.isascii() for word in words)


def test_sentence_source_draws_two_to_eight_known_words() -> None:
    known = set(vocabulary())
    sentences = _draw(SentenceSource(set()), 1000)
    assert {len(sentence.split()) for sentence in sentences} == set(range(2, 9))
    assert {word for sentence in sentences for word in sentence.split()} == known


def test_sentence_source_with_shared_memory_never_repeats() -> None:
    taken: set[str] = set()
    first, second = (_draw(SentenceSource(taken), 400) for _ in range(2))
    assert len({*first, *second}) == 800


def test_sentence_source_of_half_an_hour_says_each_word_thirty_times() -> None:
    sentences = _draw(SentenceSource(set()), 1023)  # what 30 minutes hold
    counts = Counter(word for sentence in sentences for word in sentence.split())
    assert min(counts.values()) >= 30
