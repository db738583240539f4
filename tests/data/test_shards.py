"""Shards hold what the corpus held, in a layout that WebDataset reads, and say so of themselves."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import torch

from asr_ligru.cli import main
from asr_ligru.config import CorpusConfig
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.shards import ShardIndex, read_index, write_shards
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import sha256_file
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus

SHARD_BYTES = 40_000
ENTRY = {"name": "shard-000000", "utterances": 1, "num_bytes": 1, "sha256": "0" * 64, "list_sha256": "0" * 64}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=24)


@pytest.fixture(scope="module")
def index(corpus: Path) -> ShardIndex:
    utterances = read_manifest(corpus / "train.jsonl")
    found, bad = write_shards(utterances, corpus / "shards", CorpusConfig(), SAMPLE_RATE_HZ, SHARD_BYTES)
    assert bad == []
    return found


def test_shards_hold_every_utterance_once_bit_for_bit(corpus: Path, index: ShardIndex) -> None:
    there = {u.utt_id: u for shard in index.shards for u in read_manifest(corpus / "shards" / shard.manifest)}
    before = read_manifest(corpus / "train.jsonl")
    assert there.keys() == {u.utt_id for u in before}
    assert index.utterances == len(before)
    for utterance in before:
        found = there[utterance.utt_id]
        assert (found.text, found.speaker) == (utterance.text, utterance.speaker)
        wav = audio.read(found.audio_path, part=found.part, duration_s=found.duration_s)
        assert torch.equal(wav, audio.read(utterance.audio_path))
        assert len(wav) == round(found.duration_s * SAMPLE_RATE_HZ)


def test_shards_are_mixed_and_no_larger_than_a_recording_over_the_limit(corpus: Path, index: ShardIndex) -> None:
    assert len(index.shards) > 3
    assert all(shard.num_bytes < SHARD_BYTES + 40_000 for shard in index.shards)
    ids = [u.utt_id for shard in index.shards for u in read_manifest(corpus / "shards" / shard.manifest)]
    assert ids != [u.utt_id for u in read_manifest(corpus / "train.jsonl")]
    for shard in index.shards:
        assert sha256_file(corpus / "shards" / shard.tar) == shard.sha256
        assert sha256_file(corpus / "shards" / shard.manifest) == shard.list_sha256


def test_shards_again_are_the_same_bytes(corpus: Path, index: ShardIndex) -> None:
    utterances = read_manifest(corpus / "train.jsonl")
    again, _ = write_shards(utterances, corpus / "again", CorpusConfig(), SAMPLE_RATE_HZ, SHARD_BYTES)
    assert [s.sha256 for s in again.shards] == [s.sha256 for s in index.shards]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves files open
def test_shards_are_read_by_webdataset(corpus: Path, index: ShardIndex) -> None:
    webdataset = pytest.importorskip("webdataset")
    paths = [str(corpus / "shards" / shard.tar) for shard in index.shards]
    samples = list(webdataset.WebDataset(paths, shardshuffle=False))
    assert len({sample["__key__"] for sample in samples}) == len(samples) == index.utterances
    texts = {u.utt_id: u.text for u in read_manifest(corpus / "train.jsonl")}
    for sample in samples:
        record = json.loads(sample["json"])
        assert texts[record["id"]] == record["text"]
        assert sample["flac"].startswith(b"fLaC")


def test_write_shards_leaves_out_what_cannot_be_read_up_to_the_limit(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, num_train=3)
    utterances = read_manifest(corpus / "train.jsonl")
    utterances[1].audio_path.write_bytes(b"no audio")
    found, bad = write_shards(utterances, tmp_path / "one", CorpusConfig(), SAMPLE_RATE_HZ, SHARD_BYTES)
    assert (found.utterances, [b.utt_id for b in bad]) == (2, [utterances[1].utt_id])
    utterances[2].audio_path.unlink()
    with pytest.raises(DataError, match="2 of 3 utterances are unusable"):
        write_shards(utterances, tmp_path / "two", CorpusConfig(), SAMPLE_RATE_HZ, SHARD_BYTES)
    assert not list((tmp_path / "two").glob("index.json"))


def test_write_shards_over_others_is_refused(corpus: Path, index: ShardIndex) -> None:
    with pytest.raises(ConfigError, match="shards already"):
        write_shards([], corpus / "shards", CorpusConfig(), SAMPLE_RATE_HZ, SHARD_BYTES)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"shards": []},
        {"sample_rate_hz": "8000"},
        {"shards": [{"name": "../../etc/passwd"}]},
        {"shards": [{**ENTRY, "name": "../shard-000000"}]},
        {"shards": [{**ENTRY, "utterances": -1}]},
        {"shards": [{**ENTRY, "sha256": "no"}]},
        {"shards": [ENTRY, ENTRY]},
        {"shards": 3},
    ],
)
def test_read_index_that_is_none_is_refused(
    change: dict[str, object], corpus: Path, index: ShardIndex, tmp_path: Path
) -> None:
    found = json.loads((corpus / "shards" / "index.json").read_text(encoding="utf-8"))
    (tmp_path / "index.json").write_text(json.dumps(found | change), encoding="utf-8")
    with pytest.raises(DataError, match="not an index of shards"):
        read_index(tmp_path / "index.json")


def test_read_part_beyond_the_archives_end_is_truncated(corpus: Path, index: ShardIndex, tmp_path: Path) -> None:
    utterance = read_manifest(corpus / "shards" / index.shards[0].manifest)[-1]
    short = tmp_path / "short.tar"
    assert utterance.part is not None
    short.write_bytes(utterance.audio_path.read_bytes()[: sum(utterance.part) - 10])
    with pytest.raises(DataError, match="truncated"):
        audio.read(short, part=utterance.part)


def test_shards_verb_writes_them(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--shard-mb", "0.04", "--sample-rate-hz", str(SAMPLE_RATE_HZ), "-o", str(tmp_path / "out")]
    assert main(["shards", str(corpus / "dev.jsonl"), *options]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "6 utterances in 2 shards; 0 could not be read",
        f"train from them: corpus.shards={tmp_path / 'out'}",
    ]
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as archive:
        assert archive.getnames()[:2] == ["000000000.flac", "000000000.json"]
