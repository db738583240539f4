"""What ``asr-ligru score`` and ``asr-ligru report`` do, as functions from paths to text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest
from asr_ligru.safety import atomic_write
from asr_ligru.score.html import render_html
from asr_ligru.score.listing import listing
from asr_ligru.score.render import RENDERERS, render_text
from asr_ligru.score.report import build_report
from asr_ligru.score.texts import read_sides
from asr_ligru.score.versus import versus
from asr_ligru.score.wer import Scores, score

Format = Literal["text", "md", "latex", "csv", "json", "kaldi", "html"]


def score_files(
    ref: Path,
    hyp: Path,
    profile: str = "none",
    allow_missing: bool = False,
    *,
    against: Sequence[Path] = (),
    out: Path | None = None,
    color: bool = False,
) -> str:
    """Score a file of hypotheses against a file of references.

    Args:
        ref: manifest or decoder output (``.jsonl``), ``.trn``, ``.stm``, ``.ctm``, or Kaldi's text.
        hyp: the same formats.
        profile: how both sides are normalised, see ``text.normalize``.
        allow_missing: count references without hypothesis as deletions.
        against: hypotheses of other systems, tested against ``hyp``.
        out: a file for the counts as JSON (``wer.json``), too.
        color: whether the text goes to a terminal that shows colours.

    Returns:
        The listing to print.

    Raises:
        ConfigError: no such profile.
        DataError: a file is unreadable, ids differ, or there is no reference word.
        EnvironmentError_: ``out`` cannot be written.
    """
    scores, failed = _score_file(ref, hyp, profile, allow_missing)
    others = {str(path): _score_file(ref, path, profile, allow_missing)[0] for path in against}
    if out is not None:
        atomic_write(out, json.dumps(scores.to_json(), indent=1) + "\n")
    blocks = [listing(scores, failed, color), *([versus(scores, others)] if others else [])]
    return "\n\n".join(blocks) + "\n"


def _score_file(ref: Path, hyp: Path, profile: str, allow_missing: bool) -> tuple[Scores, Mapping[str, str]]:
    refs, hyps = read_sides(ref, hyp)
    scores = score(
        refs.texts,
        hyps.texts,
        profile=profile,
        allow_missing=allow_missing,
        speakers=refs.speakers,
        snr_db=refs.snr_db,
    )
    return scores, hyps.failed


def report_folders(
    folders: Sequence[Path],
    fmt: str = "text",
    out: Path | None = None,
    *,
    baseline: str = "",
    published: Sequence[str] = (),
    color: bool = False,
    every_s: float = 0.0,
) -> str:
    """Put all runs under some folders into tables.

    Args:
        folders: hold runs, at any depth; none for published figures alone.
        fmt: "text", "md", "latex", "csv", "json", "kaldi" or "html".
        out: a file the report is written to instead of being returned.
        baseline: a cell every other row is compared with.
        published: corpora whose published figures stand beside.
        color: whether a text report goes to a terminal that shows colours.
        every_s: seconds after which it is made again, for someone who watches: a text report then has learning
            curves, and a browser reads a page again by itself. 0 for once.

    Returns:
        The report, or one line that says where it is.

    Raises:
        ConfigError: no such format, or no finished run of the baseline, or no published figures of a corpus.
        DataError: no such folder, or no run in it.
        EnvironmentError_: ``out`` cannot be written.
    """
    if fmt not in get_args(Format):
        raise ConfigError(f"unknown report format {fmt!r}", fix=nearest(fmt, get_args(Format)))
    report = build_report(folders, baseline, published)
    if fmt == "text":
        text = render_text(report, color and out is None, curves=every_s > 0)
    else:
        base = Path() if out is None else out.parent
        text = render_html(report, base, every_s) if fmt == "html" else RENDERERS[fmt](report)
    if out is None:
        return text
    atomic_write(out, text)
    return f"report written to {out}\n"
