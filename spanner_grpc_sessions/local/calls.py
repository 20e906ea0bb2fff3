"""A record of a call that arrived at the server."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """A call as it arrived.

    Attributes:
        method: the name of the RPC, such as "CreateSession".
        request: the request message.
        metadata: pairs of lower-case key and value, `authorization` included; the repr hides its value.
        auth: "access token", "self-signed JWT", "none" where tokens are not checked (without TLS), or "refused: " and
            the status.
        principal: the account that the token belongs to, or "".
    """

    method: str
    request: Message
    metadata: tuple[tuple[str, str | bytes], ...]
    auth: str
    principal: str

    def header(self, key: str) -> str | bytes | None:
        """Return the value of a metadata entry, the last one if the key occurs several times, or None."""
        return dict(self.metadata).get(key)

    def __repr__(self) -> str:
        metadata = tuple((key, _redacted(value) if key == "authorization" else value) for key, value in self.metadata)
        return (
            f"Call(method={self.method!r}, auth={self.auth!r}, principal={self.principal!r}, "
            f"metadata={metadata!r}, request=<{str(self.request).strip()}>)"
        )


def _redacted(value: str | bytes) -> str:
    scheme, blank, _ = str(value).partition(" ")
    return f"{scheme} <redacted>" if blank else "<redacted>"
