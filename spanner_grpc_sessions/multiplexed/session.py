"""The multiplexed session: created once, replaced in the background. Mirrored by `session_async`."""

from __future__ import annotations

import copy
import random
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future, TimeoutError as FutureTimeout
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from spanner_grpc_sessions_pb import spanner_pb2_grpc

from spanner_grpc_sessions.calls.answers import rest_of
from spanner_grpc_sessions.calls.background import BackgroundCalls
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import PoolClosed, checks, copy_to_raise
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError, SessionNotFound
from spanner_grpc_sessions.multiplexed.rotation import (
    MultiplexedOptions,
    Rotation,
    Waiter,
    check_multiplexed,
    creation_failure,
    timed_out,
    watch_rotation,
)
from spanner_grpc_sessions.options import RetryOptions, check_timeout
from spanner_grpc_sessions.runtime.backoff import AFTER_FAILURE
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from spanner_grpc_sessions.runtime.fork import notice_fork, reset_after_fork, retain_after_fork
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.service import requests, rpcs
from spanner_grpc_sessions.service.names import check_database
from spanner_grpc_sessions.service.types import Session

if TYPE_CHECKING:
    import grpc
    from typing_extensions import Self, TypeVarTuple, Unpack

    _Args = TypeVarTuple("_Args")

_Result = TypeVar("_Result")
_JOIN_TIMEOUT: Final = 1.0


class MultiplexedSession:
    """A session for any number of transactions at a time. Safe to share between threads.

    A context manager. The session is created at the first use, once for all callers; if that fails, the next use tries
    again. It is replaced in the background before the server drops it; while that fails, the old one stays in use. It
    is never deleted: Spanner does not allow that.

    A forked child goes on with the same session, which works in any number of processes.

    Args:
        client: makes the calls. Closing the session does not close it.
        database: `projects/{project}/instances/{instance}/databases/{database}`.
        options: the age at which it is replaced, and its role.
        clock: for tests.

    Raises:
        InvalidName: `database` is not a database name.
        InvalidType: an argument has the wrong type.
    """

    def __init__(
        self,
        client: SessionsClient,
        database: str,
        *,
        options: MultiplexedOptions | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._client = checks.instance("client", client, SessionsClient)
        self._database = check_database(database)
        self._options = checks.optional("options", options, MultiplexedOptions) or MultiplexedOptions()
        self._clock = checks.instance("clock", clock, Clock)
        self._rotation = Rotation(self._options)
        caller = client._caller  # noqa: SLF001 - one library
        self._on_emulator = caller.connection.on_emulator
        self._watch = watch_rotation(self._rotation, caller.observer, caller.connection.address, database)
        self._session: Session | None = None
        # What `name` reads without the lock. It is set while a thread of this process replaces the session in time.
        self._name: str | None = None
        self._closed = False
        self._creation: Future[str] | None = None
        self._keeper: threading.Thread | None = None
        # Taken itself: the Condition's own `with` runs Python code after it has the lock, where a signal may raise.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._background = BackgroundCalls(client._caller)  # noqa: SLF001 - one library
        reset_after_fork(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed else self._current or "new"
        return f"<{type(self).__name__} {self._database} {state}>"

    def __del__(self) -> None:
        if getattr(self, "_keeper", None) is not None and not self._closed:
            text = f"unclosed {self!r}"
            self._end()
            warnings.warn(text, ResourceWarning, stacklevel=1, source=self)

    __reduce_ex__: Any = checks.uncopyable("share it, or hand its name to another process: any may use it")

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Self:
        """Create the session, if there is none. Idempotent.

        Raises:
            RpcError, CredentialsError, ClientClosed: it could not be created; the next use tries again.
            PoolError: the server has no multiplexed sessions; use a `SessionPool`.
            PoolClosed: it is closed.
        """
        self._require(lost=None)
        return self

    def close(self) -> None:
        """End the background work, and raise `PoolClosed` in callers that wait for the session. Idempotent.

        The session itself remains: Spanner does not allow deleting it.
        """
        keeper = self._end()
        self._background.end()
        if keeper is not None and keeper is not threading.current_thread():
            keeper.join(_JOIN_TIMEOUT)

    @property
    def name(self) -> str:
        """The name of the session: a plain read once it is open. The first use opens it, where a property can wait."""
        return self._name or self._require(lost=None)

    @property
    def resource(self) -> Session:
        """The session, as the body of REST's `sessions.create`."""
        self._require(lost=None)
        session: Session = copy.deepcopy(self._session)  # type: ignore[assignment]  # there is one by now
        return session

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The stub of the service, on the client's connections. A call that finds the session lost has it replaced."""
        return spanner_pb2_grpc.SpannerStub(self.channel())

    def channel(self, *, interceptors: Iterable[Any] = (), retry: RetryOptions | None = None) -> grpc.Channel:
        """Return a channel for stubs of your own, as the client's `channel`. It finds the loss of the session.

        Args:
            interceptors: gRPC's client interceptors, the first one outermost.
            retry: which failures are retried; None is `ClientOptions.stub_retry`.

        Raises:
            InvalidType: an interceptor or `retry` has the wrong type.
        """
        return self._client._caller.channel(self._report, retry, interceptors)  # noqa: SLF001 - one library

    def run(
        self,
        function: Callable[[MultiplexedSession, Unpack[_Args]], _Result],
        *args: Unpack[_Args],
        timeout: float | None = None,
    ) -> _Result:
        """Return the result of `function(session, *args)`, called again on another session if the session was lost.

        Args:
            function: called again from the start if the session was lost, so it must be safe to repeat.
            args: further arguments of the function.
            timeout: how long to wait for the session before each of the two calls, in seconds; None for no limit.

        Raises:
            SessionNotFound: both sessions were lost.
            PoolTimeout: there was no session in time. `__cause__` is why none could be created, if so.
            InvalidType: `function` cannot be called, or is a coroutine function or a generator function.
            Exception: whatever `open` or the function raises.
        """
        checks.function("function", function)
        limit = check_timeout(timeout)
        name = self._require(lost=None, timeout=limit)
        try:
            return function(self, *args)
        except SessionNotFound as error:
            if not error.concerns(name):
                raise
        if name == self._current:
            self._require(lost=name, timeout=limit)
        return function(self, *args)

    def invalidate(self, name: str) -> None:
        """Replace the session, because the server has lost it.

        Args:
            name: the name of the lost session. If it is not the current one, nothing happens: the session has been
                replaced already.

        Raises:
            RpcError, CredentialsError, ClientClosed: it could not be replaced yet; until then the name stays.
            PoolClosed: it is closed.
            InvalidType: `name` is not a str.
        """
        if checks.text("name", name) == self._current:
            self._require(lost=name)

    def after_fork(self) -> None:
        """Go on with the same session in a forked child."""
        retain_after_fork(self._background)
        self._background = BackgroundCalls(self._client._caller)  # noqa: SLF001 - one library
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._creation = self._keeper = None
        self._rotation.waiting.clear()
        # The thread of the parent did not follow: the next read starts one.
        self._name = None

    @property
    def _current(self) -> str | None:
        session = self._session
        return None if session is None else session["name"]

    def _require(self, lost: str | None, timeout: float | None = None) -> str:
        """Return the name of a session other than the lost one; if there is none, have it created and wait."""
        notice_fork()
        with self._lock:
            if self._closed:
                raise PoolClosed("the multiplexed session was closed")
            self._start_keeper()
            name = self._current
            if name is not None and name != lost:
                self._name = None if self._keeper is None else name
                return name
            news = "" if lost is None else self._rotation.lost()
            creates_itself = self._creation is None and self._keeper is None
            creation, since, waiter = self._begin_creation(), self._clock.now(), Waiter()
        self._announce(news)
        if creates_itself:
            self._create(creation)
        try:
            self._rotation.waiting.add(waiter)
            error = creation.exception(timeout)
        except FutureTimeout:
            failure = self._background.incidents.failure
            raise timed_out(self._database, timeout, failure) from failure
        finally:
            self._rotation.waiting.discard(waiter)
        if error is not None:
            raise copy_to_raise(creation_failure(error, self._database)) from error
        self._watch.tell("session_acquired", self._clock.now() - since)
        return creation.result()

    def _begin_creation(self) -> Future[str]:
        """Return the creation in flight. The keeper makes it: a caller that gives up does not end it for others."""
        if self._creation is None:
            self._creation = Future()
            self._changed.notify_all()
        return self._creation

    def _start_keeper(self) -> None:
        if self._keeper is None or not self._keeper.is_alive():
            keeper = threading.Thread(
                target=_keep,
                args=(weakref.ref(self), self._changed, self._clock),
                name="spanner-sessions-multiplexed",
                daemon=True,
            )
            try:
                keeper.start()
            except RuntimeError:
                return  # no thread can be started: callers create it themselves
            self._keeper = keeper

    def _report(self, failure: RpcError, name: str) -> None:
        notice_fork()
        if isinstance(failure, SessionNotFound) and failure.concerns(name):
            with self._lock:
                if name != self._current or self._closed:
                    return
                news = self._rotation.lost()
            # Before the keeper can tell that it was replaced.
            self._announce(news)
            with self._lock:
                if not self._closed:
                    self._start_keeper()
                    self._changed.notify_all()
        elif isinstance(failure, DatabaseNotFound) and name == self._current:
            with self._lock:
                news = self._rotation.database_gone(failure)
            self._announce(news)

    def _announce(self, news: str) -> None:
        # Never under the lock: a handler may take its time.
        if news:
            log.info("%s: %s", self._database, news)

    def _end(self) -> threading.Thread | None:
        with self._lock:
            self._closed = True
            self._watch.end()
            self._name = None
            creation, self._creation = self._creation, None
            if creation is not None:
                creation.set_exception(PoolClosed("the multiplexed session was closed"))
            self._changed.notify_all()
            return self._keeper

    def _work(self) -> bool:
        """Create a session if that is asked for or due; return whether the keeper should go on."""
        with self._lock:
            if self._closed:
                return False
            if self._clock.now() >= self._rotation.due:
                self._begin_creation()
            creation = self._creation
        if creation is not None:
            self._create(creation)
        # Without a session there is nothing to replace: the next attempt starts another thread.
        return self._keeper is threading.current_thread()

    def _create(self, creation: Future[str]) -> None:
        request = requests.create_session(self._database, None, self._options.creator_role, multiplexed=True)
        since = self._clock.now()
        try:
            answer = self._background.caller().call(rpcs.CREATE_OWN_SESSION, self._database, request)
            session: Session = rest_of(rpcs.CREATE_OWN_SESSION, answer)
            news = check_multiplexed(session, self._database, on_emulator=self._on_emulator)
        except BaseException as error:  # noqa: BLE001 - callers that wait get it, and the thread goes on
            self._failed(creation, error)
        else:
            seconds = self._clock.now() - since
            self._announce(news)
            self._succeeded(creation, session)
            self._watch.tell("sessions_created", 1, seconds)

    def _succeeded(self, creation: Future[str], session: Session) -> None:
        with self._lock:
            # Otherwise it was closed, and its callers know.
            if self._creation is not creation:
                return
            self._creation = None
            self._session, self._name = session, None if self._keeper is None else session["name"]
            self._background.incidents.failure = None
            news = self._rotation.created(self._clock.now(), random.random())  # noqa: S311 - jitter, not a secret
            creation.set_result(session["name"])
        self._announce(news)

    def _failed(self, creation: Future[str], error: BaseException) -> None:
        with self._lock:
            if self._creation is not creation:
                return
            self._creation, self._background.incidents.failure = None, error
            self._rotation.failed(self._clock.now(), random.random())  # noqa: S311 - jitter, not a secret
            if self._session is None:
                self._keeper = None
            creation.set_exception(error)
        if self._session is not None:
            failure = creation_failure(error, self._database)
            log.warning("the multiplexed session of %s could not be replaced: %s", self._database, failure)

    def _next_look(self) -> float:
        now = self._clock.now()
        return now if self._closed or self._creation is not None else self._rotation.next_look(now)


def _keep(reference: weakref.ref[MultiplexedSession], changed: threading.Condition, clock: Clock) -> None:
    """Create a session and replace it in time, as long as it is referenced; the body of its thread."""
    while True:
        try:
            if not _keep_once(reference, changed, clock):
                return
        except BaseException:  # noqa: BLE001, PERF203 - a clock or an observer of the user's
            log.exception("the keeper of a multiplexed session goes on after a failure")
            time.sleep(AFTER_FAILURE)


def _keep_once(reference: weakref.ref[MultiplexedSession], changed: threading.Condition, clock: Clock) -> bool:
    """Do what is due and wait; return whether there will be more to do."""
    session = reference()
    if session is None or not session._work():  # noqa: SLF001 - its own thread
        return False
    with changed:
        until = session._next_look()  # noqa: SLF001 - its own thread
        del session
        # This may have been the last reference: then nothing would wake the thread.
        if reference() is not None:
            clock.wait(changed, until)
    return True
