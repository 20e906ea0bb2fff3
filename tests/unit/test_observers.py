"""Who watches calls: what an observer is told and when, what the log gets, and that it costs nothing without either."""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.error
from collections.abc import Iterator
from email.message import Message
from typing import Any

import grpc
import pytest

from spanner_grpc_sessions import ClientOptions
from spanner_grpc_sessions.errors import (
    ClientClosed,
    CredentialsError,
    InvalidName,
    InvalidType,
    InvalidValue,
    rpc as rpc_errors,
)
from spanner_grpc_sessions.errors.rpc import InvalidRequest, RpcError, SessionNotFound
from spanner_grpc_sessions.observers import CallInfo, Observation, Observer, observe
from tests.support.observing import Watcher

_LOGGER = "spanner_grpc_sessions"
_SESSION = "projects/p/instances/i/databases/d/sessions/s"
_WHAT = ("GetSession", _SESSION, "localhost:443")
_STATUSES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The library's logger at INFO, as in a service, until a test says otherwise."""
    logger = logging.getLogger(_LOGGER)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)


def _observe(observer: Observer | None = None) -> Observation:
    observation = observe(observer, *_WHAT)
    assert observation is not None
    return observation


def _rpc_error(status: str) -> RpcError:
    name = "".join(word.capitalize() for word in status.split("_"))
    error: RpcError = getattr(rpc_errors, name)("text", method="GetSession")
    return error


def test_a_call_begins_without_attempts() -> None:
    """Its start is now, by the monotonic clock, and nothing else is known yet."""
    before = time.monotonic()
    call = CallInfo(*_WHAT)
    assert before <= call.started <= time.monotonic()
    assert (call.method, call.resource, call.address) == _WHAT
    assert (call.request_id, call.attempts, call.error, call.status) == ("", 0, None, "OK")


def test_attempts_are_counted_and_the_last_request_id_kept() -> None:
    """Each attempt replaces the request id of the one before."""
    call = CallInfo(*_WHAT)
    for number in (1, 2, 3):
        call.attempt(f"1.0.1.1.1.{number}")
    assert (call.attempts, call.request_id) == (3, "1.0.1.1.1.3")


@pytest.mark.parametrize("status", _STATUSES)
def test_status_of_an_rpc_is_its_own(status: str) -> None:
    """Each class of failed RPCs has its canonical name."""
    assert CallInfo(*_WHAT, error=_rpc_error(status)).status == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SessionNotFound("gone", method="GetSession"), "NOT_FOUND"),
        (InvalidRequest("no such field", method="GetSession"), "INVALID_ARGUMENT"),
        (RpcError("aborted", method="GetSession", code=grpc.StatusCode.ABORTED), "ABORTED"),
        (CredentialsError("no token"), "UNAUTHENTICATED"),
        (InvalidName("no name"), "INVALID_ARGUMENT"),
        (InvalidValue("no value"), "INVALID_ARGUMENT"),
        (InvalidType("no type"), "INVALID_ARGUMENT"),
        (ClientClosed("closed"), "CANCELLED"),
        (asyncio.CancelledError(), "CANCELLED"),
        (GeneratorExit(), "CANCELLED"),
        (KeyboardInterrupt(), "CANCELLED"),
        (ZeroDivisionError(), "UNKNOWN"),
        (urllib.error.HTTPError("http://127.0.0.1", 404, "", Message(), None), "UNKNOWN"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_status_of_what_never_became_an_rpc_is_the_one_that_fits(error: BaseException, status: str) -> None:
    """Errors without a status get a canonical one too, so that every call can be counted by it."""
    assert CallInfo(*_WHAT, error=error).status == status


def test_a_call_without_an_observer_costs_nothing() -> None:
    """Without an observer, and with the log above DEBUG, there is no observation at all."""
    assert observe(None, *_WHAT) is None


def test_the_log_watches_at_debug() -> None:
    """DEBUG makes an observation, without headers."""
    logging.getLogger(_LOGGER).setLevel(logging.DEBUG)
    assert _observe().headers == ()


def test_an_observer_sees_begin_and_end() -> None:
    """It gives the headers, and gets its own mark back with the call that has ended."""
    watcher = Watcher()
    observation = _observe(watcher)
    assert observation.headers == (("x-watched", "yes"),)
    assert (watcher.begun, watcher.ended) == ([observation.call], [])
    error = CredentialsError("no token")
    observation.end(error)
    assert watcher.ended == [(observation.call, watcher.mark)]
    assert observation.call.error is error


def test_a_call_ends_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first end counts: a stream that is closed after its end has ended well, and is told once."""
    caplog.set_level(logging.DEBUG, logger=_LOGGER)
    watcher = Watcher()
    observation = _observe(watcher)
    observation.end()
    observation.end(GeneratorExit())
    assert len(watcher.ended) == len(caplog.records) == 1
    assert observation.call.status == "OK"


def test_a_call_ends_when_its_observer_raises(caplog: pytest.LogCaptureFixture) -> None:
    """An observer that fails at the end does not make a second one possible, nor does one that ends it once more."""
    caplog.set_level(logging.DEBUG, logger=_LOGGER)

    class Again(Watcher):
        def end(self, call: CallInfo, mark: Any) -> None:
            observation.end(GeneratorExit())
            raise ZeroDivisionError

    observation = _observe(Again())
    with pytest.raises(ZeroDivisionError):
        observation.end()
    observation.end(GeneratorExit())
    assert observation.call.status == "OK"
    assert len(caplog.records) == 1


def test_what_an_observer_raises_goes_to_the_caller() -> None:
    """Neither the begin nor the end of an observer may fail in silence."""

    class Broken(Watcher):
        def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
            if call.method == "CreateSession":
                raise ZeroDivisionError
            return (), None

        def end(self, call: CallInfo, mark: Any) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe(Broken(), "CreateSession", _SESSION, "localhost:443")
    observation = _observe(Broken())
    with pytest.raises(ZeroDivisionError):
        observation.end()


@pytest.mark.parametrize("observer", [None, Watcher()], ids=["alone", "beside an observer"])
def test_the_debug_line_tells_how_a_call_went(caplog: pytest.LogCaptureFixture, observer: Observer | None) -> None:
    """Method, resource, status, duration, attempts and request id, in one line."""
    caplog.set_level(logging.DEBUG, logger=_LOGGER)
    observation = _observe(observer)
    observation.call.started -= 2.0
    observation.call.attempt("1.0.1.1.1.1")
    observation.call.attempt("1.0.1.1.1.2")
    assert caplog.records == []
    observation.end(_rpc_error("UNAVAILABLE"))
    (record,) = caplog.records
    assert (record.name, record.levelno) == (_LOGGER, logging.DEBUG)
    line = record.getMessage()
    assert line.startswith(f"GetSession of {_SESSION}: UNAVAILABLE after 2")
    assert line.endswith(" ms, 2 attempts, request id 1.0.1.1.1.2")


def test_the_debug_line_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """What headers, marks and errors hold stays out of it: an error's text may be anything."""
    caplog.set_level(logging.DEBUG, logger=_LOGGER)

    class Secretive(Watcher):
        def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
            return (("x-key", "secret"),), "secret"

    observation = _observe(Secretive())
    observation.end(CredentialsError("the endpoint says secret"))
    (record,) = caplog.records
    assert "UNAUTHENTICATED" in record.getMessage()
    assert "secret" not in f"{record.getMessage()} {record.args} {record.exc_info}"


def test_options_take_what_has_begin_and_end() -> None:
    """Any object with both methods is an observer; another is refused by its type."""
    watcher = Watcher()
    assert isinstance(watcher, Observer)
    assert ClientOptions(observer=watcher).observer is watcher
    with pytest.raises(InvalidType, match="observer must have the methods begin and end, got str"):
        ClientOptions(observer="watcher")  # type: ignore[arg-type]  # the wrong type is the point
