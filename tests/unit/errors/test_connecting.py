"""What gRPC says of a connection that cannot be made, and which of it will never be otherwise."""

from __future__ import annotations

import pytest

from spanner_grpc_sessions.errors.connecting import explained, why_final

_LAST = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
_TLS = "handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
# As grpcio 1.66.2 and 1.85.3 say it.
FINAL = {
    f"{_LAST}Ssl {_TLS}CERTIFICATE_VERIFY_FAILED": "not trusted",
    f"{_LAST}Tls {_TLS}CERTIFICATE_VERIFY_FAILED: certificate has expired: OK": "not trusted",
    f"{_LAST}Peer name h.test is not in peer certificate": "another host",
    f"{_LAST}Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed.": (
        "another host"
    ),
    f"{_LAST}HTTP proxy returned response code 407": "proxy",
}
PASSING = [
    "",
    f"{_LAST}Failed to connect to remote host: Connection refused",
    f"{_LAST}Socket closed",
    f"{_LAST}HTTP proxy returned response code 503",
    "errors resolving h.test:1: [field:hostname lookup error:address lookup failed for h.test:1: not found]",
    "DNS resolution failed for h.test:1: C-ares status is not ARES_SUCCESS qtype=A name=h.test: Domain name not found",
    # A proxy before the server says this of its own connection.
    "upstream connect error or disconnect/reset before headers: TLS_error: CERTIFICATE_VERIFY_FAILED",
]


@pytest.mark.parametrize(("details", "why"), FINAL.items())
def test_what_never_passes_is_recognised_and_explained(details: str, why: str) -> None:
    """In the words of both releases, once; the explanation follows what gRPC said."""
    assert why in (why_final(details) or "")
    assert explained(details) == f"{details} ({why_final(details)})"
    assert why_final(explained(details)) == why_final(details)


@pytest.mark.parametrize("details", PASSING)
def test_what_may_pass_is_left_as_it_is(details: str) -> None:
    """Refused, unknown and broken connections, and what a server says."""
    assert why_final(details) is None
    assert explained(details) == details
