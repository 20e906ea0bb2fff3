"""The token endpoint: exchanges a signed assertion for an access token over HTTP, on this machine (RFC 7523)."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final
from urllib.parse import parse_qs

from spanner_grpc_sessions.local.faults import Faults, Gate
from spanner_grpc_sessions.local.tokens import Authority, BadToken

_HOST: Final = "127.0.0.1"
_PATH: Final = "/token"
_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MAX_BODY: Final = 64 * 1024
_POLL: Final = 0.05
_READ_TIMEOUT: Final = 30.0
_FAULT: Final = b'{"error": "server_error", "error_description": "a fault of LocalSpanner"}'


class TokenEndpoint:
    """Answers `POST /token` on a loopback port, which stays the same after a restart.

    Attributes:
        uri: its address, "" before the first start.
        requests: how many requests have arrived.
    """

    def __init__(self, authority: Authority, faults: Faults, gate: Gate, lifetime: float) -> None:
        self.uri: str = ""
        self.requests: int = 0
        self._authority = authority
        self._faults = faults
        self._gate = gate
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._port = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer until the block ends; open the gate before, and then every thread ends at once."""
        server = _Server(self, self._port)
        self._port = server.server_address[1]
        self.uri = f"http://{_HOST}:{self._port}{_PATH}"
        thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="local-spanner-tokens", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, form: bytes) -> tuple[int, bytes] | None:
        """Return HTTP status and body for the form of a request, or None to say nothing and hang up."""
        with self._lock:
            self.requests += 1
        fault = self._faults.take_token()
        if fault is not None and not self._gate.hold(fault):
            return None
        if fault is not None and (fault.status is not None or fault.body is not None):
            return fault.status or HTTPStatus.OK, _FAULT if fault.body is None else fault.body
        return HTTPStatus.OK, json.dumps(self._exchange(form)).encode()

    def _exchange(self, form: bytes) -> dict[str, Any]:
        try:
            fields = parse_qs(form.decode("ascii"), max_num_fields=16)
        except ValueError:
            raise _OAuthError("invalid_request", "the body is not a form") from None
        if fields.get("grant_type") != [_GRANT_TYPE]:
            raise _OAuthError("unsupported_grant_type", f"grant_type must be {_GRANT_TYPE}")
        assertions = fields.get("assertion", [])
        if len(assertions) != 1:
            raise _OAuthError("invalid_request", "one assertion is needed")
        try:
            token = self._authority.exchange(assertions[0], self.uri, self._lifetime)
        except BadToken as error:
            name = error.reason if error.reason == "invalid_scope" else "invalid_grant"
            raise _OAuthError(name, str(error)) from None
        # Clients are told whole seconds, rounded down.
        return {"access_token": token, "expires_in": int(self._lifetime), "token_type": "Bearer"}


class _OAuthError(Exception):
    """A request that is rejected, with an error code of RFC 6749, 5.2."""

    def __init__(self, error: str, description: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(description)
        self.answer = (status, json.dumps({"error": error, "error_description": description}).encode())


class _Server(ThreadingTCPServer):
    """Runs the handlers, and remembers their connections to cut them."""

    # Not HTTPServer, which looks up the host's name, and so asks the network.
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, endpoint: TokenEndpoint, port: int) -> None:
        self.endpoint = endpoint
        # First, for a server that cannot listen closes itself.
        self._connections: set[socket.socket] = set()
        super().__init__((_HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Cut the connections, and wait for every handler to end."""
        for connection in list(self._connections):
            with suppress(OSError):  # the handler may have closed it
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of ours, but not a client that has hung up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "LocalSpanner"
    sys_version = ""
    timeout = _READ_TIMEOUT

    def do_POST(self) -> None:
        try:
            answer = self.server.endpoint.answer(self._form())
        except _OAuthError as error:
            answer = error.answer
        if answer is None:
            return
        status, body = answer
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _form(self) -> bytes:
        if self.path != _PATH:
            raise _OAuthError("invalid_request", f"tokens are at {_PATH}", HTTPStatus.NOT_FOUND)
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise _OAuthError("invalid_request", "a Content-Length is needed", HTTPStatus.LENGTH_REQUIRED)
        if len(length) > 9 or int(length) > _MAX_BODY:
            too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise _OAuthError("invalid_request", f"the body must have at most {_MAX_BODY} bytes", too_large)
        return self.rfile.read(int(length))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it
        """Keep stderr clean."""
