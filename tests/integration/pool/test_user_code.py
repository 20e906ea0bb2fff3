"""Code of the user that a pool or a multiplexed session runs: it raises once or always, or hangs, and all serve on."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from google.auth.credentials import AnonymousCredentials, Credentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import SpannerSessionsError
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from tests.support.colours import Blocking, Colour
from tests.support.pools import Rig, multiplexed_of, pool_of, rig_of
from tests.support.waiting import WAIT, until

_LOGGER: Final = logging.getLogger("spanner_grpc_sessions")
# Where the code is, and whether what it raises goes to a caller.
_PLACES: Final = {
    "observer": True,
    "end of an observer": True,
    "observer of pools": False,
    "clock": True,
    "log": False,
    "credentials": False,
    "interceptor": True,
    "done callback": True,  # as in gRPC, where the call has ended before it is added, or in asyncio
}
_WORDS: Final = "raised by code of the user"


class UserError(Exception):
    """What code of the user raises."""


@dataclass
class UserCode:
    """Is called in the place of an observer, a clock and so on, and misbehaves while it is armed.

    Attributes:
        way: "once" raises at the first call, "always" at each, "hang" waits at the first call until it may go on.
        armed: whether it does.
        calls: how often it was called while it was armed.
        may_go_on: ends the hanging.
    """

    way: str
    armed: bool = False
    calls: int = 0
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, *_: object) -> None:
        """Misbehave."""
        if not self.armed:
            return
        self.calls += 1
        if self.way == "hang" and self.calls == 1:
            assert self.may_go_on.wait(2 * WAIT)
        elif self.way == "always" or (self.way == "once" and self.calls == 1):
            raise UserError(_WORDS)


class _Observer:
    """Is told of calls, and of pools; one of the three has the code."""

    def __init__(self, code: UserCode, place: str) -> None:
        of_pools: Any = code if place == "observer of pools" else _nothing
        self.watch_pool = self.sessions_created = of_pools
        self.session_acquired = self.session_released = self.acquire_timed_out = of_pools
        self._begin: Any = code if place == "observer" else _nothing
        self.end: Any = code if place == "end of an observer" else _nothing

    def begin(self, call: object) -> tuple[tuple[Any, ...], None]:
        self._begin()
        return (), None


def _nothing(*_: object) -> None:
    """Behave."""


class _Clock(Clock):
    def __init__(self, code: UserCode) -> None:
        super().__init__()
        true = self.now

        def now() -> float:
            code()
            return true()

        self.now = now


class _Credentials(Credentials):
    def __init__(self, code: UserCode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth
        self._code = code

    def refresh(self, request: Any) -> None:
        self._code()
        self.token = "a token"  # noqa: S105 - no secret


class _Interceptor(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, code: UserCode) -> None:
        self._code = code

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self._code()
        return continuation(client_call_details, request)


class _AsyncInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, code: UserCode) -> None:
        self._code = code

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self._code()
        return await continuation(client_call_details, request)


class _Used:
    """A pool or a multiplexed session of a rig, which a test uses and has lose its sessions."""

    def __init__(self, rig: Rig, server: LocalSpanner, kind: str, clock: Clock, code: UserCode, place: str) -> None:
        self._rig, self._server, self._code, self._place = rig, server, code, place
        self._is_pool = kind == "pool"
        self.errors: list[BaseException] = []
        self._target = (
            pool_of(rig.client, rig.database, clock=clock, min_size=2)
            if self._is_pool
            else multiplexed_of(rig.client, rig.database, clock=clock)
        )

    def open(self) -> None:
        """Create its sessions."""
        self._target.open()

    def use(self) -> None:
        """Make a call on a session."""
        if self._is_pool:
            lease = self._target.acquire(timeout=WAIT)
            try:
                self._query(lease)
            finally:
                self._target.release(lease)
        else:
            self.open()
            self._query(self._target)

    def use_and_lose(self) -> None:
        """Make a call, and another one on a session that the server has lost; keep what is raised."""
        for forgets in (False, True, False):
            if forgets:
                for session in self._rig.sessions:
                    self._server.forget(session["name"])
            try:
                self.use()
            except (SpannerSessionsError, UserError) as error:
                self.errors.append(error)

    def works(self) -> bool:
        """Return whether a call on a session succeeds."""
        try:
            self.use()
        except (SpannerSessionsError, UserError) as error:
            self.errors.append(error)
            return False
        return True

    def serves_meanwhile(self) -> None:
        """Check that other threads get a session."""
        if self._is_pool:
            lease = self._rig.start(self._target.acquire).result(WAIT)
            self._rig.start(self._target.release, lease).result(WAIT)
        else:
            assert self._rig.start(lambda: self._target.name).result(WAIT)

    def close(self) -> None:
        """Close it, which ends its background."""
        self._target.close()

    def _query(self, session: Any) -> None:
        name = session.name
        request = spanner_pb2.ExecuteSqlRequest(session=name, sql="SELECT 1")
        face = session if isinstance(session, Blocking) else self._rig.on(session)
        stub = face.stub
        if self._place == "interceptor":
            kind = _AsyncInterceptor if isinstance(self._rig.client, Blocking) else _Interceptor
            stub = self._on_channel(face, kind(self._code))
        if self._place == "done callback":
            self._call_with_callback(stub, request)
        else:
            stub.ExecuteSql(request, timeout=WAIT)

    def _on_channel(self, face: Any, interceptor: Any) -> Any:
        if not isinstance(self._rig.client, Blocking):
            return spanner_pb2_grpc.SpannerStub(face.channel(interceptors=[interceptor]))
        channel = face.channel(interceptors=[interceptor])
        return self._rig.on(self._rig.client._thread.call(spanner_pb2_grpc.SpannerStub, channel._target))

    def _call_with_callback(self, stub: Any, request: Any) -> None:
        if isinstance(self._rig.client, Blocking):
            self._rig.client._thread.call(self._await_with_callback, stub._target, request)
        else:
            future = stub.ExecuteSql.future(request, timeout=WAIT)
            future.add_done_callback(self._code)
            future.result()

    async def _await_with_callback(self, stub: Any, request: Any) -> None:
        call = stub.ExecuteSql(request, timeout=WAIT)
        call.add_done_callback(self._code)
        await call


@contextlib.contextmanager
def _filtered(code: UserCode) -> Iterator[None]:
    """Have each line of the log ask the code."""

    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            code()
            return True

    level, added = _LOGGER.level, Filter()
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.addFilter(added)
    try:
        yield
    finally:
        _LOGGER.removeFilter(added)
        _LOGGER.setLevel(level)


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize("way", ["once", "always", "hang"])
@pytest.mark.parametrize("kind", ["pool", "multiplexed session"])
def test_code_of_the_user_that_fails_or_hangs(
    plain: LocalSpanner,
    colour: Colour,
    place: str,
    way: str,
    kind: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Callers get its exceptions, or the log has them; afterwards all works, and it ends in its time."""
    # The first token is fetched as soon as the client is open.
    code = UserCode(way, armed=place == "credentials")
    options = plain.client_options(observer=_Observer(code, place) if "observer" in place else None)
    credentials: Any = _Credentials(code) if place == "credentials" else AnonymousCredentials()
    clock = _Clock(code) if place == "clock" else CLOCK
    with contextlib.ExitStack() as stack:
        rig = stack.enter_context(rig_of(colour, credentials, options, plain))
        if place == "log":
            stack.enter_context(_filtered(code))
        used = _Used(rig, plain, kind, clock, code, place)
        stack.callback(used.close)
        if place != "credentials":
            used.open()
        code.armed = True
        using = rig.start(used.use_and_lose)
        if way == "hang":
            until(lambda: code.calls)
            if place != "credentials" and colour.name == "sync":
                used.serves_meanwhile()
            code.may_go_on.set()
        using.result(WAIT)
        until(lambda: code.calls)
        code.armed = way == "hang"
        until(used.works)
        used.close()
        assert rig.background() == []
        assert _PLACES[place] or not [error for error in used.errors if isinstance(error, UserError)]
        # A first token that failed is fetched again before a call needs it: that concerns no caller.
        if way != "hang" and (place, way) != ("credentials", "once"):
            told = [caplog.text, capsys.readouterr().err, *(repr((e, e.__cause__)) for e in used.errors)]
            assert _WORDS in "".join(told)
