"""Certificates of clients, made each time and kept in memory."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Pair", "make_authority"]

Pair = tuple[bytes, bytes]
"""A certificate and its private key, both in PEM."""


@dataclass(frozen=True)
class Authority:
    """Who signs certificates of clients.

    Attributes:
        root: its own certificate, in PEM.
    """

    root: bytes
    _name: x509.Name
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    def issue(self, common_name: str) -> Pair:
        """Make a certificate for a client of this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_named(common_name), self._name, key)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pkcs8 = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), pkcs8


def make_authority() -> Authority:
    """Make an authority that is unknown to all others."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("authority of clients")
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM), name, key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
