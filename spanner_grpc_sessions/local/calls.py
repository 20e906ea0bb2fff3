"""A record of a call that arrived at the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from spanner_grpc_sessions.local.values import decode


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

    @property
    def sql(self) -> str:
        """The statement; "" of a call without one, and of a batch of statements."""
        return getattr(self.request, "sql", "")

    @property
    def table(self) -> str:
        """The table that the call reads; "" of other calls."""
        return getattr(self.request, "table", "")

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the statement as Python values, by the types that the caller gave; else as JSON has them.

        A TIMESTAMP is a datetime, a DATE a date, a NUMERIC a Decimal, BYTES are bytes, a STRUCT is a dict.

        Raises:
            ValueError: a value is not of its type.
        """
        types: Any = getattr(self.request, "param_types", {})
        fields = self.request.params.fields if hasattr(self.request, "params") else {}
        return {name: decode(value, types.get(name)) for name, value in fields.items()}

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
