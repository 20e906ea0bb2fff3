"""What gRPC's text for a connection that cannot be made says: whether another attempt may succeed. Pure: no gRPC."""

from __future__ import annotations

from typing import Final

# A server, or a proxy before it, may use the phrases below in a text of its own.
CANNOT_CONNECT: Final = "failed to connect to all addresses"
_NOT_TRUSTED: Final = "the server's certificate is not trusted: see ClientOptions(root_certificates=…)"
_OTHER_HOST: Final = "the server's certificate is of another host"
# The words of grpcio 1.66 and of grpcio 1.85.
_FINAL: Final = {
    "CERTIFICATE_VERIFY_FAILED": _NOT_TRUSTED,
    "is not in peer certificate": _OTHER_HOST,
    "Hostname Verification Check failed": _OTHER_HOST,
    "HTTP proxy returned response code 407": "the proxy does not accept the user and password of its URL",
}


def why_final(details: str) -> str | None:
    """Return why no later attempt to connect can succeed, by gRPC's text for this one; None if one may."""
    if details.startswith(CANNOT_CONNECT):
        for phrase, why in _FINAL.items():
            if phrase in details:
                return why
    return None


def explained(details: str) -> str:
    """Return gRPC's text for a failure with the explanation that it lacks."""
    why = why_final(details)
    return details if why is None else f"{details} ({why})"
