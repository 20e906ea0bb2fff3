"""LocalSpanner: starts and stops the servers, and is what a test sees and controls."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from google.protobuf import json_format

from spanner_grpc_sessions.errors import InvalidValue, SpannerSessionsError, checks
from spanner_grpc_sessions.local.answers import (
    Answers,
    Columns,
    Rows,
    Statement,
    fits_statement,
    fits_table,
    new_answer,
)
from spanner_grpc_sessions.local.calls import Call
from spanner_grpc_sessions.local.certificates import Certificates, make_certificates
from spanner_grpc_sessions.local.data import DataRpcs
from spanner_grpc_sessions.local.faults import Faults, Gate
from spanner_grpc_sessions.local.servicer import Servicer
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.local.token_endpoint import TokenEndpoint
from spanner_grpc_sessions.local.tokens import Authority, LocalCredentials, ServiceAccount
from spanner_grpc_sessions.local.transactions import Transactions
from spanner_grpc_sessions.options import MAX_TIMEOUT, SCOPE_DATA, ClientOptions

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing itself only from Python 3.11 on

_HOST: Final = "127.0.0.1"
_SERVER_OPTIONS: Final = (
    # Two servers that silently share a port would answer in turn.
    ("grpc.so_reuseport", 0),
    # Clients keep idle connections alive; gRPC's own limit of one ping in five minutes would cut them off.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
)
# Without grace every connected client would print that it was cut off.
_GRACE: Final = 0.5

_Path = TypeVar("_Path", bound=str | os.PathLike[str])


class NotRunning(SpannerSessionsError, RuntimeError):
    """The local server was asked for something that exists only once it has started."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """What stays the same when a server is restarted."""

    authority: Authority
    certificates: Certificates
    tokens: TokenEndpoint


class LocalSpanner:
    """An in-memory Spanner server for tests, on this machine. A context manager.

    It knows the session RPCs, `SELECT 1`, and transactions, without their data. It has no SQL engine: tell it by
    `answer` and `answer_read` what to answer. With TLS it verifies the token of every call; without
    TLS it accepts every call, as Google's emulator does. After a stop it can be started again: sessions, keys, tokens,
    answers and addresses stay the same.

    Args:
        tls: use TLS, with a certificate made at the first start, and check tokens.
        clock: returns the time by which sessions age, in seconds since the epoch; None for wall time. `advance` adds
            to it. Tokens expire by real time.
        faults: faults planned in advance; None for none yet.
        port: the port to listen on, on 127.0.0.1; 0 for a free one.
        databases: names of the databases that exist; None if every well-formed name is one.
        workers: the number of threads that answer, and so of calls in progress, dropped ones included.
        token_lifetime: of the tokens that the token endpoint issues, in seconds.

    Attributes:
        faults: what the next calls meet; see `Faults`.

    Raises:
        InvalidValue: a number is out of range, or a name in `databases` is malformed (`InvalidName`).
        InvalidType: a value has the wrong type.
    """

    def __init__(
        self,
        *,
        tls: bool = True,
        clock: Callable[[], float] | None = None,
        faults: Faults | None = None,
        port: int = 0,
        databases: Iterable[str] | None = None,
        workers: int = 16,
        token_lifetime: float = 3600.0,
    ) -> None:
        existing = None if databases is None else checks.texts("databases", databases)
        self.faults: Faults = checks.optional("faults", faults, Faults) or Faults()
        self._tls = checks.boolean("tls", tls)
        self._clock = time.time if clock is None else clock
        checks.function("clock", self._clock)
        self._advanced = 0.0
        self._store = SessionStore(partial(secrets.token_urlsafe, 48), existing)
        self._answers = Answers()
        self._transactions = Transactions()
        self._data = DataRpcs(self._store, self._transactions, self._answers)
        self._calls: deque[Call] = deque(maxlen=10_000)
        self._gate = Gate()
        self._port = checks.whole("port", port, 0, 65535)
        self._workers = checks.whole("workers", workers, 1)
        self._token_lifetime = checks.number("token_lifetime", token_lifetime, 0, MAX_TIMEOUT)
        self._identity: _Identity | None = None
        self._running: ExitStack | None = None
        self._lifecycle = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._running is None else "running"
        return f"<LocalSpanner {_HOST}:{self._port} {'TLS' if self._tls else 'plaintext'} {state}>"

    def start(self) -> None:
        """Start the servers; does nothing if running.

        Raises:
            OSError: another program has taken the port of the token endpoint since the last stop.
            RuntimeError: gRPC cannot listen on the port.
        """
        with self._lifecycle:
            if self._running is None:
                with ExitStack() as stack:
                    self._start(stack)
                    self._running = stack.pop_all()

    def stop(self) -> None:
        """Stop the servers and all calls in progress at once, and end every thread; does nothing if not running."""
        with self._lifecycle:
            running, self._running = self._running, None
            if running is not None:
                running.close()

    @property
    def endpoint(self) -> str:
        """The address of the gRPC server, "127.0.0.1:port". It stays readable after `stop`.

        Raises:
            NotRunning: the server has never been started.
        """
        self._started()
        return f"{_HOST}:{self._port}"

    @property
    def root_certificates(self) -> bytes | None:
        """The certificate of the authority that clients must trust, as PEM; None without TLS.

        Raises:
            NotRunning: the server has never been started.
        """
        return self._started().certificates.root if self._tls else None

    def client_options(self, **changes: Any) -> ClientOptions:
        """Return options that make a client connect to this server.

        Args:
            **changes: other fields of `ClientOptions`, or other values for the ones set here.

        Raises:
            NotRunning: the server has never been started.
        """
        here = {"endpoint": self.endpoint, "plaintext": not self._tls, "root_certificates": self.root_certificates}
        return ClientOptions(**{**here, **changes})

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make Spanner clients of every language connect to this server.

        Raises:
            InvalidValue: the server uses TLS, which emulator clients do not.
            NotRunning: the server has never been started.
        """
        if self._tls:
            raise InvalidValue("SPANNER_EMULATOR_HOST makes clients connect in plaintext: use LocalSpanner(tls=False)")
        return {"SPANNER_EMULATOR_HOST": self.endpoint}

    def credentials(self) -> LocalCredentials:
        """Return credentials of the one service account that the server knows.

        They sign JWTs themselves or use the server's token endpoint, as the client prefers.

        Raises:
            NotRunning: the server has never been started.
        """
        identity = self._started()
        return identity.authority.account.credentials(identity.tokens.uri)

    def service_account_file(self, path: _Path) -> _Path:
        """Write the service account's key file, readable only by its owner, and return `path`.

        Raises:
            FileExistsError: the file exists; others might be able to read it.
            NotRunning: the server has never been started.
        """
        identity = self._started()
        with open(path, "x", encoding="ascii", opener=partial(os.open, mode=0o600)) as file:
            json.dump(identity.authority.account.key_file(identity.tokens.uri), file, indent=2)
        return path

    def issue_token(self, *, scopes: Iterable[str] = (SCOPE_DATA,), lifetime: float = 3600.0) -> str:
        """Return a new access token.

        Args:
            scopes: the OAuth scopes that it grants.
            lifetime: seconds of real time; 0 makes an expired token.

        Raises:
            InvalidType: `scopes` is not an iterable of str, or `lifetime` is not a number.
            InvalidValue: `lifetime` is negative or not finite.
            NotRunning: the server has never been started.
        """
        granted = checks.texts("scopes", scopes)
        return self._started().authority.issue(granted, checks.number("lifetime", lifetime, 0, inf, below=True))

    @property
    def token_uri(self) -> str:
        """The address where assertions of the service account are exchanged, "http://127.0.0.1:port/token".

        Raises:
            NotRunning: the server has never been started.
        """
        return self._started().tokens.uri

    @property
    def token_requests(self) -> int:
        """The number of requests that the token endpoint has received."""
        return 0 if self._identity is None else self._identity.tokens.requests

    @property
    def calls(self) -> list[Call]:
        """The last 10,000 calls that arrived, rejected ones included, the newest at the end."""
        return list(self._calls)  # in one step, because no Python code runs in between

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The sessions alive now, as in REST, multiplexed ones included."""
        return [json_format.MessageToDict(session) for session in self._store.alive(self.now)]

    @property
    def now(self) -> float:
        """The time by which sessions age, in seconds since the epoch."""
        return self._clock() + self._advanced

    def advance(self, seconds: float) -> None:
        """Make sessions older by `seconds`. Tokens do not age: they expire by real time, as in their clients.

        Raises:
            InvalidValue: `seconds` is negative or not finite.
        """
        seconds = checks.number("seconds", seconds, 0, inf, below=True)
        self._advanced += seconds  # in one step, because no Python code runs in between

    def forget(self, name: str) -> None:
        """Drop a session, as Spanner may do at any time.

        Raises:
            InvalidName: `name` is not a session name.
            InvalidValue: there is no such session.
        """
        self._store.forget(name)

    def drop_database(self, name: str) -> None:
        """Drop a database: calls about it, or about its sessions, then fail with "Database not found".

        Raises:
            InvalidName: `name` is not a database name.
        """
        self._store.drop_database(name)

    def answer(
        self,
        sql: Statement,
        *,
        columns: Columns | None = None,
        rows: Rows = (),
        row_count: int | None = None,
        error: str | None = None,
        message: str = "an answer of LocalSpanner",
        delay: float = 0.0,
        times: int | None = None,
        chunk_size: int | None = None,
        broken_after: int | None = None,
    ) -> None:
        """Tell the server what to answer to a statement.

        Answers with `times` are used first, in the order they were told; then the newest one without.

        Args:
            sql: the text of the statement, a compiled pattern of all of it, or a function of the `Call`. Blanks around
                the statement do not count.
            columns: the types of the columns by name, like `{"id": "INT64", "tags": "ARRAY<STRING>"}`.
            rows: sequences or mappings of Python values, None for NULL; or a function of the `Call` that returns them.
            row_count: the number of rows that a DML statement changes; None for what is no DML.
            error: canonical name of the status to answer with, instead.
            message: the text of that status.
            delay: seconds to wait first.
            times: how many calls get this answer; None for every one.
            chunk_size: the most characters in a piece of a streamed answer; None for one piece. A longer text is cut,
                as Spanner does.
            broken_after: the number of pieces after which a stream ends with the error; it can be resumed.

        Raises:
            InvalidType: an argument, or a value in `rows`, has the wrong type.
            InvalidValue: an unknown type or status, a number out of range, or a value that its column cannot have.
        """
        answer = new_answer(columns or {}, rows, row_count, error, message, delay, times, chunk_size, broken_after)
        self._answers.add(fits_statement(sql), answer)

    def answer_read(
        self,
        table: str,
        *,
        columns: Columns,
        rows: Rows = (),
        index: str = "",
        error: str | None = None,
        message: str = "an answer of LocalSpanner",
        delay: float = 0.0,
        times: int | None = None,
        chunk_size: int | None = None,
        broken_after: int | None = None,
    ) -> None:
        """Tell the server what to answer to reads of a table.

        A read gets the columns that it asks for, of as many rows as its limit allows. Its keys do not count: `rows` may
        be a function of the `Call`, whose `request` has them.

        Args:
            table: the name of the table.
            index: the name of the index that the read uses; "" for the primary key.
            columns, rows, error, message, delay, times, chunk_size, broken_after: see `answer`.

        Raises:
            InvalidType, InvalidValue: see `answer`.
        """
        answer = new_answer(columns, rows, None, error, message, delay, times, chunk_size, broken_after)
        self._answers.add(fits_table(table, index), answer)

    def clear_answers(self) -> None:
        """Forget all answers that were told."""
        self._answers.clear()

    def abort_transactions(self) -> int:
        """Abort the open read-write transactions, so that their next use fails with ABORTED; return how many."""
        return self._transactions.abort_all()

    def _started(self) -> _Identity:
        if self._identity is None:
            raise NotRunning("LocalSpanner has not been started: use it in a with statement, or call start()")
        return self._identity

    def _start(self, stack: ExitStack) -> None:
        identity = self._identity or self._new_identity()
        stack.enter_context(identity.tokens.running())
        workers = stack.enter_context(ThreadPoolExecutor(self._workers, thread_name_prefix="local-spanner"))
        server = grpc.server(workers, options=_SERVER_OPTIONS)
        authority = identity.authority if self._tls else None
        servicer = Servicer(self._store, self._data, lambda: self.now, authority, self.faults, self._gate, self._calls)
        servicer.register(server)
        address = f"{_HOST}:{self._port}"
        if self._tls:
            pair = (identity.certificates.server_key, identity.certificates.server)
            self._port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            self._port = server.add_insecure_port(address)
        server.start()
        stack.callback(lambda: server.stop(_GRACE).wait())
        self._gate.close()
        stack.callback(self._gate.open)
        self._identity = identity

    def _new_identity(self) -> _Identity:
        authority = Authority(ServiceAccount())
        tokens = TokenEndpoint(authority, self.faults, self._gate, self._token_lifetime)
        return _Identity(authority, make_certificates(), tokens)
