"""Signals while a run is under way: the first asks, the second ends, and afterwards all is as before."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from asr_ligru.train.interrupt import Interrupted, StopRequest

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[int, object]]:
    """Return the handlers of now, with hangups heard even under nohup, and put all back whatever a test does."""
    before = {s: signal.getsignal(s) for s in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield {**before, signal.SIGHUP: signal.SIG_DFL}
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", SIGNALS)
def test_stop_notes_the_first_signal_and_goes_on(signum: int) -> None:
    with StopRequest() as stop, stop.later():
        assert stop.signum is None
        os.kill(os.getpid(), signum)
        assert stop.signum == signum


@pytest.mark.parametrize("signum", SIGNALS)
def test_stop_before_and_after_what_may_finish_ends_at_once(signum: int) -> None:
    with StopRequest() as stop:
        for _ in range(2):
            with pytest.raises(Interrupted) as caught:
                os.kill(os.getpid(), signum)
            assert caught.value.code == 128 + signum
            assert stop.signum is None
            with stop.later():
                pass


@pytest.mark.parametrize(("signum", "heard"), [(signal.SIGHUP, False), (signal.SIGINT, True)])
def test_stop_ignores_only_the_hangup_it_was_started_to_ignore(signum: signal.Signals, heard: bool) -> None:
    signal.signal(signum, signal.SIG_IGN)  # nohup ignores the one, a script's background job both
    with StopRequest() as stop, stop.later():
        os.kill(os.getpid(), signum)
        assert (stop.signum == signum) == heard


def test_stop_of_a_launched_process_hears_repeated_signals_once_and_the_end_of_its_launcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with StopRequest(launched=True) as stop, stop.later():
        assert stop.asked == 0
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked == signal.SIGINT
        monkeypatch.setattr(os, "getppid", lambda: 1)
        assert stop.asked == signal.SIGTERM
    with StopRequest() as stop:
        monkeypatch.setattr(os, "getppid", lambda: 2)
        assert stop.asked == 0


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_stop_ends_at_the_second_signal_with_its_code(first: int, second: int) -> None:
    with StopRequest() as stop, stop.later():
        os.kill(os.getpid(), first)
        with pytest.raises(SystemExit) as caught:
            os.kill(os.getpid(), second)
    assert caught.value.code == 128 + second


def test_stop_restores_the_handlers_also_after_an_error(handlers: dict[int, object]) -> None:
    with StopRequest():
        assert {s: signal.getsignal(s) for s in SIGNALS} != handlers
    with pytest.raises(ValueError, match="inside"), StopRequest():
        raise ValueError("inside")
    assert {s: signal.getsignal(s) for s in SIGNALS} == handlers


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (1, 129)])
def test_interrupted_ends_with_the_signals_code_and_is_no_ordinary_error(signum: int, code: int) -> None:
    error = Interrupted(signum)
    assert error.code == code
    assert not isinstance(error, Exception)  # so that no handler of errors takes it for one
