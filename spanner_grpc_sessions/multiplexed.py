"""One session for everything: the multiplexed session, kept young in the background. `multiplexed_async` mirrors it."""

from __future__ import annotations

import copy
import logging
import random
import threading
import weakref
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Final

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.clocks import CLOCK, Clock
from spanner_grpc_sessions.errors import InvalidType, short
from spanner_grpc_sessions.forks import begin_anew_after_fork
from spanner_grpc_sessions.multiplexed_age import MultiplexedAge
from spanner_grpc_sessions.names import check_database
from spanner_grpc_sessions.pool_errors import PoolClosed, PoolError
from spanner_grpc_sessions.pool_options import MultiplexedOptions
from spanner_grpc_sessions.resources import Session
from spanner_grpc_sessions.rpc_errors import RpcError, SessionNotFound, Unimplemented
from spanner_grpc_sessions.stub_channel import StubChannel
from spanner_grpc_sessions.stubs import spanner_pb2_grpc

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MultiplexedSession"]

_log: Final = logging.getLogger("spanner_grpc_sessions")


class MultiplexedSession:
    """A session for any number of transactions at a time. Safe to share between threads.

    It is created at the first use, once however many callers come; if that fails, the next use tries again. In the
    background it is replaced before the server drops it; while that fails, the old one serves on. It is never deleted,
    for Spanner does not allow it. A context manager.

    Args:
        client: to make the calls with. It stays yours.
        database: `projects/{project}/instances/{instance}/databases/{database}`.
        options: how old it may become, and its role.
        clock: for tests.

    Raises:
        InvalidName: `database` is not a name of one.
        InvalidType: an argument is something else.
    """

    def __init__(
        self,
        client: SessionsClient,
        database: str,
        *,
        options: MultiplexedOptions | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        if not isinstance(client, SessionsClient):
            raise InvalidType(f"client must be a SessionsClient, got {short(client)}")
        if options is not None and not isinstance(options, MultiplexedOptions):
            raise InvalidType(f"options must be MultiplexedOptions or None, got {short(options)}")
        self._client = client
        self._database = check_database(database)
        self._options = options or MultiplexedOptions()
        self._clock = clock
        self._age = MultiplexedAge(self._options)
        self._name: str | None = None
        self._session: Session | None = None
        self._failure: Exception | None = None
        self._creating = self._closed = False
        self._keeper: threading.Thread | None = None
        self._changed = threading.Condition()
        begin_anew_after_fork(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed else self._name or "new"
        return f"<{type(self).__name__} {self._database} {state}>"

    def __del__(self) -> None:
        if hasattr(self, "_changed"):
            self._end()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> Self:
        """Create the session, if there is none. Idempotent.

        Raises:
            RpcError: it could not be created; the next use tries again.
            PoolError: the server has no multiplexed sessions; use a `SessionPool`.
            PoolClosed: it was closed.
        """
        self._require(lost=None)
        return self

    def close(self) -> None:
        """End what goes on in the background. Idempotent. The session stays: Spanner deletes none of them."""
        self._end()
        keeper = self._keeper
        if keeper is not None and keeper is not threading.current_thread():
            keeper.join(1.0)

    @property
    def name(self) -> str:
        """The session's name. A plain read, once `open` is done; the first use opens it, where a property can wait."""
        return self._name or self._require(lost=None)

    @property
    def resource(self) -> Session:
        """The session as REST's `sessions.create` answered it."""
        self._require(lost=None)
        session: Session = copy.deepcopy(self._session)  # type: ignore[assignment]  # there is one by now
        return session

    @cached_property
    def stub(self) -> spanner_pb2_grpc.SpannerStub:
        """The service's stub on the client's connections. A call that finds the session lost has it replaced."""
        path, connection = self._client._path, self._client._connection  # noqa: SLF001 - one library
        return spanner_pb2_grpc.SpannerStub(StubChannel(connection, path.outfitter(self._report)))

    def invalidate(self, name: str) -> None:
        """Replace the session, because the server no longer knows it.

        Args:
            name: of the session that was lost. If it is no longer the current one, nothing happens: somebody else saw
                the loss before.

        Raises:
            RpcError: there is no new one yet; the old name stays until there is.
        """
        if not isinstance(name, str):
            raise InvalidType(f"name must be a str, got {short(name)}")
        if name == self._name:
            self._require(lost=name)

    def after_fork(self) -> None:
        """Go on in a forked child with the same session, which serves any number of processes."""
        self._changed = threading.Condition()
        self._keeper = None
        self._creating = False
        # Read again by way of `_require`, which starts the thread that stayed in the parent.
        self._name = None

    def _require(self, lost: str | None) -> str:
        """Return the name of a session other than the lost one, creating it if nobody else does."""
        with self._changed:
            failure = self._failure
            while True:
                if self._closed:
                    raise PoolClosed("the multiplexed session was closed")
                if self._session is not None and self._session["name"] != lost:
                    self._name = self._session["name"]
                    self._start_keeper()
                    return self._name
                if self._failure is not failure and self._failure is not None:
                    raise copy.copy(self._failure) from self._failure
                if not self._creating:
                    self._creating = True
                    break
                self._changed.wait()
        return self._create()

    def _create(self) -> str:
        """Create a session outside of the lock, and put it in the place of the old one. The caller set `_creating`."""
        failure: Exception | None = None
        try:
            session = self._client.create_session(
                self._database, creator_role=self._options.creator_role, multiplexed=True
            )
        except Unimplemented as error:
            failure = PoolError(f"the server of {self._database} has no multiplexed sessions: use a SessionPool")
            raise failure from error
        except Exception as error:
            failure = error
            raise
        else:
            self._session, self._name = session, session["name"]
            return session["name"]
        finally:
            self._created(failure)

    def _created(self, failure: Exception | None) -> None:
        with self._changed:
            self._creating = False
            if failure is not None:
                self._failure = failure
                self._age.failed(self._clock.now(), random.random())  # noqa: S311 - jitter, not a secret
            elif self._name is not None:
                self._age.created(self._clock.now())
                self._start_keeper()
            self._changed.notify_all()

    def _report(self, failure: RpcError, name: str | None = None) -> None:
        if isinstance(failure, SessionNotFound) and name in {None, self._name}:
            with self._changed:
                self._age.lost()
                self._changed.notify_all()

    def _start_keeper(self) -> None:
        if self._keeper is None and not self._closed:
            self._keeper = threading.Thread(
                target=_keep,
                args=(weakref.ref(self), self._changed, self._clock),
                name="spanner-sessions-multiplexed",
                daemon=True,
            )
            self._keeper.start()

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _keep_young(self) -> bool:
        """Replace the session if that is due; return whether it is still to be kept."""
        with self._changed:
            if self._closed or self._creating or self._clock.now() < self._age.due:
                return not self._closed
            self._creating = True
        try:
            self._create()
        except Exception as error:  # noqa: BLE001 - the old session serves on, and another attempt follows
            _log.warning("the multiplexed session of %s could not be replaced: %s", self._database, error)
        return True

    def _next_look(self) -> float:
        now = self._clock.now()
        return now if self._closed else self._age.next_look(now)


def _keep(reference: weakref.ref[MultiplexedSession], changed: threading.Condition, clock: Clock) -> None:
    """Keep a session young for as long as anybody holds it; the body of its thread."""
    while (session := reference()) is not None and session._keep_young():  # noqa: SLF001 - its own thread
        with changed:
            until = session._next_look()  # noqa: SLF001 - its own thread
            del session
            # It may have been the last to hold it: then nobody is left who would wake it up.
            if reference() is not None:
                clock.wait(changed, until)
