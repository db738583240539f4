"""The page in headless Chromium, used as people do: choosing, dropping, recording, reading, downloading."""

from __future__ import annotations

import io
import json
import re
import shutil
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from asr_ligru.decode.transcribe import transcribe
from asr_ligru.models.load import LoadedModel
from asr_ligru.serve.hear import Ear
from tests.serve.browser import PROGRAM, Browser, Page
from tests.serve.conftest import Running, wait_until

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")

_READY = "document.querySelector('#about').textContent.startsWith('with')"
_SHOWN = "!document.querySelector('#result').hidden"
_FAILED = "!document.querySelector('#error').hidden"
_WORDS = "[...document.querySelectorAll('.word')].map((word) => word.textContent)"


@pytest.fixture(scope="module")
def recording(shared: Path) -> Path:
    return shared / "corpora" / "an4" / "wav" / "an4test_clstk" / "fvap" / "cen2-fvap-b.flac"


@pytest.fixture(scope="module")
def browser(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    spoken = shared / "corpora" / "audio_fixtures" / "generated" / "pcm16.wav"
    made = Browser(folder / "profile", f"--use-file-for-fake-audio-capture={spoken}")
    yield made
    made.close()


@pytest.fixture
def page(browser: Browser, server: Running) -> Page:
    page = browser.open(server.url)
    page.wait(_READY)
    return page


def words_of(model: LoadedModel, path: Path) -> list[str]:
    return [word.text for segment in transcribe(model, path) for word in segment.words]


def test_page_shows_what_is_said_in_a_chosen_file(page: Page, model: LoadedModel, recording: Path) -> None:
    page.choose("#file", recording)
    page.wait(_SHOWN)
    expected = words_of(model, recording)
    assert len(expected) > 2
    assert page.run(_WORDS) == expected
    assert page.text("#title") == recording.name
    assert "0:02 of audio" in page.text("#status")
    page.click("#details summary")
    page.wait(f"document.querySelectorAll('#rows tr').length === {len(expected)}")
    assert re.search(r"^\S+\t\d\.\d\d\t\d\.\d\d\t\d+ %$", page.text("#rows").splitlines()[0])
    drawn = "document.querySelector('#wave').getContext('2d').getImageData(0, 0, 500, 80).data.some((x) => x > 0)"
    assert page.run(drawn)
    assert page.complaints() == []


def test_page_plays_from_the_word_that_is_chosen_with_the_keyboard(page: Page, recording: Path) -> None:
    page.choose("#file", recording)
    page.wait(_SHOWN)
    page.wait("document.querySelector('#player').readyState >= 2")
    page.run("document.querySelector('.word').focus()")
    page.press("ArrowRight")
    start = page.run("document.activeElement.title.split(' ')[0]")
    assert page.run("document.activeElement === document.querySelectorAll('.word')[1]")
    page.press("Enter")
    page.wait("document.querySelector('#player').played.length > 0")
    assert page.run("document.querySelector('#player').played.start(0)") == pytest.approx(float(start), abs=0.05)
    page.press("End")
    assert page.run("document.activeElement === [...document.querySelectorAll('.word')].at(-1)")
    assert page.run("document.querySelectorAll('.word[tabindex=\"0\"]').length") == 1


def test_page_takes_a_dropped_file_and_inserts_its_name_as_text(
    page: Page, model: LoadedModel, recording: Path, tmp_path: Path
) -> None:
    path = tmp_path / "<img src=x onerror=document.title='owned'>.flac"
    shutil.copyfile(recording, path)
    page.drop(path)
    page.wait(_SHOWN)
    assert page.run(_WORDS) == words_of(model, recording)
    assert page.text("#title") == path.name
    assert page.run("document.title + document.querySelectorAll('img').length") == "Transcribe0"


def test_page_saves_subtitles_that_the_server_wrote(
    page: Page, browser: Browser, server: Running, recording: Path, tmp_path: Path
) -> None:
    browser.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.choose("#file", recording)
    page.wait(_SHOWN)
    answer = server.upload(recording.read_bytes(), recording.name).json
    for kind in ("srt", "vtt", "txt", "json"):
        page.click(f"[aria-label='Download {kind}']")
        path = tmp_path / f"{recording.stem}.{kind}"
        wait_until(path.exists)
        text = path.read_text(encoding="utf-8")
        assert (json.loads(text) if kind == "json" else text) == answer[
            "transcript" if kind == "json" else "files"
        ] or (text == answer["files"][kind])


def test_page_records_the_microphone_without_any_extra(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    hear = Ear.hear

    def overhear(ear: Ear, file: BinaryIO, name: str, stop: threading.Event) -> dict[str, Any]:
        sent.append(file.read() if not file.seek(0) else b"")
        return hear(ear, file, name, stop)

    monkeypatch.setattr(Ear, "hear", overhear)
    page.click("#record")
    page.wait("/Stop 0:0[1-9]/.test(document.querySelector('#record').textContent)")
    page.click("#record")
    page.wait(_SHOWN)
    with wave.open(io.BytesIO(sent[0])) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        heard_s = file.getnframes() / file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert heard_s >= 1.0
    assert np.abs(samples).max() > 1000  # the recording that Chromium's microphone plays, not silence
    assert page.text("#title").startswith("recording ")
    assert f"0:{int(heard_s):02d} of audio" in page.text("#status")
    assert page.complaints() == []


def test_page_shows_why_a_file_is_no_good(page: Page, shared: Path) -> None:
    for name, reason in (
        ("truncated_half.wav", "truncated: 103680 bytes of audio expected"),
        ("html_error_page.flac", "not an audio file that can be read"),
        ("nan_inf_float.wav", "samples are NaN or Inf"),
    ):
        page.choose("#file", shared / "corpora" / "audio_fixtures" / "malformed" / name)
        page.wait(f"{_FAILED} && document.querySelector('#error').textContent.includes('{name}')")
        assert reason in page.text("#error")
        page.wait("document.querySelector('#result').hidden && !document.querySelector('#record').disabled")


def test_page_refuses_what_is_too_large_without_sending_it(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(bytes(1_000_001))
    page.choose("#file", path)
    page.wait(_FAILED)
    assert "at most 1 MB" in page.text("#error")


@pytest.mark.parametrize("is_dark", [False, True])
def test_page_at_phone_width_needs_no_sideways_scrolling(
    browser: Browser, server: Running, recording: Path, is_dark: bool
) -> None:
    page = browser.open(server.url, width=360, height=700, dark=is_dark)
    page.wait(_READY)
    page.choose("#file", recording)
    page.wait(_SHOWN)
    assert page.run("document.scrollingElement.scrollWidth") <= 360
    paper = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(paper) < 64) is is_dark
    heights = page.run("[...document.querySelectorAll('#drop button, #drop .button')].map((b) => b.offsetHeight)")
    assert min(heights) >= 44


def test_page_names_everything_for_screen_readers(page: Page, recording: Path) -> None:
    page.choose("#file", recording)
    page.wait(_SHOWN)
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    found = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]
    controls = [(role, name) for role, name in found if role in ("button", "region", "slider", "progressbar")]
    assert ("heading", "Transcribe") in found
    assert ("button", "Record") in found
    assert ("button", "Download srt") in found
    assert [role for role, name in controls if not name] == []
