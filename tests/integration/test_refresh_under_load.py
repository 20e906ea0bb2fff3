"""Tokens are renewed under load without anybody noticing: one request per renewal, and no call waits for it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour

_DATABASE = "projects/p/instances/i/databases/d"
_THREADS = 8
_RENEWALS = 3
_SLOWNESS = 0.3
_BOUND = 30.0


def _latencies(call: Callable[[], Any], is_over: Callable[[], bool]) -> list[float]:
    """Call from several threads until it is over, and return what each call took."""
    taken: list[list[float]] = [[] for _ in range(_THREADS)]
    deadline = time.monotonic() + _BOUND

    def work(mine: list[float]) -> None:
        while not is_over() and time.monotonic() < deadline:
            started = time.perf_counter()
            call()
            mine.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(itertools.chain(*taken))


def test_no_call_waits_for_a_renewal(colour: Colour) -> None:
    """With a token endpoint of 300 ms, over three renewals under eight threads, no call takes as long as one request.

    A call that waited for a token would take at least those 300 ms; a single one among thousands would show.
    """
    with LocalSpanner(token_lifetime=2.0) as local:
        account: Any = local.credentials()
        credentials = account.with_subject("user@example.com")
        local.faults.add_token(delay=_SLOWNESS, times=None)
        with colour.client(credentials, options=local.client_options()) as client:
            client.warm_up()
            before = local.token_requests
            latencies = _latencies(
                lambda: client.create_session(_DATABASE), lambda: local.token_requests >= before + _RENEWALS + 1
            )
            renewals = local.token_requests - before
        tokens = {call.header("authorization") for call in local.calls}
    assert renewals == _RENEWALS + 1
    # Each request gave a token, the last perhaps too late to be seen: none was asked for twice. The server forgets its
    # oldest calls, and with them the first tokens.
    assert 2 <= len(tokens) <= renewals + 1
    assert len(latencies) > 1000
    assert latencies[-1] < _SLOWNESS
