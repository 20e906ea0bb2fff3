"""The simulated token endpoint, and the token source that asks it: ours, but with a task in the place of its thread.

Simulated are the credentials, whose refresh takes no time, and the thread, whose task waits for the endpoint before it.
All else is the library's: when to ask, what to do with the answer, and who waits.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from random import Random
from typing import Any, Final

from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError, TransportError

from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.auth.worker import Work
from spanner_grpc_sessions.runtime.clock import TimedEvent
from tests.simulation.journal import Journal
from tests.simulation.ordered import OrderedSet

LIFETIME: Final = 3600.0
REVOKED: Final = float("-inf")
LONGEST_SILENCE: Final = 300.0
# Seconds before its expiry at which google-auth calls a token stale, and the longest time within which one is renewed.
_SOON: Final = 225.0
_RENEWED: Final = 900.0


class TokenEndpoint:
    """Gives tokens of an hour.

    Attributes:
        state: "up", "down" (no answer), "failing" (an error that passes) or "silent" (an answer after minutes).
        calm_since: when it last came to give tokens as it should.
    """

    def __init__(self, journal: Journal, now: Callable[[], float], random: Random) -> None:
        self.state = "up"
        self.calm_since = now()
        self._journal = journal
        self._now = now
        self._random = random
        self._expiry: dict[str, float] = {}

    def latency(self) -> float:
        """Return the seconds until the next answer."""
        return (
            self._random.uniform(60.0, LONGEST_SILENCE) if self.state == "silent" else self._random.uniform(0.01, 0.5)
        )

    def issue(self) -> str:
        """Return a new token, or raise as google-auth does."""
        self._journal.note("token", self.state)
        if self.state == "down":
            raise TransportError("the token endpoint does not answer")
        if self.state == "failing":
            raise RefreshError("the token endpoint failed", retryable=True)
        token = f"t{len(self._expiry) + 1}"
        self._expiry[token] = self._now() + LIFETIME
        return token

    def accepts(self, token: str) -> bool:
        """Return whether a server accepts a token."""
        return self.left_of(token) > 0

    def check(self, token: str) -> None:
        """Require of a call that its token does not expire soon, unless none could be had for a while."""
        left = self.left_of(token)
        if left == REVOKED:
            return
        calm = self.state == "up" and self._now() - self.calm_since > _RENEWED
        self._journal.require(left > _SOON or not calm, "a token is not renewed in time", f"{token}, {left:.0f} s left")

    def left_of(self, token: str) -> float:
        """Return for how many seconds a token is valid."""
        return self._expiry[token] - self._now()

    def revoke_all(self) -> None:
        """Have the server reject all tokens that there are."""
        self._journal.note("revoke")
        self.calm_since = self._now()
        self._expiry = dict.fromkeys(self._expiry, REVOKED)


class SimulatedCredentials(Credentials):
    """Credentials whose refresh asks the simulated endpoint."""

    def __init__(self, endpoint: TokenEndpoint, wall: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth is typed in part only
        self._endpoint = endpoint
        self._wall = wall

    def refresh(self, request: object) -> None:
        """Take a new token."""
        self.token = self._endpoint.issue()
        self.expiry = datetime.fromtimestamp(self._wall() + LIFETIME, tz=timezone.utc).replace(tzinfo=None)


class _Bell(threading.Condition):
    """A condition that also wakes a task."""

    def __init__(self, lock: Any) -> None:
        super().__init__(lock)
        self.listeners: weakref.WeakSet[SimulatedWorker] = weakref.WeakSet()

    def notify_all(self) -> None:
        super().notify_all()
        for listener in self.listeners:
            listener.rung.set()


class SimulatedSource(TokenSource):
    """The token source of the library, which notifies a task."""

    def _begin(self) -> None:
        super()._begin()
        self._changed = _Bell(self._lock)
        self._waiters = OrderedSet()  # type: ignore[assignment]  # in the place of a set


class SimulatedWorker:
    """In the place of `auth.worker.Worker`, and with its attributes: a task."""

    endpoint: TokenEndpoint

    def __init__(self, work: Work, changed: Any, closing: threading.Event) -> None:
        self.process = 0
        self.began: float | None = None
        self.rung = TimedEvent()
        self._work = weakref.ref(work)
        self._closing = closing
        changed.listeners.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def is_alive(self) -> bool:
        """Return whether the task goes on."""
        return not self._task.done()

    def join(self, timeout: float) -> None:
        """Do nothing: a task cannot be joined without a wait."""

    async def _run(self) -> None:
        while (work := self._work()) is not None:
            self.rung.clear()
            pause = work.pause(self)  # type: ignore[arg-type]  # in the place of a worker
            if pause is None:
                return
            if pause > 0:
                del work
                await self.rung.wait_within(pause)
                continue
            self.began = asyncio.get_running_loop().time()
            await self._answered()
            work.fetch(self)  # type: ignore[arg-type]  # in the place of a worker
            del work

    async def _answered(self) -> None:
        """Wait until the endpoint answers. The end of the source ends the wait, as it would not end the thread's."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.endpoint.latency()
        while loop.time() < until and not self._closing.is_set():
            self.rung.clear()
            await self.rung.wait_within(until - loop.time())
