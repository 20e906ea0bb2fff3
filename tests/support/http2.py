"""A server that speaks HTTP/2 by hand, for what no gRPC server can be brought to do: break off, or be no Spanner."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.protobuf.message import Message

from spanner_grpc_sessions.options import ClientOptions

__all__ = ["Answer", "answered", "http2_server", "http_status", "reset", "status_alone"]

Answer = tuple[tuple[int, int, bytes], ...]
"""Frames that answer a call: type, flags and payload of each."""

_PREFACE: Final = 24
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING = 0, 1, 3, 4, 6
_ACK = _END_STREAM = 1
_END_HEADERS: Final = 4


def _block(*headers: tuple[str, str]) -> bytes:
    """Return headers in HPACK, each a literal that is not indexed."""
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in headers
    )


_OK: Final = (_HEADERS, _END_HEADERS, _block((":status", "200"), ("content-type", "application/grpc")))


def answered(message: Message) -> Answer:
    """Return the answer of a gRPC server that succeeds."""
    body = message.SerializeToString()
    trailers = (_HEADERS, _END_HEADERS | _END_STREAM, _block(("grpc-status", "0")))
    return _OK, (_DATA, 0, struct.pack(">BI", 0, len(body)) + body), trailers


def reset(code: int) -> Answer:
    """Return a reset of the stream with an error code of HTTP/2."""
    return ((_RST_STREAM, 0, struct.pack(">I", code)),)


def status_alone(status: str) -> Answer:
    """Return the answer of a gRPC server that sends a status and no message."""
    block = _block((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", status))
    return ((_HEADERS, _END_HEADERS | _END_STREAM, block),)


def http_status(status: int) -> Answer:
    """Return the answer of a server that is no gRPC server."""
    block = _block((":status", str(status)), ("content-type", "text/html"))
    return ((_HEADERS, _END_HEADERS | _END_STREAM, block),)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.read(_PREFACE)
        self._send(_SETTINGS, 0, 0, b"")
        while head := self.rfile.read(9):
            size, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], head[5:]
            payload = self.rfile.read(size)
            if kind in {_SETTINGS, _PING} and not flags & _ACK:
                self._send(kind, _ACK, 0, payload if kind == _PING else b"")
            elif kind == _DATA and flags & _END_STREAM:
                for frame in self.server.next_answer():  # type: ignore[attr-defined]  # of this server
                    self._send(frame[0], frame[1], int.from_bytes(stream, "big"), frame[2])

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.wfile.write(struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, answers: Iterator[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._answers = answers
        self._taking = threading.Lock()

    def next_answer(self) -> Answer:
        with self._taking:
            return next(self._answers)


@contextmanager
def http2_server(answers: Iterator[Answer]) -> Iterator[ClientOptions]:
    """Answer each call with the next answer, in plaintext on loopback; give the options of a client for it."""
    with _Server(answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield ClientOptions(endpoint=f"127.0.0.1:{server.server_address[1]}", plaintext=True)
        server.shutdown()
