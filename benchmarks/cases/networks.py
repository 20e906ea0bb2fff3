"""What a network does to calls: a slow link, a token that has to be renewed, a server that starts again."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final

import grpc
import pytest
from google.auth import _helpers
from google.protobuf import json_format

from benchmarks.case import Block, Case, Target, Way, clocked
from benchmarks.environment import Environment
from benchmarks.peers import BARE, GOOGLE, OURS, PLUGIN, REQUEST, bare_stub, gapic_call
from benchmarks.servers import DATABASE, Server, fixed_server
from spanner_grpc_sessions import SessionsClient
from tests.support.clocks import WallClock
from tests.support.proxy import Proxy
from tests.support.token_server import TokenServer

__all__ = ["CASES"]

DELAY: Final = 0.025
THREADS: Final = 8
TOKEN_SECONDS: Final = 0.3
STALLED: Final = 0.8 * TOKEN_SECONDS
PAUSE: Final = 0.25
UNTIL_DUE: Final = 3600.0 - 200.0
"""Seconds after which a token of an hour is renewed: by this library 300 s before its end, by google-auth 225 s."""
DOWN: Final = 1.0
RETRY_AFTER: Final = 0.005
BARE_TOKEN: Final = (("authorization", "Bearer token"),)

Call = Callable[[], Any]
Make = Callable[[Server, Any, Environment], Call]


def _bare_call(server: Server, _: Any, environment: Environment) -> Call:
    stub = bare_stub(server, environment)
    return lambda: stub.CreateSession(REQUEST, metadata=BARE_TOKEN)


def _our_call(server: Server, credentials: Any, environment: Environment) -> Call:
    client = environment.enter_context(SessionsClient(credentials, options=server.options))
    return lambda: client.create_session(DATABASE)


def _plugin_call(server: Server, credentials: Any, environment: Environment) -> Call:
    stub = bare_stub(server, environment, server.with_plugin(credentials))
    return lambda: json_format.MessageToDict(stub.CreateSession(REQUEST))


def _google_call(server: Server, credentials: Any, environment: Environment) -> Call:
    return gapic_call(server, environment, credentials)


_MAKERS: Final[dict[str, Make]] = {BARE: _bare_call, OURS: _our_call, PLUGIN: _plugin_call, GOOGLE: _google_call}


def _first_calls(environment: Environment) -> Sequence[Way]:
    """Return the ways to a first session, each time with a new channel and without a token."""
    server, tokens = environment.fixed(), environment.enter_context(TokenServer())
    link = environment.enter_context(Proxy(server.address, delay=DELAY))
    token_link = environment.enter_context(Proxy(tokens.address, delay=DELAY))

    def first(make: Make) -> Block:
        credentials = server.asking_credentials(f"http://{token_link.endpoint}/token")
        with Environment() as once:
            block = clocked(lambda: make(server.at(link.endpoint), credentials, once)(), 1)  # noqa: PLW0108 - makes and calls
        return replace(block, figures={"round trips": block.seconds[0] / (2 * DELAY)})

    return [Way(name, partial(first, make)) for name, make in _MAKERS.items()]


class _Renewals:
    """A time that jumps for this library and for google-auth alike."""

    def __init__(self, environment: Environment) -> None:
        patch = pytest.MonkeyPatch()
        environment.callback(patch.undo)
        now: Callable[[], dt.datetime] = _helpers.utcnow
        self._clock, self._ahead = WallClock(patch), 0.0
        patch.setattr(_helpers, "utcnow", lambda: now() + dt.timedelta(seconds=self._ahead))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds
        self._clock.advance(seconds)


def _renewed(environment: Environment) -> Sequence[Way]:
    """Return the ways of calling while a token is renewed, which takes the endpoint 0.3 s."""
    server, time_ = environment.fixed(), _Renewals(environment)
    ways = []
    for name, make in _MAKERS.items():
        tokens = environment.enter_context(TokenServer())
        call = make(server, server.asking_credentials(tokens.uri), environment)
        ways.append(Way(name, partial(_under_renewal, call, tokens, time_)))
    return ways


def _under_renewal(call: Call, tokens: TokenServer, time_: _Renewals) -> Block:
    """Call from threads all the time; meanwhile the token comes to be renewed, and the endpoint is slow."""
    _settle(call)
    end, cpu = threading.Event(), time.process_time()

    def work() -> list[float]:
        seconds = []
        while not end.is_set():
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return seconds

    with ThreadPoolExecutor(THREADS) as executor:
        working = [executor.submit(work) for _ in range(THREADS)]
        time.sleep(PAUSE)
        tokens.open.clear()
        time_.advance(UNTIL_DUE)
        time.sleep(TOKEN_SECONDS)
        tokens.open.set()
        time.sleep(PAUSE)
        end.set()
    seconds = [second for thread in working for second in thread.result()]
    stalled = sum(second > STALLED for second in seconds)
    return Block(seconds, len(seconds), (time.process_time() - cpu) / len(seconds), {"stalled calls": stalled})


def _settle(call: Call) -> None:
    """Call until a token that other ways' blocks have let expire is a new one, in the background too."""
    for _ in range(20):
        call()
        time.sleep(0.005)


class _Restarts:
    """A server that ends and starts again on its port."""

    def __init__(self, environment: Environment) -> None:
        self._stack = environment.enter_context(contextlib.ExitStack())
        self.server = self._stack.enter_context(fixed_server())
        self._port = int(self.server.address.rpartition(":")[2])

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """End the server, and start it again after the block."""
        self._stack.close()
        yield
        self._stack.enter_context(fixed_server(port=self._port))


def _recoveries(environment: Environment) -> Sequence[Way]:
    """Return the ways of calling on and on while a server is away for a second."""
    restarts = _Restarts(environment)
    server = restarts.server
    calls = {name: make(server, server.credentials(), environment) for name, make in _MAKERS.items()}
    return [Way(name, partial(_recovery, call, restarts)) for name, call in calls.items()]


def _recovery(call: Call, restarts: _Restarts) -> Block:
    call = partial(_until_answered, call)
    call()
    up, back = threading.Event(), [0.0]

    def work() -> int:
        failures = 0
        while not up.is_set():
            failures += call()
        failures += call()
        back[0] = time.perf_counter()
        return failures

    with ThreadPoolExecutor(1) as executor:
        with restarts.down():
            working = executor.submit(work)
            time.sleep(DOWN)
        returned = time.perf_counter()
        up.set()
        failures = working.result()
    return Block([max(back[0] - returned, 1e-4)], 1, None, {"failed calls": failures})


def _until_answered(call: Call) -> int:
    """Call until there is an answer, and return how many calls failed."""
    for failures in range(10_000):
        try:
            call()
        except (grpc.RpcError, Exception):  # noqa: BLE001, PERF203 - each client has its own errors
            time.sleep(RETRY_AFTER)
        else:
            return failures
    raise RuntimeError("the server did not come back")


CASES: Final = (
    Case(
        "link", "network", "A first session over a link of 25 ms each way, with a token from an endpoint as far away",
        "Connection, TLS, token and call; the bare stub has its token already. Names are looked up on this machine.",
        _first_calls, BARE, seconds=15, distribution=False, unit="start", targets=(
            Target("first session over a slow link: round trips", OURS, None, "round trips", most=4.5),
            Target("first session over a slow link: over the bare stub with a token", OURS, BARE, most=1.10),
        ),
    ),
    Case(
        "renewal", "network", f"Calls from {THREADS} threads while a token is renewed, which takes the endpoint 0.3 s",
        "In each block of 0.8 s one token comes to be renewed. Stalled calls took longer than 0.24 s. The bare stub "
        "has a token that never ends.",
        _renewed, BARE, seconds=20, rounds=4, distribution=True, targets=(
            Target("renewal of a token: calls that wait for it", OURS, None, "stalled calls", most=0),
        ),
    ),
    Case(
        "recovery", "network", "The first answer after a server was away for a second",
        "From the moment when the server listens again. The caller repeats a failed call after 5 ms, so what counts "
        "is how soon a client connects again. A move of the server to another address is not shown.",
        _recoveries, BARE, seconds=20, rounds=4, unit="start", targets=(
            Target("restart of the server: seconds to the first answer", OURS, None, most=1.0),
        ),
    ),
)  # fmt: skip
