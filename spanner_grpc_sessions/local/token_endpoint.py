"""The token endpoint: exchanges a signed assertion for an access token over HTTP, on this machine (RFC 7523)."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final
from urllib.parse import parse_qs

from spanner_grpc_sessions.local.faults import Faults, TokenFault
from spanner_grpc_sessions.local.gate import Gate
from spanner_grpc_sessions.local.tokens import Authority, BadToken

__all__ = ["TokenEndpoint"]

_HOST: Final = "127.0.0.1"
_PATH: Final = "/token"
_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LARGEST_BODY: Final = 64 * 1024
_POLL: Final = 0.05
_PATIENCE: Final = 30.0


class TokenEndpoint:
    """An HTTP server on a loopback port that answers `POST /token`.

    Args:
        authority: verifies the assertions and issues the tokens.
        faults: what requests meet on request.
        gate: where they wait meanwhile; it must be opened before `stop`.
        lifetime: of the tokens, in seconds; clients are told whole seconds, rounded down.

    Attributes:
        uri: its address, "" before the first start. A later start uses the same one.
        requests: how many requests have arrived.
    """

    def __init__(self, authority: Authority, faults: Faults, gate: Gate, lifetime: float) -> None:
        self.uri = ""
        self.requests = 0
        self._authority = authority
        self._faults = faults
        self._gate = gate
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._port = 0

    def start(self) -> Callable[[], None]:
        """Begin to answer.

        Returns:
            What stops it: cuts the connections and waits for every thread to end.

        Raises:
            OSError: someone else has taken the port of the first start meanwhile.
        """
        server = _Server(self, self._port)
        self._port = server.server_address[1]
        self.uri = f"http://{_HOST}:{self._port}{_PATH}"
        thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="local-spanner-tokens", daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.cut_connections()
            server.server_close()
            thread.join()

        return stop

    def answer(self, form: bytes) -> tuple[int, bytes] | None:
        """Return HTTP status and body for the form of a request, or None to say nothing and hang up."""
        with self._lock:
            self.requests += 1
        fault = self._faults.take_token()
        if fault is not None and (fault.drop or fault.delay):
            in_time = self._gate.wait(None if fault.drop else fault.delay)
            if not in_time:
                return None
        if fault is not None and (fault.status is not None or fault.body is not None):
            return _faulty(fault)
        try:
            return HTTPStatus.OK, _json(self._exchange(form))
        except _OAuthError as error:
            return error.answer()

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
            raise _OAuthError(name, error.message) from None
        return {"access_token": token, "expires_in": int(self._lifetime), "token_type": "Bearer"}


class _OAuthError(Exception):
    """A request that is turned down, in the words of RFC 6749, 5.2."""

    def __init__(self, error: str, description: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(description)
        self._error = error
        self._status = status

    def answer(self) -> tuple[int, bytes]:
        return self._status, _json({"error": self._error, "error_description": str(self)})


class _Server(ThreadingTCPServer):
    """Runs the handlers, and knows their connections so that it can cut them."""

    # Not HTTPServer: that one looks up the host's name, which asks the network.
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, endpoint: TokenEndpoint, port: int) -> None:
        super().__init__((_HOST, port), _Handler)
        self.endpoint = endpoint
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):  # the handler may have closed it
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of ours, but not a client that has hung up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "LocalSpanner"
    sys_version = ""
    timeout = _PATIENCE

    def do_POST(self) -> None:
        try:
            answer = self.server.endpoint.answer(self._form())
        except _OAuthError as error:
            answer = error.answer()
        if answer is not None:
            self._send(*answer)

    def _form(self) -> bytes:
        if self.path != _PATH:
            raise _OAuthError("invalid_request", f"tokens are at {_PATH}", HTTPStatus.NOT_FOUND)
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise _OAuthError("invalid_request", "a Content-Length is needed", HTTPStatus.LENGTH_REQUIRED)
        if len(length) > 9 or int(length) > _LARGEST_BODY:
            raise _OAuthError(
                "invalid_request", f"at most {_LARGEST_BODY} bytes are read", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            )
        return self.rfile.read(int(length))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it
        """Keep stderr clean."""


def _faulty(fault: TokenFault) -> tuple[int, bytes]:
    status = HTTPStatus.OK if fault.status is None else fault.status
    if fault.body is not None:
        return status, fault.body
    return status, _json({"error": "server_error", "error_description": "a fault of LocalSpanner"})


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()
