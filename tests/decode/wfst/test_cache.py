from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from asr_ligru.decode.wfst.build import ctc_graph
from asr_ligru.decode.wfst.cache import cached_graph, graph_key
from asr_ligru.decode.wfst.graph import DecodingGraph
from asr_ligru.errors import DataError
from asr_ligru.text.units import BLANK, CharTokenizer
from tests.decode.wfst.cases import language_model

pytest.importorskip("kaldifst")
KEY = graph_key(["one", b"two"])


@pytest.fixture(scope="module")
def graph() -> DecodingGraph:
    model = language_model(random.Random(0), ["AB", "BA"], 2)
    return ctc_graph(CharTokenizer([BLANK, " ", "A", "B"], "error"), model)


def check_same(found: DecodingGraph, expected: DecodingGraph) -> None:
    assert found.head() == expected.head()
    tensors = expected.tensors()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in found.tensors().items())


def never() -> DecodingGraph:
    raise AssertionError("made again")


def test_cached_graph_second_time_is_read(tmp_path: Path, graph: DecodingGraph) -> None:
    check_same(cached_graph(tmp_path, KEY, lambda: graph), graph)
    check_same(cached_graph(tmp_path, KEY, never), graph)


def test_graph_key_parts_cannot_run_into_one_another() -> None:
    assert len({graph_key(parts) for parts in (["a", "bc"], ["ab", "c"], ["abc"], ["abc", ""])}) == 4


def test_cached_graph_damaged_is_reported_and_made_again(
    tmp_path: Path, graph: DecodingGraph, caplog: pytest.LogCaptureFixture
) -> None:
    cached_graph(tmp_path, KEY, lambda: graph)
    (tmp_path / KEY / "words.json").write_text("{}", encoding="utf-8")
    check_same(cached_graph(tmp_path, KEY, lambda: graph), graph)
    assert "damaged" in caplog.text
    check_same(cached_graph(tmp_path, KEY, never), graph)


def test_cached_graph_many_at_once_leave_one_whole(tmp_path: Path, graph: DecodingGraph) -> None:
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: cached_graph(tmp_path, KEY, lambda: graph), range(32)):
            check_same(found, graph)
    assert [path.name for path in tmp_path.iterdir()] == [KEY]
    check_same(cached_graph(tmp_path, KEY, never), graph)


def test_cached_graph_folder_not_writable_is_reported(
    tmp_path: Path, graph: DecodingGraph, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    check_same(cached_graph(tmp_path / "file", KEY, lambda: graph), graph)
    assert "not kept" in caplog.text


def test_graph_of_parts_that_point_outside_is_refused(graph: DecodingGraph) -> None:
    tensors = graph.tensors()
    with pytest.raises(DataError, match="fit together"):
        DecodingGraph.of(graph.head(), {**tensors, "targets": tensors["targets"] + graph.fst.num_states})
    with pytest.raises(DataError, match="fit together"):
        DecodingGraph.of({**graph.head(), "words": []}, tensors)
