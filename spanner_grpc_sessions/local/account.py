"""The one service account that the server knows: its key, made in memory, and the credentials that hold it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from google.oauth2 import service_account

__all__ = ["EMAIL", "PROJECT", "LocalCredentials", "ServiceAccount"]

PROJECT: Final = "local-spanner"
EMAIL: Final = f"{PROJECT}@{PROJECT}.iam.gserviceaccount.com"


class LocalCredentials(service_account.Credentials):
    """Service account credentials that ask nothing of any other machine."""

    def _build_regional_access_boundary_lookup_url(self, request: object = None) -> None:
        """Return no address: google-auth would otherwise ask Google, in the background, about an invented account."""


class ServiceAccount:
    """A service account with an RSA key of its own."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = secrets.token_hex(20)
        self._private_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public_key = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._verifier: crypt.Verifier = crypt.RSAVerifier.from_string(public_key)

    def key_file(self, token_uri: str) -> dict[str, str]:
        """Return what a service account key file holds.

        Args:
            token_uri: the address where assertions of this account are exchanged for access tokens.
        """
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": self.key_id,
            "private_key": self._private_key,
            "client_email": EMAIL,
            "client_id": "100000000000000000000",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }

    def credentials(self, token_uri: str) -> LocalCredentials:
        """Return credentials that sign with the account's key."""
        make = LocalCredentials.from_service_account_info
        credentials: LocalCredentials = make(self.key_file(token_uri))  # type: ignore[no-untyped-call] # google-auth
        return credentials

    def signed_claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a JWT that this account has signed; when and for whom it is valid is not looked at.

        Only RS256 is taken: a token must not choose how it is verified.

        Raises:
            ValueError: the token is malformed, or not signed with RS256 by this account's key.
        """
        header = jwt.decode_header(token)
        if header.get("alg") != "RS256" or header.get("kid") != self.key_id:
            raise ValueError("the token is not signed with RS256 by the key of this account")
        signed, _, signature = token.encode().rpartition(b".")
        if not self._verifier.verify(signed, base64.urlsafe_b64decode(signature + b"==")):
            raise ValueError("the signature of the token does not match")
        claims: Mapping[str, Any] = jwt.decode(token, verify=False)
        return claims
