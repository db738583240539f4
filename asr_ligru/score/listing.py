"""The scoring of one set as text: rates, what is behind them, and the worst utterances word by word."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from asr_ligru.safety import printable
from asr_ligru.score.breakdown import by_group, by_snr, confusions, length_group, worst
from asr_ligru.score.tables import Table, display_width, pad, terminal
from asr_ligru.score.wer import Counts, Pair, Scores, UtteranceScore, kaldi_line

_CONFUSIONS = 10
_WORST = 5
_MAX_GROUPS = 30
_WIDTH = 80
_COLORS = {"S": "\x1b[33m", "D": "\x1b[31m", "I": "\x1b[36m"}
_RESET = "\x1b[0m"


def listing(scores: Scores, failed: Mapping[str, str], color: bool = False) -> str:
    """Return everything a reader wants to know about one scoring.

    Args:
        scores: of the set.
        failed: why there is no text, by utterance id, for what could not be decoded; counted as deletions.
        color: whether the text goes to a terminal that shows colours.
    """
    blocks = [
        _rates(scores),
        _lost(scores, failed),
        _by_speaker(scores),
        _by_length(scores),
        _by_snr(scores),
        _confusions(scores),
        _worst(scores, color),
    ]
    return "\n\n".join(block for block in blocks if block)


def aligned(utterance: UtteranceScore, width: int = _WIDTH, color: bool = False) -> str:
    """Return REF and HYP lines with their words above each other, wrapped at ``width`` columns."""
    blocks = (_aligned_block(block, color) for block in _wrap(utterance.pairs, width - len("REF:  ")))
    return "\n".join(blocks)


def edit_of(pair: Pair) -> str:
    """Return "S", "D", "I", or "" for a pair that agrees."""
    ref, hyp = pair
    return "" if ref == hyp else "I" if ref is None else "D" if hyp is None else "S"


def _rates(scores: Scores) -> str:
    lines = [
        kaldi_line(scores.words, scores.word_rate),
        *([kaldi_line(scores.chars, "CER")] if scores.word_rate == "WER" else []),
        kaldi_line(scores.sentences, "SER"),
        f"profile {scores.profile}; {len(scores.utterances)} utterances",
    ]
    speakers = {u.speaker for u in scores.utterances}
    for by, count in (("utterance", len(scores.utterances)), ("speaker", len(speakers))):
        bounds = scores.interval("words", "speaker" if by == "speaker" else "utterance")
        if bounds:
            low, high = (100 * bound for bound in bounds)
            lines.append(
                f"95 % interval of the {scores.word_rate}: {low:.2f} to {high:.2f} (bootstrap over {count} {by}s)"
            )
    unscored = sum(u.words.ref == 0 for u in scores.utterances)
    if unscored:
        lines.append(
            f"{unscored} utterances have no reference words: no rate of their own, their insertions are in the sums"
        )
    return "\n".join(lines)


def _lost(scores: Scores, failed: Mapping[str, str]) -> str:
    lines = []
    if scores.missing:
        lines.append(f"{len(scores.missing)} without hypothesis, counted as deletions:")
        lines += [f"  {printable(utt_id)}" for utt_id in scores.missing]
    if failed:
        reasons = ", ".join(f"{count} {printable(reason)}" for reason, count in Counter(failed.values()).most_common())
        lines.append(f"{len(failed)} not decoded, counted as deletions: {reasons}")
    return "\n".join(lines)


def _by_speaker(scores: Scores) -> str:
    if not all(u.speaker for u in scores.utterances):
        return ""
    groups = by_group(scores, lambda u: u.speaker)
    ordered = sorted(groups.items(), key=lambda item: -(item[1].rate or 0.0))
    return _groups("errors by speaker", ordered, scores.word_rate)


def _by_length(scores: Scores) -> str:
    ordered = sorted(scores.utterances, key=lambda u: u.words.ref)
    groups = by_group(Scores(scores.profile, tuple(ordered)), length_group)
    return _groups("errors by words in the reference", list(groups.items()), scores.word_rate)


def _by_snr(scores: Scores) -> str:
    return _groups("errors by signal-to-noise ratio", list(by_snr(scores).items()), scores.word_rate)


def _groups(title: str, groups: Sequence[tuple[str, Counts]], rate: str) -> str:
    if len(groups) < 2:
        return ""
    rows = tuple((name, str(c.ref), str(c.errors), _percent(c.rate)) for name, c in groups[:_MAX_GROUPS])
    more = f"\nand {len(groups) - _MAX_GROUPS} more with lower rates" if len(groups) > _MAX_GROUPS else ""
    columns = ("group", "words", "errors", f"{rate} %")
    return f"{title}\n{terminal(Table(columns, rows, frozenset(columns[1:])))}{more}"


def _percent(rate: float | None) -> str:
    return "n/a" if rate is None else f"{100 * rate:.2f}"


def _confusions(scores: Scores) -> str:
    rows = tuple((str(n), ref or "(inserted)", hyp or "(deleted)") for (ref, hyp), n in confusions(scores, _CONFUSIONS))
    table = Table(("times", "said", "heard"), rows, frozenset({"times"}))
    return f"most frequent errors\n{terminal(table)}" if rows else ""


def _worst(scores: Scores, color: bool) -> str:
    width = min(shutil.get_terminal_size().columns, 120) if color else _WIDTH
    found = worst(scores, _WORST)
    parts = [f"{_title(utterance, scores.word_rate)}\n{aligned(utterance, width, color)}" for utterance in found]
    return "\n\n".join(["utterances with the most errors", *parts]) if parts else ""


def _title(utterance: UtteranceScore, name: str) -> str:
    rate = "n/a (0 ref words)" if utterance.words.rate is None else f"{_percent(utterance.words.rate)} %"
    counts = f"{utterance.words.errors} errors, {utterance.words.ref} words"
    return f"{printable(utterance.utt_id)}: {counts}, {name} {rate}"


def _wrap(pairs: Sequence[Pair], width: int) -> Iterator[list[Pair]]:
    block: list[Pair] = []
    used = 0
    for pair in pairs:
        needed = max(display_width(printable(word or "*")) for word in pair) + 1
        if block and used + needed > width:
            yield block
            block, used = [], 0
        block.append(pair)
        used += needed
    if block:
        yield block


def _aligned_block(block: Sequence[Pair], color: bool) -> str:
    columns = [_aligned_pair(pair, color) for pair in block]
    refs, hyps = (" ".join(words).rstrip() for words in zip(*columns, strict=True))
    return f"  REF: {refs}\n  HYP: {hyps}"


def _aligned_pair(pair: Pair, color: bool) -> list[str]:
    width = max(display_width(printable(word or "")) for word in pair)
    start, end = (_COLORS[edit_of(pair)], _RESET) if color and edit_of(pair) else ("", "")
    words = ["*" * width if word is None else pad(printable(word), width) for word in pair]
    return [f"{start}{word}{end}" for word in words]
