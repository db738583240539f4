from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from asr_ligru.recipes.demo import espeak
from asr_ligru.recipes.demo.espeak import Event, engine
from asr_ligru.recipes.demo.grammar import SentenceSource
from asr_ligru.recipes.demo.rooms import SAMPLE_RATE_HZ
from asr_ligru.recipes.demo.speech import speak
from asr_ligru.recipes.demo.timing import Span, plain_phone, spans
from asr_ligru.recipes.demo.voices import REFERENCE, VARIANTS, Voice, voices

from asr_ligru.errors import EnvironmentError_
from asr_ligru.torchaudio_import import ensure

pytest.importorskip("espeakng_loader")
ALL_VOICES = [voice for split in VARIANTS for voice in voices(split, 0)]


def _say(voice: Voice, *texts: str) -> list[bytes]:
    with engine(voice) as speaker:
        return [speaker.say(text)[0].tobytes() for text in texts]


@pytest.mark.parametrize("voice", ALL_VOICES, ids=lambda voice: voice.name)
def test_engine_with_each_voice_repeats_itself(voice: Voice) -> None:
    texts = ("bring anna the blue cup", "half past seven")
    assert _say(voice, *texts) == _say(voice, *texts)


def test_engine_used_before_says_the_same_as_a_fresh_one() -> None:
    voice = voices("train", 0)[1]
    alone = _say(voice, "turn on the light", "stop")
    _say(voices("test", 0)[0], "dial nine nine one two")
    with engine(voices("dev", 0)[0]) as other:
        other.say("five")
        assert _say(voice, "turn on the light", "stop") == alone
    assert alone[0] != _say(voice, "stop", "turn on the light")[1]  # why each engine loads a copy


@pytest.mark.parametrize("voice", ALL_VOICES, ids=lambda voice: voice.name)
def test_engine_with_each_voice_is_heard_and_differs_from_the_reference(voice: Voice) -> None:
    (wav,) = _say(voice, "bring anna the blue cup")
    samples = np.frombuffer(wav, np.int16).astype(float)
    assert 0.6 < len(samples) / espeak.SAMPLE_RATE_HZ < 3.0
    assert 1500 < np.abs(samples).max() < 32767
    assert wav != _say(REFERENCE, "bring anna the blue cup")[0]


def test_engine_without_its_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(EnvironmentError_, match=r'pip install "asr-ligru\[demo\]"'), engine(REFERENCE):
        pass


@pytest.mark.parametrize(("accent", "variant"), [("en-us", "nobody"), ("en-nowhere", "m3")])
def test_engine_with_unknown_voice_names_it(accent: str, variant: str) -> None:
    with pytest.raises(EnvironmentError_, match=rf"{accent}\+{variant}"), engine(Voice("x", accent, variant)):
        pass


def test_engine_below_a_long_path_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    far = tmp_path.joinpath(*(["a_folder_with_a_long_name"] * 8))
    far.mkdir(parents=True)
    (far / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(far / "espeak-ng-data"))
    assert _say(REFERENCE, "stop")[0]


def test_engine_phones_of_a_sentence_are_told_by_word() -> None:
    with engine(REFERENCE) as speaker:
        assert speaker.phones("chip ten") == [["tS", "'I", "p"], ["t", "'E", "n"]]


def test_voices_of_the_splits_share_no_variant() -> None:
    assert {split: len(names) for split, names in VARIANTS.items()} == {"train": 44, "dev": 6, "test": 10}
    assert len({voice.variant for voice in ALL_VOICES}) == len({voice.name for voice in ALL_VOICES}) == 60


def test_voices_of_dev_and_test_have_no_accent_that_train_lacks() -> None:
    accents = {split: {voice.accent for voice in voices(split, 0)} for split in VARIANTS}
    assert accents["dev"] | accents["test"] <= accents["train"]


@pytest.mark.parametrize(
    ("mnemonic", "phone"),
    [
        ("'aI", "aI"),
        (",oU", "oU"),
        ("t#", "t"),
        ("@2", "@"),
        ("I2", "I"),
        ("0", "0"),
        ("3:", "3:"),
        ("_:", ""),
        (";", ""),
    ],
)
def test_plain_phone_of_mnemonic_has_no_marks(mnemonic: str, phone: str) -> None:
    assert plain_phone(mnemonic) == phone


@pytest.mark.parametrize("variant", ["m3", "f2", "klatt2"])
@pytest.mark.parametrize("text", ["john seven", "two seven", "tim ship", "peter six", "joan show", "five seconds"])
def test_spans_of_a_word_after_a_vowel_or_nasal_begin_where_its_hiss_begins(variant: str, text: str) -> None:
    with engine(Voice("x", "en-us", variant)) as speaker:
        wav, events = speaker.say(text)
    words, _ = spans(text, events)
    frame = espeak.SAMPLE_RATE_HZ // 200  # 5 ms
    frames = wav[: len(wav) // frame * frame].reshape(-1, frame).astype(float)
    differences = np.diff(frames, axis=1)
    hiss = (np.diff(np.sign(frames), axis=1) != 0).mean(1) > 0.25
    hiss &= (differences**2).mean(1) > 0.02 * (differences**2).mean(1).max()
    middle = int(words[1].start_s * 200)
    heard = next(index for index in range(middle - 10, len(hiss)) if hiss[index : index + 5].all())
    assert heard / 200 == pytest.approx(words[1].start_s, abs=0.025)


def test_spans_of_a_sonorant_reported_at_the_border_belong_to_its_word() -> None:
    events = [
        *(Event("word", 0, 0), Event("phone", 100, 0, "t"), Event("phone", 200, 0, "n")),
        *(Event("word", 200, 2), Event("phone", 300, 2, "'O"), Event("phone", 900, 4, "_:"), Event("end", 950, 4)),
    ]
    words, phones = spans("t o", events)
    unit = espeak.SAMPLE_RATE_HZ
    assert words == [Span("t", 0, 300 / unit), Span("o", 300 / unit, 900 / unit)]
    assert phones == [Span("t", 0, 200 / unit), Span("n", 200 / unit, 300 / unit), Span("O", 300 / unit, 900 / unit)]


def test_spans_of_words_said_in_one_piece_are_refused() -> None:
    with engine(REFERENCE) as speaker:
        _, events = speaker.say("turn on the light")
    with pytest.raises(ValueError, match="3 word times for 'turn on the light'"):
        spans("turn on the light", events)


def test_speak_times_lie_inside_and_in_order() -> None:
    for said in speak(voices("train", 0)[0], SentenceSource(set()), 30.0, seed=0):
        assert [word.label for word in said.words] == said.text.split()
        borders = [border for word in said.words for border in (word.start_s, word.end_s)]
        assert borders == sorted(borders)
        assert borders[0] >= 0.05
        assert borders[-1] < len(said.wav) / SAMPLE_RATE_HZ
        assert all(span.start_s <= span.end_s for span in said.phones)
        edges = (said.phones[0].start_s, said.phones[-1].end_s)
        assert edges == pytest.approx((borders[0], borders[-1]))


def test_speak_samples_equal_torchaudio_resampling() -> None:
    ensure()
    import torchaudio

    voice = voices("train", 0)[2]
    (said,) = speak(voice, SentenceSource(set()), 0.1, seed=0)
    raw = torch.frombuffer(bytearray(_say(voice, said.text)[0]), dtype=torch.int16).double()
    other = torchaudio.functional.resample(raw, espeak.SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, lowpass_filter_width=64)
    start = round((said.words[0].start_s) * SAMPLE_RATE_HZ)
    count = said.speaking.stop - said.speaking.start
    ours = torch.from_numpy(said.wav[start : start + count]).double()
    other = other[:count] * (ours @ other[:count]) / (other[:count] @ other[:count])
    assert (ours - other).norm() < 0.02 * ours.norm()
