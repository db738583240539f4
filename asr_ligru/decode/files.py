"""Decode a user's own audio files: any supported format, sample rate and number of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from asr_ligru.config import CorpusConfig
from asr_ligru.data import audio
from asr_ligru.decode.run import Timing, decode_utterances
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.models.load import LoadedModel
from asr_ligru.typing import Hypothesis, Utterance

_AT_ONCE = 64  # files whose features are held in memory together
_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".aiff", ".aif", ".au", ".w64", ".caf", ".m4a", ".webm"}


def decode_files(
    model: LoadedModel, paths: Sequence[str], *, batch_frames: int = 24000, show_bar: bool = False
) -> tuple[list[Hypothesis], Timing]:
    """Decode audio files.

    Args:
        model: what decodes.
        paths: files, or folders whose audio files are taken in the order of their names.
        batch_frames: most frames in a padded batch.
        show_bar: a progress bar on stderr.

    Returns:
        A hypothesis for each file (its id is the path), in order, and what it cost.
    """
    files = [file for path in paths for file in _expand(Path(path))]
    reading = for_any_audio(model.config.corpus)
    total = Timing()
    hyps: list[Hypothesis] = []
    with tqdm(total=len(files), desc="decoding", disable=not show_bar, leave=False) as bar:
        for start in range(0, len(files), _AT_ONCE):
            opened = [_open(path) for path in files[start : start + _AT_ONCE]]
            good = [u for u in opened if isinstance(u, Utterance)]
            bar.update(len(opened) - len(good))
            done, cost = decode_utterances(
                model, good, reading=reading, batch_frames=batch_frames, tick=lambda: bar.update(1)
            )
            total.audio_s, total.wall_s = total.audio_s + cost.audio_s, total.wall_s + cost.wall_s
            decoded = iter(done)
            hyps += [next(decoded) if isinstance(u, Utterance) else u for u in opened]
    return hyps, total


def for_any_audio(corpus: CorpusConfig) -> CorpusConfig:
    """Return how a user's own files are opened: any sample rate, channels mixed, an hour at most."""
    return replace(corpus, resample=True, channel="mix", max_seconds=max(3600.0, corpus.max_seconds))


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES)


def _open(path: Path) -> Utterance | Hypothesis:
    try:
        return Utterance(str(path), path, audio.probe(path).duration_s, "")
    except (DataError, EnvironmentError_) as error:  # the second: an extra that this format needs
        return Hypothesis(str(path), "", status=error.what)
