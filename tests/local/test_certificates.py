"""The certificates that the server makes for itself."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from spanner_grpc_sessions.local.certificates import Certificates, make_certificates


def handshake(certificates: Certificates, folder: Path, host: str, trusted: bytes) -> str | None:
    """Run a TLS handshake in memory and return the protocol version."""
    chain = folder / "server.pem"
    chain.write_bytes(certificates.server_key + certificates.server)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(chain)
    client_context = ssl.create_default_context(cadata=trusted.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.version()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_is_good_for_this_machine(tmp_path: Path, host: str) -> None:
    """A strict client that trusts the authority accepts each loopback name."""
    certificates = make_certificates()
    assert handshake(certificates, tmp_path, host, certificates.root) == "TLSv1.3"


def test_the_certificate_is_good_for_nothing_else(tmp_path: Path) -> None:
    """Another host name is refused, and so is a certificate of another authority of the same name."""
    certificates = make_certificates()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(certificates, tmp_path, "spanner.googleapis.com", certificates.root)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificates, tmp_path, "localhost", make_certificates().root)


def test_the_key_stays_out_of_the_repr() -> None:
    """Printing certificates does not print the private key."""
    certificates = make_certificates()
    assert b"PRIVATE KEY" in certificates.server_key
    assert "PRIVATE KEY" not in repr(certificates)
