"""Streaming: the same features, numbers and text as the whole recording at once, whatever the chunks."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import accumulate, cycle, pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor

from asr_ligru.config import CellConfig, Config
from asr_ligru.data import audio
from asr_ligru.data.audio_stream import live_blocks
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.run import decode_feats
from asr_ligru.decode.streaming import LiveFeatures, Stream, Update, stream
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.frontend import Frontend
from asr_ligru.models.load import LoadedModel, load_model
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import CONFIG, network, write_model

ONE_WAY = replace(
    CONFIG, cell=replace(CONFIG.cell, bidirectional=False), features=replace(CONFIG.features, cmvn="global")
)
WORDS = ["ab", "gh", "cd", "ef", "ab", "cd"]


def fitted(config: Config) -> Frontend:
    front = Frontend(config.features)
    front.fit([("", front.extract(say(WORDS, 9)))])
    return front


def make(folder: Path, config: Config = ONE_WAY, **parts: Any) -> LoadedModel:
    return load_model(write_one_way(folder, config, **parts))


def write_one_way(folder: Path, config: Config = ONE_WAY, **parts: Any) -> Path:
    return write_model(folder / "model", config, frontend_tensors=fitted(config).state_dict(), **parts)


def whole(model: LoadedModel, wav: Tensor) -> str:
    (result,) = decode_feats(model, [model.feats(wav)], GreedyDecoder(model.tokenizer))
    return result.text


def in_pieces(wav: Tensor, sizes: list[int]) -> list[Tensor]:
    ends = accumulate(cycle(sizes))
    return list(torch.tensor_split(wav, list(takewhile(lambda end: end < len(wav), ends))))


def fed(live: Stream, pieces: list[Tensor]) -> list[Update]:
    found = [update for piece in pieces for update in live.feed(piece)]
    return [*found, *live.feed(torch.zeros(0), last=True)]


@pytest.mark.parametrize("sizes", [[4000], [800], [1, 199, 2000, 0, 333]])
@pytest.mark.parametrize("keys", [{}, {"deltas": 2, "splice": 1}, {"cmvn": "none"}])
def test_live_features_equal_those_of_the_whole(sizes: list[int], keys: dict[str, Any], tmp_path: Path) -> None:
    config = replace(CONFIG, features=replace(ONE_WAY.features, **keys))
    wav = say(["ab", "gh"], 1)
    model = LoadedModel(config, network(), make(tmp_path).tokenizer, fitted(config))
    live = LiveFeatures(model)
    found = torch.cat([*(live.feed(piece, False) for piece in in_pieces(wav, sizes)), live.feed(torch.zeros(0), True)])
    torch.testing.assert_close(found, model.feats(wav), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "cell",
    [
        CellConfig(hidden_size=8, num_layers=2, bidirectional=False),
        CellConfig(name="lstm_bn", hidden_size=8, num_layers=2, bidirectional=False),
        CellConfig(name="gru", hidden_size=8, num_layers=2, bidirectional=False, norm="none", share_directions=False),
    ],
    ids=lambda cell: cell.name,
)
def test_stream_text_is_that_of_the_whole_in_the_end(cell: CellConfig, tmp_path: Path) -> None:
    model, wav = make(tmp_path, replace(ONE_WAY, cell=cell)), say(WORDS, 5)
    expected = whole(model, wav)
    assert expected
    for sizes in ([8000], [800], [37, 1500]):
        updates = fed(Stream(model, pause_s=100.0), in_pieces(wav, sizes))
        assert [u.final for u in updates] == [False] * (len(updates) - 1) + [True]
        assert updates[-1].segment.text == expected
        partial = [u.segment.text for u in updates[:-1]]
        assert all(a != b for a, b in pairwise(partial))


def test_stream_real_speech_from_a_pipe_equals_the_file(tmp_path: Path, shared: Path) -> None:
    path = min((shared / "corpora" / "mini_an4").rglob("*.sph"))
    samples, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == 16000  # the model's is 8000
    model = make(tmp_path)
    wav = audio.read(path, sample_rate_hz=SAMPLE_RATE_HZ, resample=True)
    tensors = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    tensors["head.bias"] -= model.log_probs([model.feats(wav)])[0][0].mean(0)  # no token wins everywhere
    model = make(tmp_path / "lively", tensors=tensors)
    expected = whole(model, wav)
    updates = list(stream(model, io.BytesIO(samples.tobytes()), raw_rate_hz=rate_hz, pause_s=100.0))
    assert updates[-1].segment.text == expected != ""
    assert len(updates) > 3
    assert updates[-1].segment.end_s == pytest.approx(len(wav) / SAMPLE_RATE_HZ, abs=0.05)


def test_stream_pause_makes_what_was_said_final_and_times_go_on(tmp_path: Path) -> None:
    model, wav = make(tmp_path), say(WORDS, 5)
    silence = 0.003 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    tensors = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    quiet = model.log_probs([model.feats(silence)])[0][0, 20:]
    tensors["head.bias"][0] += float((quiet.amax(-1) - quiet[:, 0]).max()) + 0.1  # the blank wins in silence
    model = make(tmp_path / "quiet", tensors=tensors)
    two = torch.cat([wav, silence, wav])
    updates = fed(Stream(model, pause_s=0.5), in_pieces(two, [800]))
    finals = [u.segment for u in updates if u.final]
    assert len(finals) >= 2
    assert "".join(s.text for s in finals).replace(" ", "") == whole(model, two).replace(" ", "")
    edges = [edge for s in finals for edge in (s.start_s, *(w.start_s for w in s.words), s.end_s)]
    assert edges == sorted(edges)
    assert finals[-1].end_s == pytest.approx(len(two) / SAMPLE_RATE_HZ, abs=0.05)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (CONFIG, "bidirectional=true"),
        (replace(ONE_WAY, features=replace(ONE_WAY.features, cmvn="utterance")), "cmvn=utterance needs the mean"),
        (replace(ONE_WAY, features=replace(ONE_WAY.features, cmvn="speaker")), "cmvn=speaker needs the mean"),
    ],
)
def test_stream_of_a_model_that_needs_the_future_is_refused(config: Config, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why):
        Stream(make(tmp_path, config))


def test_stream_latency_is_window_stacking_and_chunk(tmp_path: Path) -> None:
    assert Stream(make(tmp_path)).latency_s == pytest.approx(0.025 + 0.01 + 0.1)
    deltas = replace(ONE_WAY, features=replace(ONE_WAY.features, num_bins=4, deltas=2, splice=1))
    live = LiveFeatures(LoadedModel(deltas, network(), make(tmp_path).tokenizer, Frontend(deltas.features)))
    assert live.context == 5


def wav_bytes(channels: int, **keys: Any) -> bytes:
    out = io.BytesIO()
    samples = say(["ab"], 1).unsqueeze(1).expand(-1, channels).numpy()
    soundfile.write(out, samples, SAMPLE_RATE_HZ, format="WAV", **keys)
    return out.getvalue()


class Pipe(io.RawIOBase):
    """What cannot be sought in."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(buffer[:1000])


@pytest.mark.parametrize("channels", [1, 2])
def test_live_blocks_of_a_wav_pipe_are_the_samples(channels: int) -> None:
    pipe = io.BufferedReader(Pipe(wav_bytes(channels, subtype="PCM_16")))
    found = torch.cat(list(live_blocks(pipe, sample_rate_hz=SAMPLE_RATE_HZ)))
    torch.testing.assert_close(found, say(["ab"], 1), rtol=0.0, atol=1 / 32768)


@pytest.mark.parametrize(
    ("content", "raw", "why"),
    [
        (b"", None, "not a 16-bit WAV stream: it ends too soon"),
        (b"", 8000, "no samples"),
        (b"abc", 8000, "ends within a sample"),
        (b"hello, this is no wav at all", None, "not a 16-bit WAV stream"),
        (wav_bytes(1, subtype="PCM_24"), None, "24 bits a sample, expected 16"),
        (wav_bytes(1, subtype="FLOAT"), None, "not a 16-bit WAV stream"),
    ],
)
def test_live_blocks_of_something_else_are_a_data_error(content: bytes, raw: int | None, why: str) -> None:
    with pytest.raises(DataError, match=why):
        list(live_blocks(io.BytesIO(content), sample_rate_hz=8000, raw_rate_hz=raw))
