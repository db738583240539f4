"""A training set that is read from shards: in memory are lengths, and the texts of the shards in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from asr_ligru import ranks
from asr_ligru.config import Config
from asr_ligru.data.bad_rate import check_rate
from asr_ligru.data.batching import BatchPlan, Indices
from asr_ligru.data.manifest import read_manifest, write_bad_utterances
from asr_ligru.data.shard_batches import ShardBatches
from asr_ligru.data.shard_store import ShardStore
from asr_ligru.data.shards import Shard
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.framing import Framing
from asr_ligru.text.normalize import normalize
from asr_ligru.text.units import Tokenizer
from asr_ligru.train.split import Split
from asr_ligru.typing import BadUtterance, Utterance

T = TypeVar("T")
OutputLength = Callable[[int], int]
Tokenise = Callable[[Sequence[tuple[Utterance, int]], Tokenizer, OutputLength], tuple[Split, list[BadUtterance]]]


class ShardCorpus:
    """The shards of a run.

    Args:
        config: of the run; copies of shards that are elsewhere go into its folder.

    Attributes:
        store: where they come from.

    Raises:
        ConfigError: settings that need all of a training set at once.
        DataError: the shards cannot be read, or have another sample rate.
    """

    def __init__(self, config: Config) -> None:
        features = config.features
        if config.model.name == "hybrid" or features.name == "fmllr" or features.cmvn in ("speaker", "global"):
            what = f"model={config.model.name}, features={features.label} with cmvn={features.cmvn} cannot use shards"
            fix = (
                "model=ctc with fbank or mfcc, and features.cmvn=utterance; or train from files, without corpus.shards"
            )
            raise ConfigError(what, where="corpus.shards", fix=fix)
        self.config = config
        self.store = ShardStore(config.corpus.shards, Path(config.exp_dir) / f"shards-{ranks.rank()}")
        rate_hz = self.store.index.sample_rate_hz
        if rate_hz != features.sample_rate_hz:
            what = f"shards at {rate_hz} Hz, expected {features.sample_rate_hz} Hz (features.sample_rate_hz)"
            raise DataError(what, where=config.corpus.shards, fix="choose other features, or write the shards anew")
        self.utterances = lru_cache(maxsize=2 * config.corpus.shard_buffer + 1)(self._utterances)

    def _utterances(self, number: int) -> list[Utterance]:
        """Return the utterances of a shard, their texts normalised; ``utterances`` remembers those in use."""
        found = read_manifest(self.store.manifest(self.store.index.shards[number]))
        return [replace(u, text=normalize(u.text, self.config.corpus.normalize)) for u in found]

    def texts(self) -> Iterator[str]:
        """Yield all texts with words."""
        for number in range(len(self.store.index.shards)):
            yield from (u.text for u in self.utterances(number) if u.text)

    def split(
        self, tokenizer: Tokenizer, fewest: OutputLength, tokenise: Tokenise, bad: list[BadUtterance]
    ) -> ShardSplit:
        """Look at every utterance once, though at no audio, and return the usable ones.

        Args:
            tokenizer: the output units.
            fewest: output frames of an utterance of so many frames.
            tokenise: returns those with targets that fit their frames, and a record of each other.
            bad: gets a record of each that is left out, also later.

        Raises:
            DataError: none is usable, or their texts have unknown characters.
        """
        limit = self.config.train.max_utterances
        places: list[np.ndarray] = []
        frames: list[int] = []
        for number in range(len(self.store.index.shards)):
            utterances = self.utterances(number)
            row_of = {u.utt_id: row for row, u in enumerate(utterances)}
            found, left_out = tokenise(list(self._measured(utterances, bad)), tokenizer, fewest)
            bad += left_out
            rows = [row_of[u.utt_id] for u in found.utterances]
            places.append(np.stack([np.full(len(rows), number), rows], 1).astype(np.int32))
            frames += found.num_frames
            if limit is not None and len(frames) >= limit:
                break
        where = np.concatenate(places)[:limit]
        if not len(where):
            raise DataError(f"no usable utterance of {self.store.index.utterances}", where=self.config.corpus.shards)
        utterances_of = _Lazy(len(where), lambda i: self.utterances(int(where[i, 0]))[int(where[i, 1])])
        tokens = _Lazy(len(where), lambda i: tokenizer.encode_all([u := utterances_of[i]]).tokens[u.utt_id])
        return ShardSplit(
            utterances=utterances_of,
            num_frames=np.asarray(frames[:limit], np.int32),  # type: ignore[arg-type]
            tokens=tokens,
            shards=self,
            shard_of=where[:, 0],
            bad=bad,
        )

    def _measured(self, utterances: Sequence[Utterance], bad: list[BadUtterance]) -> Iterator[tuple[Utterance, int]]:
        framing, rate_hz = Framing.of(self.config.features), self.store.index.sample_rate_hz
        for utterance in utterances:
            frames = framing.num_frames(round(utterance.duration_s * rate_hz))
            if frames and utterance.text:
                yield utterance, frames
            else:
                what = ("audio", "too short") if utterance.text else ("text", "empty transcript")
                bad.append(BadUtterance(utterance.utt_id, *what, str(utterance.audio_path)))


class _Lazy(Sequence[T]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, length: int, make: Callable[[int], T]) -> None:
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(self._length)[index]]
        return self._make(range(self._length)[index])


@dataclass(frozen=True, kw_only=True)
class ShardSplit(Split):
    """A training set in shards.

    Attributes:
        shards: where it is.
        shard_of: (N,) number of each utterance's shard, ascending.
        bad: gets a record of each utterance that is lost with its shard.
    """

    shards: ShardCorpus
    shard_of: np.ndarray
    bad: list[BadUtterance]

    def batches(
        self, plan: BatchPlan, lost: Callable[[], dict[str, str]], take: Callable[[Indices], Indices]
    ) -> ShardBatches:
        """Return what names the batches of each epoch and brings the shards for them."""
        config = self.shards.config
        return ShardBatches(
            plan,
            np.asarray(self.num_frames),
            take,
            shard_of=self.shard_of,
            store=self.shards.store,
            buffer=config.corpus.shard_buffer,
            ahead=2 * config.train.num_workers + 1,  # torch hands each worker two batches
            lost=lost,
            record=self._record,
        )

    def identity(self) -> Any:
        """Return, JSON-ready, what a run that goes on must find again."""
        return [self.shards.store.index.digest, len(self.utterances)]

    def close(self) -> None:
        """Remove what was copied to read it."""
        self.shards.store.close()

    def _record(self, shard: Shard, reason: str) -> None:
        """Record every utterance of a shard that cannot be used.

        Raises:
            DataError: too many are lost.
        """
        config, index = self.shards.config, self.shards.store.index
        utterances = self.shards.utterances(index.shards.index(shard))
        self.bad.extend(BadUtterance(u.utt_id, "shard", reason, str(u.audio_path)) for u in utterances)
        if ranks.is_first():
            write_bad_utterances(Path(config.exp_dir) / "bad_utterances.jsonl", self.bad)
        check_rate([b for b in self.bad if b.stage == "shard"], index.utterances, config.corpus)
