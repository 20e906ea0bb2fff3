"""What arrived at the server: a record of its calls."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

__all__ = ["Call", "CallLog"]

_LONGEST: Final = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """A call as it arrived.

    Attributes:
        method: the bare name of the RPC, such as "CreateSession".
        request: the request message.
        metadata: pairs of lower-case key and value, `authorization` included; the repr hides its value.
        auth: what its token is: "access token", "self-signed JWT", "none" where tokens are not looked at (without
            TLS), or "refused: " and the status.
        principal: the account that the token belongs to, or "".
    """

    method: str
    request: Message
    metadata: tuple[tuple[str, str | bytes], ...]
    auth: str
    principal: str

    def header(self, key: str) -> str | bytes | None:
        """Return the value of a metadata entry, the last one if the key comes several times, or None."""
        return dict(self.metadata).get(key)

    def __repr__(self) -> str:
        metadata = tuple((key, _redacted(value) if key == "authorization" else value) for key, value in self.metadata)
        return (
            f"Call(method={self.method!r}, auth={self.auth!r}, principal={self.principal!r}, "
            f"metadata={metadata!r}, request=<{str(self.request).strip()}>)"
        )


class CallLog:
    """The last 10,000 calls, the newest at the end. Safe to share between threads."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_LONGEST)
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Record a call."""
        with self._lock:
            self._calls.append(call)

    def list(self) -> list[Call]:
        """Return the recorded calls."""
        with self._lock:
            return list(self._calls)


def _redacted(value: str | bytes) -> str:
    scheme, blank, _ = str(value).partition(" ")
    return f"{scheme} <redacted>" if blank else "<redacted>"
