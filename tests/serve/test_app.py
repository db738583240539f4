"""Uploads to a real server on loopback, sound, hostile and too many."""

from __future__ import annotations

import io
import json
import socket
import sys
import tempfile
import threading
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torch import Tensor

from asr_ligru.data import audio
from asr_ligru.decode.choose import make_decoder
from asr_ligru.decode.result import Result
from asr_ligru.decode.transcribe import transcribe
from asr_ligru.models.load import LoadedModel
from tests.serve.conftest import Running, Start, wait_until
from tests.tiny_corpus import SAMPLE_RATE_HZ, say


class Slow:
    """A decoder that waits until it is let go."""

    def __init__(self, model: LoadedModel) -> None:
        self._decoder = make_decoder(model)
        self.go = threading.Event()
        self.began = threading.Semaphore(0)
        self.num_done = 0

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        self.began.release()
        assert self.go.wait(30)
        self.num_done += 1
        return self._decoder(log_probs, log_prob_lens, n_best)


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    audio.write(path, say(["ab", "gh", "cd"], seed=5), SAMPLE_RATE_HZ)
    return path.read_bytes()


@pytest.fixture
def slow(model: LoadedModel) -> Slow:
    return Slow(model)


def silence(seconds: float) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(bytes(2 * round(seconds * SAMPLE_RATE_HZ)))
    return made.getvalue()


def test_upload_of_real_recording_equals_transcribe(server: Running, model: LoadedModel, shared: Path) -> None:
    path = shared / "corpora" / "an4" / "wav" / "an4test_clstk" / "fvap" / "cen2-fvap-b.flac"
    answer = server.upload(path.read_bytes(), "cen2 fvap.flac")
    assert answer.status == 200
    (expected,) = transcribe(model, path)
    assert expected.words
    transcript = answer.json["transcript"]
    assert transcript["text"] == expected.text == answer.json["files"]["txt"].rstrip("\n")
    assert transcript["id"] == "cen2 fvap.flac"
    got = [(w["text"], w["start_s"], w["end_s"], w["confidence"]) for w in transcript["segments"][0]["words"]]
    assert got == [(w.text, round(w.start_s, 3), round(w.end_s, 3), round(w.confidence, 3)) for w in expected.words]
    assert transcript["duration_s"] == pytest.approx(audio.probe(path).duration_s, abs=1e-3)
    assert answer.json["files"]["srt"].startswith("1\n00:00:0")
    assert answer.json["files"]["vtt"].startswith("WEBVTT\n")


def test_uploads_of_all_fixtures_end_as_their_manifest_says(server: Running, shared: Path) -> None:
    folder = shared / "corpora" / "audio_fixtures"
    rows = [line.split("\t") for line in (folder / "manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) == 94
    wrong = []
    for name, _, expected, *_ in rows:
        answer = server.upload((folder / name).read_bytes(), name)
        is_clear = answer.status == 200 or (answer.status in (400, 422) and answer.json["error"])
        allowed = {"ok": (200,), "error": (400, 422), "needs-format": (422,)}.get(expected, (200, 400, 422))
        if answer.status not in allowed or not is_clear:
            wrong.append((name, expected, answer.status, answer.body[:200]))
    assert not wrong


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "a\0b.wav", "<img src=x onerror=alert(1)>.wav", "x" * 5000, "CON", "\u202egnp"],
)
def test_file_name_of_client_only_comes_back_as_text(server: Running, tone: bytes, name: str) -> None:
    answer = server.upload(tone, name)
    assert answer.status == 200
    got = answer.json["transcript"]["id"]
    assert got == name[:200].replace("\0", "\\x00").replace("\u202e", "\\u202e")
    assert answer.headers["content-type"] == "application/json"


def test_upload_larger_than_allowed_is_refused_by_its_header(server: Running) -> None:
    answer = server.upload(bytes(1_000_001))
    assert answer.status == 413
    assert answer.json["error"] == "the file is too large: at most 1 MB are accepted"
    assert "--max-mb" in answer.json["fix"]


def test_upload_in_chunks_larger_than_allowed_is_refused(server: Running) -> None:
    answer = server.upload(iter([bytes(400_000)] * 3))  # http.client sends it in chunks
    assert answer.status == 413
    assert "1 MB" in answer.json["error"]


def test_recording_longer_than_allowed_is_refused(start: Start) -> None:
    server = start(max_seconds=2.0)
    assert server.upload(silence(2.0)).status == 200
    answer = server.upload(silence(2.1))
    assert answer.status == 413
    assert answer.json["error"] == "the recording is too long: at most 2 s are accepted"


def test_upload_without_body_is_refused(server: Running) -> None:
    answer = server.upload(b"")
    assert answer.status == 400
    assert "empty" in answer.json["error"]


def test_upload_beyond_queue_is_refused_and_others_are_answered(start: Start, slow: Slow, tone: bytes) -> None:
    server = start(slow, jobs=1, queue=3)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.upload, tone) for _ in range(3)]
        assert slow.began.acquire(timeout=30)
        wait_until(lambda: server.upload(b"").status == 429)
        refused = server.upload(tone)
        slow.go.set()
        assert [one.result().status for one in waiting] == [200, 200, 200]
    assert refused.json == {
        "status": 429,
        "error": "too many requests at once: 3 are being worked on, as many as are allowed",
        "fix": "try again in a moment",
    }
    assert refused.headers["retry-after"] == "5"
    assert server.upload(tone).status == 200


def test_uploads_beyond_total_bytes_are_refused(start: Start, slow: Slow, tone: bytes) -> None:
    server = start(slow, total_bytes=len(tone) + 10)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.upload, tone)
        assert slow.began.acquire(timeout=30)
        refused = server.upload(tone)
        slow.go.set()
        assert first.result().status == 200
    assert refused.status == 429
    assert "too many uploads" in refused.json["error"]


def test_uploads_at_once_all_get_their_own_answer(server: Running, model: LoadedModel, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.wav" for i in range(24)]
    for i, path in enumerate(paths):
        audio.write(path, say([("ab", "cd", "ef", "gh")[(i >> s) % 4] for s in range(1 + i % 5)], i), SAMPLE_RATE_HZ)
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda path: server.upload(path.read_bytes(), path.name), paths))
    assert [answer.status for answer in answers] == [200] * 24
    for path, answer in zip(paths, answers, strict=True):
        assert answer.json["transcript"]["id"] == path.name
        assert answer.json["transcript"]["text"] == " ".join(s.text for s in transcribe(model, path))


def test_work_longer_than_allowed_is_given_up(start: Start, slow: Slow, tone: bytes) -> None:
    server = start(slow, timeout_s=1.0)
    answer = server.upload(tone)
    slow.go.set()
    assert answer.status == 503
    assert answer.json["error"] == "not transcribed within 1 s"


def test_upload_that_stalls_is_given_up_and_frees_its_place(start: Start, tone: bytes) -> None:
    server = start(queue=1, stall_s=0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(b"POST /api/transcribe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n" + bytes(100))
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
        body = body or client.recv(65536)
    assert b" 408 " in head.splitlines()[0]
    assert "too slowly" in json.loads(body)["error"]
    assert server.upload(tone).status == 200


def test_client_that_goes_frees_its_place_and_is_not_transcribed(start: Start, slow: Slow, tone: bytes) -> None:
    server = start(slow, jobs=1, queue=2)
    head = f"POST /api/transcribe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(tone)}\r\n\r\n".encode()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.upload, tone)
        assert slow.began.acquire(timeout=30)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head + tone)
            wait_until(lambda: server.upload(b"").status == 429)
        wait_until(lambda: server.upload(b"").status == 400)
        slow.go.set()
        assert first.result().status == 200
    assert slow.num_done == 1


def test_fault_of_our_own_is_answered_as_json_without_details(start: Start, tone: bytes) -> None:
    def broken(log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        raise ZeroDivisionError("secret")

    server = start(broken)
    answer = server.upload(tone)
    assert answer.status == 500
    assert "fault of asr-ligru" in answer.json["error"]
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/transcribe", 405),
        ("POST", "/", 405),
        ("GET", "/../app.py", 404),
        ("GET", "/%2e%2e/app.py", 404),
        ("GET", "/page/index.html", 404),
    ],
)
def test_request_for_something_else_is_refused_as_json(server: Running, method: str, path: str, status: int) -> None:
    answer = server.ask(method, path)
    assert answer.status == status
    assert answer.json["status"] == status


def test_page_and_its_parts_are_served_with_strict_headers(server: Running) -> None:
    for path, kind in (("/", "html"), ("/page.css", "css"), ("/page.js", "javascript"), ("/api/about", "json")):
        answer = server.ask("GET", path)
        assert answer.status == 200
        assert kind in answer.headers["content-type"]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_page_names_no_other_site() -> None:
    folder = Path(__file__).parents[2] / "asr_ligru" / "serve" / "page"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}
    assert {"index.html", "page.css", "page.js"} <= texts.keys()
    for name, text in texts.items():
        assert "//" not in text.replace("// ", ""), name
        assert "innerHTML" not in text, name


def test_upload_to_a_full_disk_is_refused_as_such(
    server: Running, tone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full.open("w+b", buffering=0))
    answer = server.upload(tone)
    assert answer.status == 507
    assert "disk is full" in answer.json["error"]


def test_upload_that_needs_an_extra_names_it(server: Running, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    path = shared / "corpora" / "audio_fixtures" / "generated" / "opus.webm"
    answer = server.upload(path.read_bytes())
    assert answer.status == 503
    assert answer.json["fix"] == 'pip install "asr-ligru[media]"'
