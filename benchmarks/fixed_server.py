"""A server that answers every unary gRPC call with the same bytes: what fixed_server.c does, where no compiler is.

    python -m benchmarks.fixed_server CERTIFICATE.pem ANSWER_IN_HEX [PORT]

It listens on loopback only, over TLS, prints its port, and serves until its standard input closes.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import sys
import threading
from typing import Final

from benchmarks.http2 import GREETING, PREFACE, Connection

_LARGEST_RECORD: Final = 2**14  # RFC 8446, section 5.1


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
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, tls: ssl.SSLContext, message: bytes) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
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


def main() -> None:
    """Serve until standard input closes."""
    certificate, answer, *port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certificate)
    with _Server(int(port[0]) if port else 0, context, bytes.fromhex(answer)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
