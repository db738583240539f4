"""Make the embedded corpus: synthesise it, put it into rooms and noise, write it down."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asr_ligru.data.layout import Listing, read_lines
from asr_ligru.errors import ConfigError
from asr_ligru.safety import atomic_write
from asr_ligru.safety.files import write_errors
from asr_ligru.train.lock import run_lock
from asr_ligru.typing import Utterance

from . import stamp
from .espeak import Engine, engine
from .grammar import SentenceSource, vocabulary
from .randomness import generator
from .rooms import SAMPLE_RATE_HZ, draw_scene, place
from .speech import Spoken, speak
from .timing import Span, plain_phone
from .voices import REFERENCE, VARIANTS, voices

_MAX_MINUTES = 1000.0
_SPLITS = ("test", "dev", "train")  # in the order in which they choose their sentences


def prepare(
    root: Path | None,
    out: Path,
    *,
    seed: int = 0,
    train_minutes: float = 30.0,
    dev_minutes: float = 5.0,
    test_minutes: float = 10.0,
) -> Listing:
    """Make the corpus in ``out``, or find it there.

    Written are ``wav/<split>/<speaker>/<utt_id>.wav``, ``lexicon.txt``, ``<split>.meta.jsonl`` (speaker, room and
    noise of each utterance), ``<split>.times.jsonl`` (when each word and phone is said) and ``synthesis.json``. The
    same arguments and espeak-ng give the same bytes. A corpus that is unfinished, damaged or made with other
    arguments is made again.

    Args:
        root: not used; the corpus is synthesised.
        out: the folder to make it in.
        seed: changes every sentence, voice, room and noise.
        train_minutes: audio to train on, > 0; 20 to 40 is sensible.
        dev_minutes: audio for decisions, > 0.
        test_minutes: audio for the result, > 0.

    Returns:
        The utterances of "train", "dev" and "test", and the lexicon. No sentence and no voice is in two splits.

    Raises:
        ConfigError: a number of minutes is not above 0, or another process is making the corpus.
        DataError: ``out`` holds a folder ``wav`` that was not made here.
        EnvironmentError_: espeakng-loader is not installed, or the disk is full.
    """
    minutes = {"train": train_minutes, "dev": dev_minutes, "test": test_minutes}
    for split, value in minutes.items():
        if not 0 < value < _MAX_MINUTES:
            raise ConfigError(f"{split}_minutes is {value}, expected more than 0 and below {_MAX_MINUTES:g}")
    parameters = {"seed": seed, "minutes": minutes}
    with run_lock(out):
        if not stamp.is_finished(out, parameters):
            _make(out, seed, minutes, parameters)
    return Listing(
        {split: _load(out, split) for split in minutes},
        lexicon=[line for _, line in read_lines(out / "lexicon.txt")],
    )


def _make(out: Path, seed: int, minutes: dict[str, float], parameters: dict[str, Any]) -> None:
    with engine(REFERENCE) as reference:
        version = reference.version()
        lexicon = "".join(f"{word} {' '.join(_pronounce(reference, word))}\n" for word in vocabulary())
    stamp.begin(out, parameters)
    atomic_write(out / "lexicon.txt", lexicon)
    taken: set[str] = set()
    steps = 2 * sum(len(VARIANTS[split]) for split in _SPLITS)
    with tqdm(
        total=steps, desc="demo corpus", unit="voice", file=sys.stderr, mininterval=0.1 if sys.stderr.isatty() else 10
    ) as bar:
        for split in _SPLITS:
            _make_split(out, split, seed, 60 * minutes[split], taken, bar)
    stamp.finish(out, parameters, espeak_ng=version)


def _pronounce(reference: Engine, word: str) -> list[str]:
    """Return the phones of a word as it is said before another: "to" is not "two" there."""
    return [phone for phone in map(plain_phone, reference.phones(f"{word} ten")[0]) if phone]


def _make_split(out: Path, split: str, seed: int, seconds: float, taken: set[str], bar: tqdm[Any]) -> None:
    sentences = SentenceSource(taken)
    speakers = voices(split, seed)
    spoken: dict[str, list[Spoken]] = {}
    for index, voice in enumerate(speakers):
        # What earlier voices spoke too much, or too little, is shared by those still to come.
        said_s = sum(len(one.wav) for told in spoken.values() for one in told) / SAMPLE_RATE_HZ
        spoken[voice.name] = speak(voice, sentences, (seconds - said_s) / (len(speakers) - index), seed)
        bar.update()
    meta: list[dict[str, Any]] = []
    for name, said in spoken.items():
        talkers = [one.wav for other, told in spoken.items() if other != name for one in told]
        folder = Path("wav", split, name)
        meta += [_record(out, folder, one, seed, talkers) for one in said]
        bar.update()
    _write_lines(out / f"{split}.meta.jsonl", meta)
    _write_lines(out / f"{split}.times.jsonl", [_times(one) for said in spoken.values() for one in said])


def _record(out: Path, folder: Path, said: Spoken, seed: int, talkers: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    """Write one utterance in its scene and return its line of ``meta.jsonl``."""
    rng = generator(seed, f"{said.utt_id}/scene")
    scene = draw_scene(rng)
    speech, noise = place(rng, said.wav, said.speaking, scene, talkers)
    path = folder / f"{said.utt_id}.wav"
    _write_wav(out / path, speech + noise)
    return {
        "id": said.utt_id,
        "audio": path.as_posix(),
        "duration_s": len(said.wav) / SAMPLE_RATE_HZ,
        "text": said.text,
        "speaker": said.voice.name,
        "voice": asdict(said.voice),
        "scene": asdict(scene),
    }


def _times(said: Spoken) -> dict[str, Any]:
    return {
        "id": said.utt_id,
        "words": [_span(span, "word") for span in said.words],
        "phones": [_span(span, "phone") for span in said.phones],
    }


def _span(span: Span, kind: str) -> dict[str, Any]:
    return {kind: span.label, "start_s": round(span.start_s, 4), "end_s": round(span.end_s, 4)}


def _write_wav(path: Path, wav: NDArray[np.float64]) -> None:
    """Write 16-bit mono WAV; plainly, since the stamp says when all files are there."""
    samples = np.rint(wav * 32767).astype("<i2").tobytes()
    with write_errors(path.parent, len(samples)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(samples)


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows))


def _load(out: Path, split: str) -> list[Utterance]:
    with (out / f"{split}.meta.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Utterance(
            utt_id=row["id"],
            audio_path=out / row["audio"],
            duration_s=row["duration_s"],
            text=row["text"],
            speaker=row["speaker"],
            snr_db=row["scene"]["snr_db"],
        )
        for row in rows
    ]
