"""Tokens are renewed under load by one request each, and no call waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from spanner_grpc_sessions import SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.clocks import WallClock
from tests.support.colours import Colour
from tests.support.proxy import Proxy
from tests.support.waiting import WAIT, until

_DATABASE = "projects/p/instances/i/databases/d"
_THREADS = 8
# Seconds that pass for the client until it renews its token, at the latest 300 s ahead, and has not lost it yet. A
# token lives for an hour of the endpoint's time, so for the client, whose clock is ahead by then, the second one has
# 290 s left, and is renewed after 145 s to 194 s.
_LEAPS = (3600.0 - 290.0, 200.0)
# More than may have been under way when the renewal began.
_CALLS = 20


@contextmanager
def _calling(client: SessionsClient) -> Iterator[list[int]]:
    """Make calls from several threads all the time; give how many each thread has made."""
    made, stop = [0] * _THREADS, threading.Event()

    def work(thread: int) -> None:
        while not stop.is_set():
            client.create_session(_DATABASE)
            made[thread] += 1

    with ThreadPoolExecutor(_THREADS) as threads:
        working = [threads.submit(work, thread) for thread in range(_THREADS)]
        try:
            yield made
        finally:
            stop.set()
        for each in working:
            each.result(WAIT)


def _await_calls(made: list[int], more: int) -> None:
    """Wait until each thread has made so many more calls."""
    before = list(made)
    until(lambda: all(now >= then + more for now, then in zip(made, before, strict=True)))


def test_no_call_waits_for_a_renewal(local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the token endpoint says nothing, eight threads go on; then they have the new token, after one request."""
    clock = WallClock(monkeypatch)
    account: Any = local.credentials()
    host = local.token_uri.split("/")[2]
    with Proxy(host) as endpoint:
        credentials = account.with_subject("user@example.com")
        credentials = credentials.with_token_uri(local.token_uri.replace(host, endpoint.endpoint))
        with colour.client(credentials, options=local.client_options()) as client:
            client.warm_up()
            with _calling(client) as made:
                until(lambda: all(made))
                for renewal, seconds in enumerate(_LEAPS, 1):
                    endpoint.stall()
                    clock.advance(seconds)
                    until(lambda: endpoint.accepted == 1 + renewal)  # noqa: B023 - called before the next
                    old = local.calls[-1].header("authorization")
                    _await_calls(made, _CALLS)
                    assert local.calls[-1].header("authorization") == old
                    endpoint.resume()
                    until(lambda: local.calls[-1].header("authorization") != old)  # noqa: B023
                    # No thread still has a call under way that began with the old token.
                    _await_calls(made, 2)
            assert local.token_requests == 1 + len(_LEAPS)
