"""Mutual TLS: which certificate a client shows, whether that leads to another endpoint, and that gRPC can read it.

gRPC takes any bytes for certificates. What it cannot use ends each call as an unavailable server at its deadline, so
certificates are looked at here, when a client is made.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final, Literal, get_args

from spanner_grpc_sessions.errors import CredentialsError, InvalidValue

Certificate = tuple[bytes, bytes]
"""Certificate chain, its own certificate first, and private key: both PEM."""

Mode = Literal["auto", "always", "never"]
"""When the mTLS endpoint is used; "auto" is with a client certificate."""

USE_MTLS_ENDPOINT: Final = "GOOGLE_API_USE_MTLS_ENDPOINT"
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_OF_ENVIRONMENT: Final = "the client certificate of the environment (see GOOGLE_API_USE_CLIENT_CERTIFICATE)"


def endpoint_mode(environment: Mapping[str, str]) -> Mode:
    """Return when Google's mTLS endpoint is to be used: what `GOOGLE_API_USE_MTLS_ENDPOINT` says, "auto" when unset.

    Read as google-auth does: upper case and space around it do not matter.

    Raises:
        InvalidValue: it says something else.
    """
    value = environment.get(USE_MTLS_ENDPOINT, "")
    for mode in _MODES:
        if mode == (value.strip().lower() or "auto"):
            return mode
    raise InvalidValue(f"{USE_MTLS_ENDPOINT} must be auto, always or never, got {value!r}")


def environment_certificate() -> Certificate | None:
    """Return the client certificate that google-auth finds in the environment of the process; None if it finds none.

    `GOOGLE_API_USE_CLIENT_CERTIFICATE` says whether to look; where it is unset, google-auth decides. Reads files, and
    runs the certificate provider that they may name: not for the way of a call.

    Raises:
        CredentialsError: there is a certificate to use, and it cannot be had or is none. The cause is chained.
    """
    try:
        certificate = _find_certificate()
    except Exception as error:
        raise CredentialsError(f"{_OF_ENVIRONMENT} cannot be loaded: {type(error).__name__}: {error}") from error
    if certificate is not None:
        try:
            _require_pair(_OF_ENVIRONMENT, certificate)
        except InvalidValue as error:
            raise CredentialsError(str(error)) from error
    return certificate


def check_root_certificates(roots: bytes) -> None:
    """Require certificates that can be parsed, every one of them: gRPC stops at the first that it cannot.

    Raises:
        InvalidValue: they are none.
    """
    _require_certificates("root_certificates", roots)


def check_client_certificate(certificate: Certificate) -> None:
    """Require a chain and a private key that can be parsed, the key unencrypted and that of the first certificate.

    Raises:
        InvalidValue: they are something else. The text shows nothing of the key.
    """
    _require_pair("client_certificate", certificate)


def _find_certificate() -> Certificate | None:
    from google.auth.transport import mtls  # noqa: PLC0415 - 6 ms that plaintext clients never need

    if not (mtls.should_use_client_cert() and mtls.has_default_client_cert_source()):
        return None
    chain, key = mtls.default_client_cert_source()()
    return (chain, key) if chain else None


def _require_pair(what: str, certificate: Certificate) -> None:
    # 25 ms that few clients need. Python's ssl reads keys from files only.
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
        # Without its cause, which may quote what it could not read of the key.
        raise InvalidValue(f"{what} must have a certificate and its private key, unencrypted, both in PEM") from None
    if len({part.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for part in public_keys}) > 1:
        raise InvalidValue(f"{what} must have the private key of its first certificate, got that of another one")


def _require_certificates(what: str, pem: bytes) -> None:
    # OpenSSL takes comments in ASCII only; in the base64 between the marks anything else is an error all the same.
    text = pem.decode("ascii", "backslashreplace")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        # Not with the bytes themselves: a key may have been taken for a certificate.
        raise InvalidValue(f"{what} must hold certificates in PEM, got {len(pem)} bytes of something else") from error
