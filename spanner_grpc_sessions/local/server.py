"""LocalSpanner: the servers, their start and stop, and what a test can see and do."""

from __future__ import annotations

import json
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from google.protobuf import json_format

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.local.account import LocalCredentials
from spanner_grpc_sessions.local.calls import Call, CallLog
from spanner_grpc_sessions.local.certificates import Certificates
from spanner_grpc_sessions.local.clock import Clock
from spanner_grpc_sessions.local.faults import Faults
from spanner_grpc_sessions.local.gate import Gate
from spanner_grpc_sessions.local.identity import Identity, NotRunning
from spanner_grpc_sessions.local.servicer import Service, session_message
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.options import SCOPE_DATA, ClientOptions

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing itself only from Python 3.11 on

__all__ = ["LocalSpanner"]

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


class LocalSpanner:
    """A server that Spanner clients take for Spanner, on this machine, with sessions in memory. A context manager.

    It knows the five session RPCs, and `SELECT 1` to ping a session with. Over TLS it verifies the token of every call;
    without TLS it takes any call, as Google's emulator does. Start, stop and start again: sessions, keys, tokens and
    addresses stay the same, as if a server had been restarted.

    Args:
        tls: speak TLS, with a certificate made at the first start, and check tokens.
        clock: gives the time by which sessions grow old, in seconds since the epoch; None is wall time. `advance` adds
            to it. Tokens go by real time.
        faults: faults planned beforehand; None is none yet.
        port: to listen on, on 127.0.0.1; 0 is a free one.
        databases: names of the databases that exist; None lets every well-formed name be one.
        workers: threads that answer, and so the most calls in progress at a time, dropped ones included.
        token_lifetime: of the tokens that the token endpoint issues, in seconds.

    Attributes:
        faults: what the next calls meet; see `Faults`.

    Raises:
        InvalidValue: a number is out of its range, or a name in `databases` is no database name (`InvalidName`).
        InvalidType: `databases` is a single text.
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
        _check_range("port", port, 0, 65535)
        _check_range("workers", workers, 1, math.inf)
        _check_range("token_lifetime", token_lifetime, 0, 1e9)
        if isinstance(databases, str):
            raise InvalidType(f"databases must be several names, got the text {databases!r}")
        self.faults = Faults() if faults is None else faults
        self._tls = tls
        self._clock = Clock(time.time if clock is None else clock)
        self._store = SessionStore(partial(secrets.token_urlsafe, 48), databases)
        self._calls = CallLog()
        self._gate = Gate()
        self._port = port
        self._workers = workers
        self._token_lifetime = token_lifetime
        self._identity: Identity | None = None
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
        """Start the servers; nothing happens if they run.

        Raises:
            OSError: the port of the token endpoint was taken since the last stop.
            RuntimeError: gRPC cannot listen on the port.
        """
        with self._lifecycle:
            if self._running is None:
                with ExitStack() as stack:
                    self._start(stack)
                    self._running = stack.pop_all()

    def stop(self) -> None:
        """Stop the servers at once, calls in progress included, and end every thread; nothing happens if they rest."""
        with self._lifecycle:
            running, self._running = self._running, None
            if running is not None:
                running.close()

    @property
    def endpoint(self) -> str:
        """Where the gRPC server listens: "127.0.0.1:port". Stays readable after `stop`.

        Raises:
            NotRunning: the server has never been started.
        """
        self._started()
        return f"{_HOST}:{self._port}"

    @property
    def root_certificates(self) -> bytes | None:
        """PEM of the authority that clients must trust; None without TLS.

        Raises:
            NotRunning: the server has never been started.
        """
        return self._started().certificates.root if self._tls else None

    def client_options(self, **changes: Any) -> ClientOptions:
        """Return options that make a client connect here.

        Args:
            **changes: any further fields of `ClientOptions`, or other values for the ones set here.

        Raises:
            NotRunning: the server has never been started.
        """
        here = {"endpoint": self.endpoint, "plaintext": not self._tls, "root_certificates": self.root_certificates}
        return ClientOptions(**{**here, **changes})

    def environment(self) -> dict[str, str]:
        """Return the environment variables that point Spanner clients of every language here.

        Raises:
            InvalidValue: the server speaks TLS, which emulator clients do not.
            NotRunning: the server has never been started.
        """
        if self._tls:
            raise InvalidValue("SPANNER_EMULATOR_HOST makes clients speak plaintext: use LocalSpanner(tls=False)")
        return {"SPANNER_EMULATOR_HOST": self.endpoint}

    def credentials(self) -> LocalCredentials:
        """Return credentials of the one service account that the server knows.

        They sign JWTs themselves or ask the server's token endpoint, whichever the client prefers.

        Raises:
            NotRunning: the server has never been started.
        """
        identity = self._started()
        return identity.account.credentials(identity.tokens.uri)

    def service_account_file(self, path: _Path) -> _Path:
        """Write the service account's key file, readable for its owner only, and return `path`.

        Raises:
            FileExistsError: there is such a file; it might be readable for others.
            NotRunning: the server has never been started.
        """
        identity = self._started()
        content = identity.account.key_file(identity.tokens.uri)
        with open(path, "x", encoding="ascii", opener=partial(os.open, mode=0o600)) as file:
            json.dump(content, file, indent=2)
        return path

    def issue_token(self, *, scopes: Iterable[str] = (SCOPE_DATA,), lifetime: float = 3600.0) -> str:
        """Return a new access token.

        Args:
            scopes: what it is good for.
            lifetime: seconds of real time; 0 makes a token that has expired.

        Raises:
            NotRunning: the server has never been started.
        """
        return self._started().authority.issue(scopes, lifetime)

    @property
    def token_uri(self) -> str:
        """Where assertions of the service account are exchanged for tokens: "http://127.0.0.1:port/token".

        Raises:
            NotRunning: the server has never been started.
        """
        return self._started().tokens.uri

    @property
    def token_requests(self) -> int:
        """How many requests the token endpoint has received."""
        return 0 if self._identity is None else self._identity.tokens.requests

    @property
    def calls(self) -> list[Call]:
        """The calls that arrived, refused ones included, the newest at the end; the last 10,000 are kept."""
        return self._calls.list()

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The sessions alive now, as REST gives them, multiplexed ones included."""
        return [json_format.MessageToDict(session_message(session)) for session in self._store.alive(self.now)]

    @property
    def now(self) -> float:
        """The time by which sessions grow old, in seconds since the epoch."""
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Let sessions grow older by so many seconds. Tokens do not: they go by real time, as their holders do.

        Raises:
            InvalidValue: `seconds` is negative or not finite.
        """
        self._clock.advance(seconds)

    def forget(self, name: str) -> None:
        """Drop a session, as Spanner may do at any time.

        Raises:
            InvalidName: `name` is not a session name.
            InvalidValue: there is no such session.
        """
        self._store.forget(name)

    def drop_database(self, name: str) -> None:
        """Drop a database: calls about it, or about its sessions, then meet "Database not found".

        Raises:
            InvalidName: `name` is not a database name.
        """
        self._store.drop_database(name)

    def _started(self) -> Identity:
        if self._identity is None:
            raise NotRunning("LocalSpanner has not been started: use it in a with statement, or call start()")
        return self._identity

    def _start(self, stack: ExitStack) -> None:
        identity = self._identity or Identity.make(self.faults, self._gate, self._token_lifetime)
        stack.callback(identity.tokens.start())
        workers = ThreadPoolExecutor(self._workers, thread_name_prefix="local-spanner")
        stack.callback(workers.shutdown)
        server = grpc.server(workers, options=_SERVER_OPTIONS)
        authority = identity.authority if self._tls else None
        Service(self._store, self._clock, authority, self.faults, self._gate, self._calls).register(server)
        self._port = self._listen(server, identity.certificates)
        server.start()
        stack.callback(lambda: server.stop(_GRACE).wait())
        self._gate.close()
        stack.callback(self._gate.open)
        self._identity = identity

    def _listen(self, server: grpc.Server, certificates: Certificates) -> int:
        address = f"{_HOST}:{self._port}"
        if not self._tls:
            return server.add_insecure_port(address)
        pair = (certificates.server_key, certificates.server)
        return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not isinstance(value, int | float) or not lowest <= value <= highest:
        raise InvalidValue(f"{name} must be from {lowest} to {highest}, got {value!r}")
