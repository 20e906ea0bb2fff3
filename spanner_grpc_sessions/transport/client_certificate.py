"""Mutual TLS: the certificate that a client shows, and the endpoint that goes with it.

gRPC accepts any bytes for certificates, and a bad one looks like an unavailable server until the deadline of each call.
So they are parsed here, when a client is created.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final, Literal, get_args

from spanner_grpc_sessions.errors import CredentialsError, InvalidValue

# A certificate chain, the client's own certificate first, and its private key: both PEM.
Certificate = tuple[bytes, bytes]

# When the mTLS endpoint is used; "auto" is with a client certificate.
Mode = Literal["auto", "always", "never"]

_MTLS_ENDPOINT: Final = "GOOGLE_API_USE_MTLS_ENDPOINT"
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_OF_ENVIRONMENT: Final = "the client certificate of the environment (see GOOGLE_API_USE_CLIENT_CERTIFICATE)"


def endpoint_mode(environment: Mapping[str, str]) -> Mode:
    """Return the value of `GOOGLE_API_USE_MTLS_ENDPOINT`, read as google-auth does; "auto" if it is unset."""
    value = environment.get(_MTLS_ENDPOINT, "")
    for mode in _MODES:
        if mode == (value.strip().lower() or "auto"):
            return mode
    raise InvalidValue(f"{_MTLS_ENDPOINT} must be auto, always or never, got {value!r}")


def environment_certificate() -> Certificate | None:
    """Return the client certificate that google-auth finds in the environment, or None.

    `GOOGLE_API_USE_CLIENT_CERTIFICATE` tells whether to look; if it is unset, google-auth decides. This reads files,
    and runs the certificate provider that they may name.
    """
    try:
        certificate = _find_certificate()
    except Exception as error:
        raise CredentialsError(f"could not load {_OF_ENVIRONMENT}: {type(error).__name__}: {error}") from error
    if certificate is not None:
        try:
            _require_pair(_OF_ENVIRONMENT, certificate)
        except InvalidValue as error:
            raise CredentialsError(str(error)) from error
    return certificate


def check_root_certificates(roots: bytes) -> None:
    """Require that all certificates can be parsed: gRPC stops at the first that it cannot parse."""
    _require_certificates("root_certificates", roots)


def check_client_certificate(certificate: Certificate) -> None:
    """Require a certificate chain, and the unencrypted private key of its first certificate."""
    _require_pair("client_certificate", certificate)


def _find_certificate() -> Certificate | None:
    from google.auth.transport import mtls  # noqa: PLC0415 - 6 ms that plaintext clients never need

    if not (mtls.should_use_client_cert() and mtls.has_default_client_cert_source()):
        return None
    chain, key = mtls.default_client_cert_source()()
    return (chain, key) if chain else None


def _require_pair(what: str, certificate: Certificate) -> None:
    # 25 ms that few clients need. Python's ssl module reads keys from files only.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    chain, key = certificate
    _require_certificates(what, chain)
    try:
        public_keys = (load_pem_x509_certificate(chain).public_key(), load_pem_private_key(key, None).public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause, which may quote a part of the key.
        raise InvalidValue(f"{what} must be a certificate and its unencrypted private key, both in PEM") from None
    if len({part.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for part in public_keys}) > 1:
        raise InvalidValue(f"{what} must have the private key of its first certificate, got another key")


def _require_certificates(what: str, pem: bytes) -> None:
    # OpenSSL accepts comments in ASCII only. Between the marks, anything else is an error anyway.
    text = pem.decode("ascii", "backslashreplace")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        # Without the bytes: they may be a key.
        raise InvalidValue(f"{what} must be certificates in PEM, got {len(pem)} other bytes") from error
