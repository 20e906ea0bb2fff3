"""What the doctor knows of a case so far: each step adds to it."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from spanner_grpc_sessions.auth.http import HttpRequest
from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.transport.channel import Target

if TYPE_CHECKING:
    from google.auth.credentials import Credentials


class Request:
    """google-auth's HTTP transport, which looks at the clocks of those that it asks.

    Attributes:
        skew: by how many seconds this machine's clock is ahead, None if that is not known.
        inner: makes the requests.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.skew: float | None = None
        self.inner: HttpRequest = HttpRequest()
        self._clock = clock

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a request, as `google.auth.transport.Request`."""
        answer = self.inner(*args, **kwargs)
        headers = {str(key).lower(): str(value) for key, value in answer.headers.items()}
        with suppress(KeyError, ValueError):
            self.skew = self._clock() - parsedate_to_datetime(headers["date"]).timestamp()
        return answer


@dataclass
class Case:
    """A database, and how to connect to it.

    Attributes:
        options: of the client.
        timeout: seconds for each step.
        clock: returns the time of this machine in seconds since the epoch.
        stack: closes at the end what the steps have opened.
        credentials: None for those of the environment, until they are found; or where no token is sent.
        who: whose they are.
        session: the name of the doctor's own session, "" if there is none.
    """

    database: str
    options: ClientOptions
    output: Output
    credentials: Credentials | None = None
    timeout: float = 10.0
    clock: Callable[[], float] = time.time
    stack: ExitStack = field(default_factory=ExitStack)
    target: Target = field(init=False)
    addresses: list[Any] = field(default_factory=list)
    socket: socket.socket | ssl.SSLSocket = field(init=False)
    request: Request = field(init=False)
    who: str = "the caller"
    client: SessionsClient = field(init=False)
    session: str = ""

    def __post_init__(self) -> None:
        self.request = Request(self.clock)

    @property
    def host(self) -> str:
        """The host of the server, without brackets."""
        return self.target.address.rpartition(":")[0].strip("[]")

    @property
    def peer(self) -> str:
        """What TCP connects to, the proxy or the server, as "host:port"."""
        return self.target.address if self.target.proxy is None else self.target.proxy.address

    @property
    def is_socket(self) -> bool:
        """Whether the server is at a Unix socket."""
        return self.target.address.startswith("unix:")
