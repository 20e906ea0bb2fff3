"""A server that answers every unary gRPC call with the same bytes, so that a benchmark judges the client alone.

Run as a program it serves until its standard input closes, and prints one line of JSON: its port, its root
certificate, and a service-account key that no real Google account knows.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from spanner_grpc_sessions_pb import spanner_pb2

from benchmarks.http2 import GREETING, PREFACE, Connection
from spanner_grpc_sessions.local.certificates import make_certificates

_LARGEST_RECORD: Final = 2**14  # RFC 8446, section 5.1


def fixed_answer() -> bytes:
    """Return a session with two labels, as bytes."""
    session = spanner_pb2.Session(
        name="projects/p/instances/i/databases/d/sessions/AKtxcXnV0Xl8_lVmOVPVQeNnTIYvyoZ6gPXt9qcmXBNvQcf3S1CZ8w",
        labels={"env": "prod", "team": "checkout"},
    )
    session.create_time.FromNanoseconds(1_790_000_000_123_456_000)
    session.approximate_last_use_time.FromNanoseconds(1_790_000_000_123_457_000)
    return session.SerializeToString()


class _Tls:
    """A client's socket under TLS, at the price of one system call a read: `ssl.SSLSocket` takes two a record."""

    def __init__(self, client: socket.socket, context: ssl.SSLContext) -> None:
        self._client = client
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def read(self) -> bytes:
        """Return what the client sent, after the handshake if need be; nothing once it is gone."""
        data = b""
        while not data and (encrypted := self._client.recv(4 * _LARGEST_RECORD)):
            self._in.write(encrypted)
            try:
                while self._in.pending:
                    data += self._tls.read(_LARGEST_RECORD)
            except ssl.SSLWantReadError:
                # The record, or the handshake, is not complete; what is due of the latter has to go out.
                self._client.sendall(self._out.read())
        return data

    def write(self, data: bytes) -> None:
        """Send `data`."""
        for start in range(0, len(data), _LARGEST_RECORD):
            self._tls.write(data[start : start + _LARGEST_RECORD])
        self._client.sendall(self._out.read())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext, message: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        self.message = message


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        client, connection = _Tls(self.request, self.server.tls), Connection(self.server.message)
        with contextlib.suppress(OSError):
            data = client.read()
            if not data.startswith(PREFACE):
                return
            client.write(GREETING + connection.receive(data[len(PREFACE) :]))
            while data := client.read():
                if replies := connection.receive(data):
                    client.write(replies)


def _tls(certificate: bytes, key: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    # Python reads certificate and key from a file only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        path.write_bytes(certificate + key)
        context.load_cert_chain(path)
    return context


def _account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "client_email": "bench@example.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "token_uri": "http://127.0.0.1:1/token",
    }


def main() -> None:
    """Serve until standard input closes; an argument is the answer in hexadecimal digits, in the place of a session."""
    message = bytes.fromhex(sys.argv[1]) if len(sys.argv) > 1 else fixed_answer()
    certificates = make_certificates()
    with _Server(_tls(certificates.server, certificates.server_key), message) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        print(json.dumps({"port": port, "root": certificates.root.decode(), "account": _account()}), flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
