"""The part of the HTML report about one run's errors: which words, which speakers, which utterances."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from asr_ligru.errors import DataError
from asr_ligru.score.breakdown import by_group, by_snr, confusion_matrix, confusions, worst
from asr_ligru.score.chart import Bar, bar_chart
from asr_ligru.score.columns import number
from asr_ligru.score.listing import edit_of
from asr_ligru.score.markup import Markup, element, html_table
from asr_ligru.score.rows import score_run
from asr_ligru.score.runs import Run
from asr_ligru.score.tables import Table
from asr_ligru.score.testset import read_test_set
from asr_ligru.score.wer import Counts, Pair, Scores, UtteranceScore
from asr_ligru.typing import Utterance

EDITS = (("substituted", 1), ("deleted", 0), ("inserted", 2))  # and their colours
_WORST = 8
_CONFUSIONS = 15
_MATRIX = 12
_SPEAKERS = 40
_HEATS = 4  # classes h1 to h4


def run_errors(run: Run, title: str, base: Path) -> Markup:
    """Return what can be folded out about a finished run's errors, or why they are not known.

    Args:
        run: a finished one.
        title: to click at.
        base: the folder of the page, for links to audio files.
    """
    try:
        known = read_test_set(run)
        scores = score_run(run, known)
    except DataError as error:
        return element("details", element("summary", title), problem(error))
    counts = scores.words
    said = f"{counts.sub} substituted, {counts.dels} deleted, {counts.ins} inserted"
    parts = [element("p", said), _frequent(scores), _matrix(scores), _speakers(scores), _noise(scores)]
    parts += [_utterance(utterance, scores.word_rate, known, base) for utterance in worst(scores, _WORST)]
    return element("details", element("summary", title), *parts)


def edit_bar(label: str, counts: Counts, tooltip: str) -> Bar:
    """Return a bar of the kinds of errors, in percent of the reference words."""
    edits = (counts.sub, counts.dels, counts.ins)
    parts = tuple((color, 100 * n / max(1, counts.ref)) for n, (_, color) in zip(edits, EDITS, strict=True))
    return Bar(label, parts, f"{tooltip}: {counts.sub} sub, {counts.dels} del, {counts.ins} ins in {counts.ref} words")


def problem(error: DataError) -> Markup:
    """Return a line about what could not be read."""
    return element("p", f"{error.what}: {error.where}", class_="note")


def _frequent(scores: Scores) -> Markup:
    found = confusions(scores, _CONFUSIONS)
    rows = tuple((str(n), ref or "(inserted)", hyp or "(deleted)") for (ref, hyp), n in found)
    return html_table(Table(("times", "said", "heard"), rows, frozenset({"times"})))


def _matrix(scores: Scores) -> Markup:
    words, times = confusion_matrix(scores, _MATRIX)
    if not words:
        return Markup()
    highest = max(n for i, row in enumerate(times) for j, n in enumerate(row) if i != j)
    head = element("tr", element("th", "said \\ heard"), *(element("th", word, class_="num") for word in words))
    rows = []
    for i, (word, row) in enumerate(zip(words, times, strict=True)):
        cells = (element("td", str(n) if n else "", class_=_heat(n, highest, i == j)) for j, n in enumerate(row))
        rows.append(element("tr", element("th", word), *cells))
    caption = f"the {len(words)} words most often taken for others, and what they were heard as"
    table = element("table", element("thead", head), element("tbody", *rows))
    return Markup(element("p", caption, class_="quiet") + element("div", table, class_="scroll"))


def _heat(times: int, highest: int, right: bool) -> str:
    if right or not times:
        return "num right" if right else "num"
    return f"num h{max(1, min(_HEATS, -(-_HEATS * times // highest)))}"


def _speakers(scores: Scores) -> Markup:
    if not all(utterance.speaker for utterance in scores.utterances):
        return element("p", "errors by speaker: the manifest of the test set is not here", class_="quiet")
    groups = by_group(scores, lambda utterance: utterance.speaker)
    ordered = sorted(groups.items(), key=lambda item: -(item[1].rate or 0.0))[:_SPEAKERS]
    more = f", the {len(ordered)} highest of {len(groups)}" if len(groups) > len(ordered) else ""
    return _bars(ordered, f"{scores.word_rate} of each speaker, %{more}")


def _noise(scores: Scores) -> Markup:
    groups = by_snr(scores)
    return (
        _bars(list(groups.items()), f"{scores.word_rate} by signal-to-noise ratio, %") if len(groups) > 1 else Markup()
    )


def _bars(groups: Sequence[tuple[str, Counts]], title: str) -> Markup:
    return element("figure", bar_chart([edit_bar(name, counts, name) for name, counts in groups], title))


def _utterance(utterance: UtteranceScore, name: str, known: Mapping[str, Utterance], base: Path) -> Markup:
    rate = "n/a (0 ref words)" if utterance.words.rate is None else f"{number(utterance.words.rate, 100, 1)} %"
    title = f"{utterance.utt_id}: {utterance.words.errors} errors in {utterance.words.ref} words, {name} {rate}"
    audio = [" ", _audio(known[utterance.utt_id], base)] if utterance.utt_id in known else []
    words = element("p", *(_word(pair) for pair in utterance.pairs), class_="aligned")
    return element("div", element("p", title, *audio, class_="quiet"), words)


def _audio(utterance: Utterance, base: Path) -> Markup:
    """Return a link relative to the page; colons are quoted, so that it names no other scheme than the page's."""
    address = "./" + quote(os.path.relpath(utterance.audio_path.resolve(), base.resolve()))
    begin = f" from {utterance.offset_s:.1f} s" if utterance.offset_s else ""
    return element("a", f"audio{begin}", href=address)


def _word(pair: Pair) -> Markup:
    ref, hyp = pair
    kind = edit_of(pair)
    if not kind:
        return element("span", element("bdi", ref or ""), class_="word")
    parts = (element("bdi", word) if word is not None else Markup("&mdash;") for word in (ref, hyp))
    said, got = parts
    return element("span", element("del", said), element("ins", got), class_=f"word {kind}")
