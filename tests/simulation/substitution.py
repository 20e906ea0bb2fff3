"""What a simulation puts in the place of the real world, all in one place, and takes away again.

Every module of the library that reads `time.monotonic`, `time.time` or the module `time` gets the loop's time instead;
the loop's clock stands in for `CLOCK`; `random` is seeded; the channel, the thread and the draw of the token source,
and gRPC's wait for a token are simulated. What keeps its real time: the age of `CallInfo`, which only observers read,
and the random number of the process in request ids.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final
from unittest import mock

from spanner_grpc_sessions.auth import token_source
from spanner_grpc_sessions.auth.credentials import TokenFetcher
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.calls import stub_channel_async
from spanner_grpc_sessions.runtime.clock import CLOCK
from spanner_grpc_sessions.transport import connection_async
from tests.simulation.loop import VirtualLoop
from tests.simulation.tokens import SimulatedSource, SimulatedWorker

_PACKAGE: Final = "spanner_grpc_sessions."


class _Time(ModuleType):
    """In the place of the module `time`."""

    def __init__(self, loop: VirtualLoop, wall: Callable[[], float]) -> None:
        super().__init__("time")
        self.monotonic = loop.time
        self.time = wall


class _Lines(logging.Handler):
    """Gives the lines of the library's log to a function."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


@contextlib.contextmanager
def simulated_world(
    loop: VirtualLoop,
    *,
    seed: int,
    wall: Callable[[], float],
    open_channel: Callable[..., Any],
    worker: type[SimulatedWorker],
    log: Callable[[str], None],
) -> Iterator[None]:
    """Put what is simulated in the place of what is real."""
    state = random.getstate()
    random.seed(seed)
    with contextlib.ExitStack() as stack:
        stack.callback(random.setstate, state)
        for module, name, value in _clocks(loop, wall):
            stack.enter_context(mock.patch.object(module, name, value))
        for target, name, value in (
            (CLOCK, "now", loop.time),
            (connection_async, "open_async_channel", open_channel),
            (token_source, "Worker", worker),
            (token_source, "TokenSource", SimulatedSource),
            (stub_channel_async, "waiting_for_token", lambda tokens, _: tokens),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        defaults = {"clock": wall, "timer": loop.time, "draw": random.random}
        for owner in (TokenFetcher, TokenSource):
            own: Any = owner.__init__.__kwdefaults__
            stack.enter_context(mock.patch.dict(own, {name: defaults[name] for name in own if name in defaults}))
        stack.enter_context(_told(log))
        yield


def _clocks(loop: VirtualLoop, wall: Callable[[], float]) -> Iterator[tuple[ModuleType, str, Any]]:
    """Yield every clock that a module of the library has, and what takes its place."""
    instead: list[tuple[Any, Any]] = [(time, _Time(loop, wall)), (time.monotonic, loop.time), (time.time, wall)]
    for module in [module for name, module in sys.modules.items() if name.startswith(_PACKAGE)]:
        for name, value in tuple(vars(module).items()):
            for real, simulated in instead:
                if value is real:
                    yield module, name, simulated


@contextlib.contextmanager
def _told(log: Callable[[str], None]) -> Iterator[None]:
    logger, handler = logging.getLogger(_PACKAGE[:-1]), _Lines(log)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
