"""Look at every line and every audio file of a prepared corpus and report all that is wrong, not only the first."""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_ligru.data import audio
from asr_ligru.data.findings import Report, SplitSummary
from asr_ligru.data.manifest import scan_manifest
from asr_ligru.errors import DataError
from asr_ligru.safety import composed, read_json
from asr_ligru.text.targets import ctc_feasible
from asr_ligru.typing import Utterance

_WINDOW_S, _SHIFT_S = 0.025, 0.010  # of a frame of features, as all recipes have it
_SILENT_RANGE = 2e-3  # largest minus smallest sample: 60 dB below full scale
_FULL_SCALE = 32766.5 / 32768
_CLIPPED_SHARE = 0.001
_UNUSED_S = 0.1


_SPLITS = ("train", "dev", "test")


@dataclass
class _Rules:
    """How the audio will be read."""

    sample_rate_hz: int | None
    resample: bool
    channel: str
    max_seconds: float | None


@dataclass
class _Seen:
    """What was met before, to find it again in another split."""

    ids: dict[str, str] = field(default_factory=dict)  # id -> where
    sounds: dict[bytes, tuple[str, str]] = field(default_factory=dict)  # hash of samples -> split, where


def validate_corpus(
    folder: Path,
    splits: Sequence[str] | None = None,
    sample_rate_hz: int | None = None,
    *,
    resample: bool = False,
    channel: str = "error",
    max_seconds: float | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Report:
    """Check the manifests of a corpus folder and all audio they name.

    Args:
        folder: holds ``<split>.jsonl``.
        splits: which ones; by default those of train, dev and test that are there.
        sample_rate_hz: what the features expect; by default that of the first file.
        resample: other rates are converted, so they are no error (``corpus.resample``).
        channel: as in ``corpus.channel``.
        max_seconds: longer utterances are kept out of training (``corpus.max_seconds``).
        tick: called after each utterance, for a progress bar.

    Returns:
        All findings, counted, with examples and line numbers.

    Raises:
        DataError: ``folder`` is not a folder, or a manifest cannot be opened.
    """
    present = [split for split in _SPLITS if (folder / f"{split}.jsonl").is_file()]
    if not (splits or present):
        what = "expected a folder with train.jsonl, dev.jsonl or test.jsonl"
        raise DataError(what, where=str(folder), fix="run `asr-ligru prepare` and give its --out folder")
    report, seen = Report(folder), _Seen()
    rules = _Rules(sample_rate_hz, resample, channel, max_seconds)
    for split in splits or present:
        _validate_split(split, rules, report, seen, tick)
    _compare_speakers(report)
    return report


def _validate_split(split: str, rules: _Rules, report: Report, seen: _Seen, tick: Callable[[], object]) -> None:
    summary = report.splits[split] = SplitSummary()
    utterances, findings = scan_manifest(report.folder / f"{split}.jsonl")
    for finding in findings:
        report.add("manifest", split, finding)
    if not utterances and not findings:
        report.add("manifest", split, "no utterance")
    uses = Counter(utterance.audio_path for utterance in utterances.values())
    for line, utterance in utterances.items():
        where = f"{split}:{line} {utterance.utt_id}"
        summary.add(utterance.duration_s, utterance.speaker)
        _check_text(utterance, where, report)
        earlier = seen.ids.setdefault(utterance.utt_id, where)
        if earlier != where:
            report.add("same id", where, f"also {earlier}")
        info = _check_file(utterance, where, rules, report)
        _check_length(utterance, where, rules, report)
        if info is not None:
            alone = uses[utterance.audio_path] == 1
            _check_stretch(utterance, info, where, alone, report)
            _check_samples(utterance, info, where, rules, report, seen)
        tick()


def _check_text(utterance: Utterance, where: str, report: Report) -> None:
    text = utterance.text
    report.add_text(text, utterance.utt_id)
    if not text.strip():
        report.add("no text", where, "nothing to learn or score")
    elif text != " ".join(text.split()):
        report.add("spacing", where, repr(text))
    odd = sorted({c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn")})
    if odd or text != composed(text):
        report.add("characters", where, ", ".join(f"U+{ord(c):04X}" for c in odd) or "not in the composed form NFC")


def _check_file(utterance: Utterance, where: str, rules: _Rules, report: Report) -> audio.AudioInfo | None:
    """Return what the header says, or None when the samples need not be looked at."""
    path = utterance.audio_path
    try:
        info = audio.probe(path)
    except audio.TruncatedError as error:
        report.add("truncated", where, f"{error.what} in {path}")
        return None
    except DataError as error:
        report.add("unreadable" if _exists(path) else "missing", where, f"{path}: {error.what}")
        return None
    rules.sample_rate_hz = rules.sample_rate_hz or info.sample_rate_hz
    if info.sample_rate_hz != rules.sample_rate_hz and not rules.resample:
        report.add("rate", where, f"{info.sample_rate_hz} Hz, expected {rules.sample_rate_hz} Hz")
    if info.channels > 1 and rules.channel == "error":
        report.add("channels", where, f"{info.channels} channels, expected 1 (corpus.channel)")
        return None
    return info


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name longer than the system allows
        return False


def _check_length(utterance: Utterance, where: str, rules: _Rules, report: Report) -> None:
    if rules.max_seconds is not None and utterance.duration_s > rules.max_seconds:
        report.add("too long", where, f"{utterance.duration_s:.2f} s")
    if utterance.duration_s < _WINDOW_S:
        report.add("too short", where, f"{utterance.duration_s * 1000:.1f} ms")
        return
    letters, frames = utterance.text.strip(), 1 + int((utterance.duration_s - _WINDOW_S) / _SHIFT_S)
    if not ctc_feasible(frames, [ord(c) for c in letters]):
        report.add("too many letters", where, f"{len(letters)} in {frames} frames")


def _check_stretch(utterance: Utterance, info: audio.AudioInfo, where: str, alone: bool, report: Report) -> None:
    left_s = info.duration_s - utterance.offset_s - utterance.duration_s
    if left_s < -audio.END_TOLERANCE_S:
        end_s = utterance.offset_s + utterance.duration_s
        report.add("duration", where, f"ends at {end_s:.2f} s, the file at {info.duration_s:.2f} s")
    elif alone and utterance.offset_s == 0 and left_s > _UNUSED_S:
        report.add("unused", where, f"{utterance.duration_s:.2f} s of {info.duration_s:.2f} s")


def _check_samples(
    utterance: Utterance, info: audio.AudioInfo, where: str, rules: _Rules, report: Report, seen: _Seen
) -> None:
    """Decode the stretch, as far as the file goes."""
    path, split = utterance.audio_path, where.partition(":")[0]
    duration_s = min(utterance.duration_s, info.duration_s - utterance.offset_s)
    if duration_s <= 0 or (rules.max_seconds is not None and duration_s > rules.max_seconds):
        return  # reported as ending after the file, or as too long to be read at once
    try:
        wav = audio.read(path, offset_s=utterance.offset_s, duration_s=duration_s, channel=rules.channel)
        samples = wav.numpy()  # small work, which torch would spread over threads
    except audio.TruncatedError as error:
        report.add("truncated", where, f"{error.what} in {path}")
        return
    except DataError as error:
        report.add("unreadable", where, f"{path}: {error.what}")
        return
    _check_level(samples, where, report)
    digest = hashlib.sha256(samples.tobytes()).digest()
    earlier_split, earlier = seen.sounds.setdefault(digest, (split, where))
    if earlier_split != split:
        report.add("same audio", where, f"also {earlier}")
    elif earlier != where:
        report.add("repeated", where, f"also {earlier}")


def _check_level(samples: NDArray[np.float32], where: str, report: Report) -> None:
    low, high = float(samples.min()), float(samples.max())
    if high - low < _SILENT_RANGE:
        report.add("silent", where, f"samples from {low:.4f} to {high:.4f}")
    clipped = float(np.mean(np.abs(samples) >= _FULL_SCALE))
    if clipped >= _CLIPPED_SHARE:
        report.add("clipped", where, f"{100 * clipped:.1f} % of the samples")


def _compare_speakers(report: Report) -> None:
    promised = _promised(report.folder)
    for one, other in itertools.combinations(report.splits, 2):
        if one in promised or other in promised:
            both = report.splits[one].speakers & report.splits[other].speakers - {""}
            for speaker in sorted(both):
                report.add("same speaker", f"{one} and {other}", speaker)


def _promised(folder: Path) -> list[str]:
    """Return the splits that ``asr-ligru prepare`` said share no speaker with another."""
    for record, prefix in ((folder / "prepare.json", ""), (folder.parent / "prepare.json", f"{folder.name}/")):
        if record.is_file():
            summary = read_json(record)
            names = summary.get("disjoint_speakers", []) if isinstance(summary, dict) else []
            return [name[len(prefix) :] for name in names if isinstance(name, str) and name.startswith(prefix)]
    return []
