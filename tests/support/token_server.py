"""A server of tokens that answers as a test says: OAuth, the security token service, IAM and the metadata server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from google.oauth2.credentials import Credentials

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TokenServer", "refreshed_credentials"]


class TokenServer:
    """Answers every request with a token of its own, "token-1" and so on. A context manager.

    Attributes:
        failures: statuses of the next answers, before there are tokens; 0 for a connection that is reset.
        paths: of the requests so far.
        peers: the connections by which they came.
        lifetime: seconds that a token lives.
        open: whether answers go on their way.
        drips: whether an answer never comes to its end.
        ahead: by how many seconds its clock is.
        issue: makes the token of a request from its number.
    """

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.paths: list[str] = []
        self.peers: list[Any] = []
        self.lifetime = 3600
        self.open = threading.Event()
        self.open.set()
        self.drips = False
        self.ahead = 0.0
        self.issue: Callable[[int], str] = "token-{}".format
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tokens = self

    @property
    def address(self) -> str:
        """Where it listens, "127.0.0.1:port"."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def uri(self) -> str:
        """The address of a request for a token."""
        return f"http://{self.address}/token"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


def refreshed_credentials(token_uri: str) -> Credentials:
    """Return credentials that ask there for each token; a service account's would sign their tokens themselves."""
    secrets = {"refresh_token": "r", "client_id": "c", "client_secret": "s"}
    return Credentials(None, token_uri=token_uri, **secrets)


def _failure(status: int) -> dict[str, Any]:
    return {"error": {"code": status, "message": "not now"}, "access_token": "SECRET"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tokens: TokenServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep stderr clean: clients hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        tokens = self.server.tokens
        self.rfile.read(int(self.headers.get("content-length") or 0))
        with tokens.lock:
            tokens.paths.append(self.path)
            tokens.peers.append(self.client_address)
            number = len(tokens.paths)
            status = tokens.failures.pop(0) if tokens.failures else 200
        tokens.open.wait(60)
        if status == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = self._token(number) if status == 200 else _failure(status)
        self._send(status, json.dumps(body).encode())

    do_GET = do_POST  # noqa: N815 - http.server names it

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the header `Date`."""
        return super().date_time_string((time.time() if timestamp is None else timestamp) + self.server.tokens.ahead)

    def _token(self, number: int) -> dict[str, Any]:
        seconds = self.server.tokens.lifetime
        ends = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        token = self.server.tokens.issue(number)
        return {
            "access_token": token,
            "accessToken": token,
            "expires_in": seconds,
            "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "token_type": "Bearer",
            "email": "tester@p.iam.gserviceaccount.com",
            "scopes": [],
        }

    def _send(self, status: int, body: bytes) -> None:
        tokens = self.server.tokens
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Length", str(len(body) + tokens.drips * 10_000))
        self.end_headers()
        self.wfile.write(body)
        with suppress(OSError):
            while tokens.drips and not tokens.ended.wait(0.01):
                self.wfile.write(b" ")
                self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it
        """Keep stderr clean."""
