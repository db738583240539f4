"""Decoding utterances: one hypothesis each, in their order, whatever batch they were in."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch

from asr_ligru.data import audio
from asr_ligru.decode import run
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.run import Timing, decode_feats, decode_utterances
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.typing import Utterance
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import CONFIG, write_model

SENTENCES = [["ab"], ["gh", "cd", "ef"], ["cd", "ab"], ["ef"], ["gh", "gh", "ab", "cd"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    folder = tmp_path_factory.mktemp("wav")
    return [speak(folder / f"{number}.wav", words) for number, words in enumerate(SENTENCES)]


def speak(path: Path, words: list[str]) -> Utterance:
    wav = say(words, seed=len(words))
    audio.write(path, wav, SAMPLE_RATE_HZ)
    return Utterance(f"utt {path.stem}", path, len(wav) / SAMPLE_RATE_HZ, " ".join(words))


def test_decode_gives_what_the_network_says_of_each_in_their_order(
    model: LoadedModel, utterances: list[Utterance]
) -> None:
    hyps, timing = decode_utterances(model, utterances)
    for hyp, utterance in zip(hyps, utterances, strict=True):
        feats = model.feats(audio.read(utterance.audio_path))
        with torch.no_grad():
            log_probs, _ = model.network(feats[None], torch.tensor([len(feats)]))
        merged = [token for token, _ in groupby(log_probs[0].argmax(-1).tolist()) if token]
        assert (hyp.utt_id, hyp.status) == (utterance.utt_id, "ok")
        assert hyp.text == model.tokenizer.decode(merged)
        assert hyp.score == pytest.approx(float(log_probs.amax(-1).sum()), rel=1e-5)
    assert len({hyp.text for hyp in hyps}) == len(SENTENCES)
    assert timing.audio_s == pytest.approx(sum(u.duration_s for u in utterances))


@pytest.mark.parametrize("batch_frames", [1, 130, 24000])
def test_decode_in_batches_equals_one_by_one(
    model: LoadedModel, utterances: list[Utterance], batch_frames: int
) -> None:
    hyps, _ = decode_utterances(model, utterances[::-1], batch_frames=batch_frames)
    single = [decode_utterances(model, [utterance])[0][0] for utterance in utterances[::-1]]
    assert [(h.utt_id, h.text) for h in hyps] == [(h.utt_id, h.text) for h in single]
    assert [h.score for h in hyps] == pytest.approx([h.score for h in single], rel=1e-5)


def test_decode_bad_files_have_a_reason_and_no_text_and_change_nothing_else(
    model: LoadedModel, utterances: list[Utterance], tmp_path: Path
) -> None:
    content = utterances[0].audio_path.read_bytes()
    truncated, absent = tmp_path / "truncated.wav", tmp_path / "absent.wav"
    truncated.write_bytes(content[: len(content) // 2])
    bad = [Utterance("half", truncated, 0.4, "ab"), Utterance("gone", absent, 0.4, "ab")]
    ticks: list[int] = []
    mixed = [bad[0], *utterances[:2], bad[1], *utterances[2:]]
    hyps, timing = decode_utterances(model, mixed, tick=lambda: ticks.append(1))
    assert [h.utt_id for h in hyps] == [u.utt_id for u in mixed]
    assert [(h.text, h.score) for h in (hyps[0], hyps[3])] == [("", 0.0)] * 2
    assert "No such file" in hyps[3].status
    assert "ok" not in (hyps[0].status, hyps[3].status)
    plain, _ = decode_utterances(model, utterances)
    assert [h.text for h in hyps if h.status == "ok"] == [h.text for h in plain]
    assert timing.audio_s == pytest.approx(sum(u.duration_s for u in utterances))
    assert len(ticks) == len(mixed)


def test_decode_too_short_utterance_has_a_reason(model: LoadedModel, tmp_path: Path) -> None:
    audio.write(tmp_path / "short.wav", torch.zeros(50), SAMPLE_RATE_HZ)
    (hyp,), _ = decode_utterances(model, [Utterance("short", tmp_path / "short.wav", 50 / SAMPLE_RATE_HZ, "")])
    assert hyp.text == ""
    assert hyp.status != "ok"


def test_decode_another_sample_rate_is_refused_unless_reading_allows_it(model: LoadedModel, tmp_path: Path) -> None:
    audio.write(tmp_path / "16k.wav", torch.rand(16000) - 0.5, 16000)
    utterance = Utterance("16k", tmp_path / "16k.wav", 1.0, "")
    (refused,), _ = decode_utterances(model, [utterance])
    (taken,), _ = decode_utterances(model, [utterance], reading=replace(CONFIG.corpus, resample=True))
    assert "16000 Hz, expected 8000 Hz" in refused.status
    assert taken.status == "ok"


def test_decode_stretches_of_one_file_equals_files_of_their_own(
    model: LoadedModel, utterances: list[Utterance], tmp_path: Path
) -> None:
    wavs = [audio.read(u.audio_path) for u in utterances]
    audio.write(tmp_path / "all.wav", torch.cat(wavs), SAMPLE_RATE_HZ)
    starts = [sum(map(len, wavs[:n])) / SAMPLE_RATE_HZ for n in range(len(wavs))]
    stretches = [
        replace(u, audio_path=tmp_path / "all.wav", offset_s=s) for u, s in zip(utterances, starts, strict=True)
    ]
    assert decode_utterances(model, stretches)[0] == decode_utterances(model, utterances)[0]


def test_decode_nothing_gives_nothing(model: LoadedModel) -> None:
    hyps, timing = decode_utterances(model, [])
    assert hyps == []
    assert (timing.audio_s, timing.rtf) == (0.0, 0.0)


def test_decode_feats_gives_text_and_score_of_each(model: LoadedModel, utterances: list[Utterance]) -> None:
    hyps, _ = decode_utterances(model, utterances[:2], batch_frames=1)
    feats = [model.feats(audio.read(u.audio_path)) for u in utterances[:2]]
    results = decode_feats(model, feats, GreedyDecoder(model.tokenizer))
    assert [r.text for r in results] == [h.text for h in hyps]
    assert [r.score for r in results] == pytest.approx([h.score for h in hyps])


def test_timing_real_time_factor_is_work_for_each_second_of_audio() -> None:
    assert Timing(audio_s=8.0, wall_s=2.0).rtf == 0.25
    assert Timing(audio_s=0.0, wall_s=2.0).rtf == 0.0


def test_decode_with_speaker_statistics_takes_them_over_all_of_a_speaker(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    config = replace(CONFIG, features=replace(CONFIG.features, cmvn="speaker"))
    model = load_model(write_model(tmp_path / "model", config))
    of_one = [replace(u, speaker="someone") for u in utterances]
    raws = [model.frontend.extract(audio.read(u.audio_path)) for u in of_one]
    decode_utterances(model, of_one)
    every_frame = torch.cat([model.frontend(raw, "someone") for raw in raws])
    torch.testing.assert_close(every_frame.mean(0), torch.zeros(every_frame.shape[1]), atol=1e-4, rtol=0.0)


def test_decode_part_by_part_equals_all_at_once(
    model: LoadedModel, utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = [replace(utterance, speaker="ab"[number % 2]) for number, utterance in enumerate(utterances)]
    whole, _ = decode_utterances(model, spoken)
    sizes: list[int] = []
    part = run._decode_part
    monkeypatch.setattr(run, "_HOURS_AT_ONCE", 1e-9)
    monkeypatch.setattr(run, "_decode_part", lambda *args: sizes.append(len(args[1])) or part(*args))
    assert decode_utterances(model, spoken)[0] == whole
    assert sizes == [3, 2]
