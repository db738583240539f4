"""A split once more with noise at one level, for tests of what noise does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.data.sounds import Sounds
from asr_ligru.errors import ConfigError
from asr_ligru.features.augment import generator
from asr_ligru.features.noise import with_noise
from asr_ligru.safety.files import write_errors
from asr_ligru.typing import BadUtterance


def write_noisy(
    manifest: Path,
    out: Path,
    noise_dir: Path,
    snr_db: float,
    *,
    glob: str = "*",
    seed: int = 1,
    sample_rate_hz: int = 16000,
    resample: bool = False,
    tick: Callable[[], object] = lambda: None,
) -> tuple[int, list[BadUtterance]]:
    """Write a split's recordings with noise, and a manifest of them whose lines say how much.

    Which noise an utterance gets, and which stretch of it, depends on the seed and its id alone.

    Args:
        manifest: the split.
        out: the new manifest; the recordings, as FLAC, go into a folder beside it that is named like it.
        noise_dir: recordings of noise.
        snr_db: power of the speech over that of the noise, both over the whole utterance.
        glob: which noises, by their files' names.
        seed: another one gives other noise.
        sample_rate_hz: of the recordings.
        resample: convert those of another rate.
        tick: called after each utterance.

    Returns:
        How many were written, and a record of each noise that could not be used.

    Raises:
        ConfigError: ``out`` is the manifest itself.
        DataError: an utterance or the folder of noises cannot be read.
        EnvironmentError_: cannot write.
    """
    if out.resolve() == manifest.resolve():
        raise ConfigError("the noisy split would replace the clean one", where=str(out), fix="name another file")
    noises = Sounds(noise_dir, sample_rate_hz, glob=glob, key="--noise")
    folder = out.with_suffix("")
    with write_errors(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, utterance in enumerate(read_manifest(manifest)):
        wav = audio.read(
            utterance.audio_path,
            offset_s=utterance.offset_s,
            duration_s=utterance.duration_s,
            sample_rate_hz=sample_rate_hz,
            resample=resample,
        )
        noise = noises.stretch(generator(seed, 0, utterance.utt_id, "noise"), len(wav))
        path = folder / f"{number:06}.flac"
        audio.write(path, with_noise(wav, noise, snr_db), sample_rate_hz)
        seconds = len(wav) / sample_rate_hz
        made.append(replace(utterance, audio_path=path, offset_s=0.0, duration_s=seconds, snr_db=snr_db))
        tick()
    write_manifest(out, made)
    return len(made), noises.bad
