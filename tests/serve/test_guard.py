"""Who may ask."""

from __future__ import annotations

import pytest

from asr_ligru.serve.guard import is_loopback
from tests.serve.conftest import Running


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:80", "10.0.0.7", "asr.example:80"]
)
def test_host_that_is_ours_is_answered(server: Running, host: str) -> None:
    assert server.ask("GET", "/", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "a@127.0.0.1", "127.0.0.1:x", "::1"],
)
def test_host_that_could_be_rebound_is_refused(server: Running, host: str) -> None:
    answer = server.ask("GET", "/", Host=host)
    assert answer.status == 421
    assert "--allow-host" in answer.json["fix"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_post_of_another_site_is_refused(server: Running, headers: dict[str, str]) -> None:
    answer = server.upload(b"x", **headers)
    assert answer.status == 403
    assert "another site" in answer.json["error"]


def test_post_of_own_page_or_of_a_program_is_heard(server: Running) -> None:
    own = {"Origin": server.url.rstrip("/"), "Sec_Fetch_Site": "same-origin"}
    assert server.upload(b"no audio", **own).status == 422
    assert server.upload(b"no audio").status == 422


def test_page_may_be_reached_by_a_link_of_another_site(server: Running) -> None:
    assert server.ask("GET", "/", Sec_Fetch_Site="cross-site").status == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", False),
        ("::", False),
        ("a", False),
    ],
)
def test_is_loopback_of_addresses(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
