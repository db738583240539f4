"""Training from shards: the same whatever interrupts it, wherever they come from; what is lost is counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from asr_ligru.compose import compose
from asr_ligru.config import Config, CorpusConfig
from asr_ligru.data import shard_store
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.shards import write_shards
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.models.folder import read_model_folder
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.interrupt import Interrupted
from asr_ligru.train.run import train
from tests.run_metrics import metrics_of
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), num_train=30)
    write_shards(read_manifest(folder / "train.jsonl"), folder / "shards", CorpusConfig(), SAMPLE_RATE_HZ, 40_000)
    (folder / "train.jsonl").unlink()
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web(corpus: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(corpus))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/shards"
        server.shutdown()
        thread.join()


def config(corpus: Path, exp_dir: Path, shards: str | Path, *more: str) -> Config:
    given = [f"corpus.dir={corpus}", f"corpus.shards={shards}", "corpus.shard_buffer=2", f"exp_dir={exp_dir}"]
    return compose([*OVERRIDES, *given, "train.epochs=2", "train.augment.speed=[0.9,1.1]", *more])


def result(run_dir: Path) -> tuple[list[Any], dict[str, torch.Tensor]]:
    return metrics_of(run_dir), read_model_folder(run_dir / "model").tensors


def same(a: Path, b: Path) -> bool:
    (metrics, tensors), (others, other_tensors) = result(a), result(b)
    return metrics == others and all(torch.equal(tensors[name], other_tensors[name]) for name in tensors)


def test_train_from_shards_interrupted_and_elsewhere_equals_unbroken_bitwise(
    corpus: Path, web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(config(corpus, tmp_path / "local", corpus / "shards"))
    assert result(unbroken)[0][0]["left_out"] == 0
    plain = AsrBrain.fit_batch
    for step in (3, 9):  # one in each sitting

        def fit_batch(self: AsrBrain, batch: Any, stop: int = step) -> Any:
            if self.state.step == stop:
                self.stop.signum = 15
            return plain(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(AsrBrain, "fit_batch", fit_batch)
            with pytest.raises(Interrupted):
                train(config(corpus, tmp_path / "web", web))
    broken = train(config(corpus, tmp_path / "web", web, "train.num_workers=2"))
    assert same(broken, unbroken)
    assert not list(broken.glob("shards*"))


def damaged(corpus: Path, folder: Path, *numbers: int) -> Path:
    shutil.copytree(corpus / "shards", folder)
    for number in numbers:
        (folder / f"shard-{number:06}.tar").write_bytes(b"nothing")
    return folder


def test_train_with_a_broken_shard_records_its_utterances_and_goes_on_alike(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_store, "_PAUSE_S", 0.0)
    shards = damaged(corpus, tmp_path / "shards", 1)
    lost = {u.utt_id for u in read_manifest(shards / "shard-000001.jsonl")}
    run_dir = train(config(corpus, tmp_path / "run", shards, "corpus.max_bad_rate=0.5"))
    bad = [json.loads(line) for line in (run_dir / "bad_utterances.jsonl").read_text(encoding="utf-8").splitlines()]
    assert ({b["id"] for b in bad}, {b["stage"] for b in bad}) == (lost, {"shard"})
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["left_out"] == len(lost)
    assert result(run_dir)[0][0]["left_out"] == len(lost)


def test_train_with_too_many_broken_shards_ends_with_their_number(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_store, "_PAUSE_S", 0.0)
    shards = damaged(corpus, tmp_path / "shards", 0, 1)
    with pytest.raises(DataError, match=r"of 30 utterances are unusable, allowed are 0\.10%") as caught:
        train(config(corpus, tmp_path / "run", shards))
    assert caught.value.exit_code == 3
    assert (tmp_path / "run" / "bad_utterances.jsonl").stat().st_size > 0


@pytest.mark.parametrize("setting", ["features.cmvn=global", "features.cmvn=speaker", "model=hybrid"])
def test_train_from_shards_refuses_what_needs_the_whole_corpus(setting: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot use shards"):
        train(config(corpus, tmp_path, corpus / "shards", setting))


def test_train_from_shards_of_another_rate_names_both(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8000 Hz, expected 16000 Hz"):
        train(config(corpus, tmp_path, corpus / "shards", "features.sample_rate_hz=16000"))


def test_train_from_shards_takes_the_first_utterances_for_a_smoke_run(corpus: Path, tmp_path: Path) -> None:
    run_dir = train(config(corpus, tmp_path, corpus / "shards", "train.max_utterances=7", "train.epochs=1"))
    assert result(run_dir)[0][0]["left_out"] == 0
