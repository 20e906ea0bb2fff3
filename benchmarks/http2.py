"""As much HTTP/2 as it takes to answer every unary gRPC call with the same message. Pure: the socket is the caller's.

Frames are split, SETTINGS and PING acknowledged, and a stream is answered once the client has ended its side, whatever
was asked: no header is decoded, and the answer was put together beforehand.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

# Sections are those of RFC 9113 (HTTP/2) where no other RFC is named.
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # 3.4
_FRAME_HEADER: Final = struct.Struct(">HBBB4s")  # 4.1: the length in three bytes, type, flags, stream
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x8  # 6.1, 6.2, 6.5, 6.7, 6.9
_ACKNOWLEDGED: Final = frozenset({_SETTINGS, _PING})
_END_STREAM: Final = 0x1  # 6.1, 6.2
_END_HEADERS: Final = 0x4  # 6.2
_ACK: Final = 0x1  # 6.5, 6.7
_CONNECTION: Final = bytes(4)  # 5.1.1: the stream whose number is 0

_LARGEST_WINDOW: Final = 2**31 - 1  # 6.9.1
_FIRST_WINDOW: Final = 65_535  # 6.9.2: of the connection, until a WINDOW_UPDATE
_LIMITS: Final = (
    (0x3, 2**31 - 1),  # 6.5.2: SETTINGS_MAX_CONCURRENT_STREAMS
    (0x4, _LARGEST_WINDOW),  # SETTINGS_INITIAL_WINDOW_SIZE
    (0x5, 2**24 - 1),  # SETTINGS_MAX_FRAME_SIZE
)


class Connection:
    """What the bytes of a client are answered with.

    Args:
        message: the serialized answer to every call.
    """

    def __init__(self, message: bytes) -> None:
        # gRPC over HTTP/2, Length-Prefixed-Message: a flag that says "not compressed", then the length.
        body = struct.pack(">BI", 0, len(message)) + message
        self._body_size = len(body)
        self._answer = _answer(body)
        self._rest = b""
        self._ended: deque[bytes] = deque()
        # Flow control (5.2) counts the bytes of DATA: those that we may still send, and those that came.
        self._may_send = _FIRST_WINDOW
        self._came = 0

    def receive(self, data: bytes) -> bytes:
        """Return what to send after `data` came in. Frames may be cut anywhere."""
        if self._rest:
            data = self._rest + data
        replies: list[bytes] = []
        ended = self._ended
        at, end = 0, len(data)
        # No call of ours per frame: a client sends four for each call, and would wait longer for its answer.
        while (payload := at + _FRAME_HEADER.size) <= end:
            high, low, kind, flags, stream = _FRAME_HEADER.unpack_from(data, at)
            if (after := payload + (high << 8 | low)) > end:
                break
            if kind == _WINDOW_UPDATE:
                if stream == _CONNECTION:
                    self._may_send += int.from_bytes(data[payload:after], "big")
            elif kind <= _HEADERS:
                if kind == _DATA:
                    self._came += after - payload
                if flags & _END_STREAM:
                    ended.append(stream)
            elif kind in _ACKNOWLEDGED and not flags & _ACK:
                replies.append(_frame(kind, _ACK, _CONNECTION, data[payload:after] if kind == _PING else b""))
            at = after
        self._rest = data[at:]
        # A stream's own window has room for its one answer; the connection's may be full until the client opens it.
        while ended and self._may_send >= self._body_size:
            self._may_send -= self._body_size
            replies.append(ended.popleft().join(self._answer))
        if self._came > _LARGEST_WINDOW // 2:
            replies.append(_opened(self._came))
            self._came = 0
        return b"".join(replies)


def _answer(body: bytes) -> tuple[bytes, ...]:
    """Return the frames of an answer, cut where the number of its stream belongs."""
    head = b"\x88" + _literal(b"content-type", b"application/grpc")  # RFC 7541, appendix A: entry 8 is ":status: 200"
    stream = b"\xff\xff\xff\xff"
    frames = (
        _frame(_HEADERS, _END_HEADERS, stream, head),
        _frame(_DATA, 0, stream, body),
        _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _literal(b"grpc-status", b"0")),
    )
    return tuple(b"".join(frames).split(stream))


def _literal(name: bytes, value: bytes) -> bytes:
    # RFC 7541, 6.2.2: a field with a new name that is not kept in the dynamic table; 5.2: strings without Huffman code.
    return bytes((0x00, len(name))) + name + bytes((len(value),)) + value


def _frame(kind: int, flags: int, stream: bytes, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream + payload


def _opened(size: int) -> bytes:
    return _frame(_WINDOW_UPDATE, 0, _CONNECTION, size.to_bytes(4, "big"))


GREETING: Final = _frame(
    _SETTINGS, 0, _CONNECTION, b"".join(struct.pack(">HI", *limit) for limit in _LIMITS)
) + _opened(_LARGEST_WINDOW - _FIRST_WINDOW)
