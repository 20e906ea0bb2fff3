"""A name server on loopback that knows one name, by the address that a test gives it."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NameServer"]

_A: Final = 1
_HEADER: Final = struct.Struct(">HHHHHH")
_ANSWER: Final = struct.Struct(">HHHIH")
_NAME_OF_QUESTION: Final = 0xC00C  # a pointer to byte 12


class NameServer:
    """The server. A context manager.

    Attributes:
        address: the IPv4 address of every name.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # An empty datagram ends the thread.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def target(self, name: str) -> str:
        """Return what makes gRPC ask this server for "host:port"."""
        return f"dns://127.0.0.1:{self._socket.getsockname()[1]}/{name}"

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        end = query.index(0, _HEADER.size) + 5
        answer = b""
        if struct.unpack_from(">H", query, end - 4)[0] == _A:
            address = socket.inet_aton(self.address)
            answer = _ANSWER.pack(_NAME_OF_QUESTION, _A, 1, 5, len(address)) + address
        (number,) = struct.unpack_from(">H", query)
        return _HEADER.pack(number, 0x8580, 1, bool(answer), 0, 0) + query[_HEADER.size : end] + answer
