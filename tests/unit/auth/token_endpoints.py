"""A token endpoint in one function, and a clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from spanner_grpc_sessions.auth.token import Token, TokenHeaders
from spanner_grpc_sessions.auth.token_source import TokenSource

__all__ = ["DEADLINE", "FIRST", "SECOND", "Clock", "Endpoint", "fail", "in_thread", "token", "wait"]

DEADLINE = 20.0
"""Seconds after which a test that waits for another thread has failed."""


def token(text: str, *, renew_at: float, valid_until: float) -> Token:
    """Return a token whose headers can be told apart by `text`."""
    return Token((("authorization", f"Bearer {text}"),), renew_at, valid_until)


FIRST = token("first", renew_at=100.0, valid_until=200.0)
SECOND = token("second", renew_at=1100.0, valid_until=1200.0)


def wait(source: TokenSource, colour: str, timeout: float | None) -> TokenHeaders:
    """Wait for a token as a thread or as a task does; one that is left waiting fails the test."""
    if colour == "sync":
        return in_thread(source.wait, timeout).result()
    return asyncio.run(asyncio.wait_for(source.wait_async(timeout), DEADLINE))


class Clock:
    """A wall clock: `now` is what it shows."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time it shows."""
        return self.now


class Endpoint:
    """Fetches that wait until the test answers them.

    Attributes:
        calls: fetches that have begun.
        threads: the threads that they were made by.
        rejected: what each was told not to return.
    """

    def __init__(self, *answers: Token | BaseException) -> None:
        self.calls = 0
        self.rejected: list[TokenHeaders] = []
        self.threads: set[threading.Thread] = set()
        self._begun = threading.Semaphore(0)
        self._answers: queue.SimpleQueue[Token | BaseException] = queue.SimpleQueue()
        for answer in answers:
            self.answer(answer)

    def __call__(self, rejected: TokenHeaders = ()) -> Token:
        """Wait for the next answer, and return or raise it."""
        self.calls += 1
        self.rejected.append(rejected)
        self.threads.add(threading.current_thread())
        self._begun.release()
        answer = self._answers.get(timeout=DEADLINE)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def answer(self, answer: Token | BaseException) -> None:
        """Give the answer to a fetch that waits, or to one to come."""
        self._answers.put(answer)

    def await_fetch(self) -> None:
        """Wait until one more fetch has begun."""
        assert self._begun.acquire(timeout=DEADLINE), "no token was asked for"


def fail(source: TokenSource, endpoint: Endpoint, error: BaseException) -> None:
    """Let the fetch in flight fail, and return when the source has taken it in."""
    outcome = source._want()
    endpoint.answer(error)
    assert outcome.result(DEADLINE) is error


class in_thread:  # noqa: N801 - called like a function
    """Calls a function in a thread; `result()` returns or raises what it did."""

    def __init__(self, function: Callable[..., TokenHeaders], *args: Any) -> None:
        self._function = function
        self._args = args
        self._outcome: TokenHeaders | BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._function(*self._args)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._outcome = error

    def result(self) -> TokenHeaders:
        """Wait for the end of the function; return what it returned, raise what it raised."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the thread hangs"
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome
