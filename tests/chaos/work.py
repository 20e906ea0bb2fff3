"""What a worker does: each kind of work asks for an answer that no other request has, and checks that it gets it."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import NotFound, SpannerSessionsError
from tests.chaos.books import Books, Wrong
from tests.chaos.faces import Face
from tests.chaos.lies import is_lie

__all__ = ["KINDS", "Site", "Worker"]

_T = TypeVar("_T")
_ROWS: Final = 3
# Seconds: the longest rest between two pieces of work, so that the machine is not what is measured.
_REST: Final = 0.5
_TIMEOUTS: Final = (0.5, 1.0, 2.0)


class Site:
    """What the workers of one form share.

    Attributes:
        face: the form.
        database: where sessions are made.
        client, pool, multiplexed: of this form, open.
        lied_to: whether the server may give wrong answers, so that only what it could not have said is wrong.
    """

    def __init__(self, face: Face, database: str) -> None:
        self.face = face
        self.database = database
        self.client: Any = None
        self.pool: Any = None
        self.multiplexed: Any = None
        self.lied_to = False


class Worker:
    """One worker: a thread or a task, with a session of its own.

    Args:
        site: what it uses.
        books: where it notes.
        name: a name that no other worker has.
        draw: what it does next.
    """

    def __init__(self, site: Site, books: Books, name: str, draw: random.Random) -> None:
        self._site = site
        self._face = site.face
        self._books = books
        self._name = name
        self._draw = draw
        self._number = 0
        self._own: str | None = None

    async def work(self, goes_on: Callable[[], bool]) -> None:
        """Work until the load ends, in a drawn order."""
        kinds = [kind for kind in KINDS if self._site.multiplexed is not None or kind != "multiplexed"]
        while goes_on():
            await self.once(self._draw.choice(kinds))
            await self._face.pause(self._draw.uniform(0.0, _REST))

    async def once(self, kind: str) -> None:
        """Do one piece of work. Errors of the library are noted; what it does next does not depend on them."""
        tag = f"{self._name}-{self._number}"
        self._books.release(tag)
        self._number += 1
        tag = f"{self._name}-{self._number}"
        try:
            await KINDS[kind](self, tag)
        except SpannerSessionsError:
            pass
        except Wrong as wrong:
            self._books.offend("wrong", f"{kind}: {wrong}")
        except Exception as error:  # noqa: BLE001 - what is not ours is what is looked for
            self._books.offend("foreign", f"{kind}: {error!r}")

    async def _ask(self, kind: str, ask: Callable[[float], Awaitable[_T]]) -> _T:
        """Make a call with a drawn timeout, and note how it ended."""
        timeout = self._draw.choice(_TIMEOUTS)
        control = self._books.threads if self._face.form == "sync" else self._books.tasks
        start = time.monotonic()
        try:
            answer = await ask(timeout)
        except Exception as error:
            self._books.took(f"{self._face.form} {kind}", start, timeout, control, error)
            raise
        self._books.took(f"{self._face.form} {kind}", start, timeout, control, None)
        return answer

    def _check(self, is_right: bool, answer: Any, expected: str) -> None:
        if not is_right and not (self._site.lied_to and is_lie(answer)):
            raise Wrong(f"expected {expected}, got {str(answer)[:300]}")

    async def calls(self, tag: str) -> None:
        """Create a session with a label of its own, look at it, and delete it."""
        client, wait = self._site.client, self._face.wait
        labels = {"tag": tag}
        session = await self._ask(
            "call", lambda s: wait(client.create_session(self._site.database, labels=labels, timeout=s))
        )
        self._check(session.get("labels") == labels, session, tag)
        name = session.get("name", "")
        if name.startswith(self._site.database):
            found = await self._ask("call", lambda s: wait(client.get_session(name, timeout=s)))
            self._check(found.get("name") == name, found, name)
            await self._ask("call", lambda s: wait(client.delete_session(name, timeout=s)))

    async def stub_calls(self, tag: str) -> None:
        """Query for a text of its own on a session of its own, by the stub of the client."""
        await self._on_own_session(self._query, "stub", tag)

    async def streams(self, tag: str) -> None:
        """Stream rows of a text of its own, on a session of its own."""
        await self._on_own_session(self._stream, "stream", tag)

    async def pools(self, tag: str) -> None:
        """Lease a session, which no other worker may have, and query on it."""
        pool, wait = self._site.pool, self._face.wait
        lease = await self._ask("acquire", lambda s: wait(pool.acquire(timeout=s)))
        name = lease.name
        self._books.lease(name, tag)
        try:
            self._check_name(name)
            await self._query("lease", lease.stub, name, tag)
        finally:
            self._books.release(tag)
            await wait(pool.release(lease))

    async def multiplexed(self, tag: str) -> None:
        """Query for a text of its own on the session that all share."""
        session = self._site.multiplexed
        name = session.name
        self._check_name(name)
        await self._query("multiplexed", session.stub, name, tag)

    def _check_name(self, name: str) -> None:
        """The library hands out no session of another database, whatever the server says."""
        if not name.startswith(f"{self._site.database}/sessions/"):
            raise Wrong(f"a session of another database: {name!r}")

    async def _on_own_session(self, ask: Callable[..., Awaitable[None]], kind: str, tag: str) -> None:
        client = self._site.client
        if self._own is None:
            ask_for = client.create_session
            session = await self._ask("call", lambda s: self._face.wait(ask_for(self._site.database, timeout=s)))
            name = session.get("name", "")
            self._own = name if name.startswith(self._site.database) else None
        if self._own is not None:
            try:
                await ask(kind, client.stub, self._own, tag)
            except NotFound:
                self._own = None
                raise

    async def _query(self, kind: str, stub: Any, name: str, tag: str) -> None:
        request = spanner_pb2.ExecuteSqlRequest(session=name, sql=f"SELECT '{tag}'")
        answer = await self._ask(kind, lambda s: self._face.wait(stub.ExecuteSql(request, timeout=s)))
        values = [value.string_value for row in answer.rows for value in row.values]
        self._check(values == [tag], answer, tag)

    async def _stream(self, kind: str, stub: Any, name: str, tag: str) -> None:
        request = spanner_pb2.ExecuteSqlRequest(session=name, sql=f"SELECT '{tag}' FROM UNNEST([1, 2, 3])")  # noqa: S608 - ours
        parts = await self._ask(kind, lambda s: self._face.collect(stub.ExecuteStreamingSql(request, timeout=s)))
        values = [value.string_value for part in parts for value in part.values]
        self._check(values == [tag] * _ROWS, parts, tag)


KINDS: Final[dict[str, Callable[[Worker, str], Awaitable[None]]]] = {
    "calls": Worker.calls,
    "stub calls": Worker.stub_calls,
    "streams": Worker.streams,
    "pools": Worker.pools,
    "multiplexed": Worker.multiplexed,
}
