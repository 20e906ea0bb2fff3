"""The service account that the server knows, and tokens: issued, exchanged, and verified as Google's front ends do.

Two kinds of token are accepted: access tokens issued here, and JWTs that the service account has signed itself. Tokens
expire by real time, not by the clock of the sessions: the clients under test keep real time too, and would continue to
use a token that only the server believes to be old.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import crypt, jwt
from google.oauth2 import service_account

from spanner_grpc_sessions.local.status import RpcStatus, error_info
from spanner_grpc_sessions.options import SCOPE_DATA

PROJECT: Final = "local-spanner"
EMAIL: Final = f"{PROJECT}@{PROJECT}.iam.gserviceaccount.com"

# The `aud` of a JWT for Spanner, whatever host it is sent to; the trailing slash is part of it.
AUDIENCE: Final = "https://spanner.googleapis.com/"

# The `aud` of an assertion that google-auth makes, whatever the `token_uri` of its key file.
GOOGLE_ENDPOINT: Final = "https://oauth2.googleapis.com/token"

SCOPE_PLATFORM: Final = "https://www.googleapis.com/auth/cloud-platform"
_SPANNER_SCOPES: Final = frozenset({SCOPE_DATA, SCOPE_PLATFORM})
_MAX_LIFETIME: Final = 3600.0
_MAX_SKEW: Final = 10.0
_MAX_TIME: Final = 1e12
_MAX_TOKENS: Final = 10_000


class LocalCredentials(service_account.Credentials):
    """Service account credentials that contact no other machine."""

    def _build_regional_access_boundary_lookup_url(self, request: object = None) -> None:
        """Return no address: google-auth would otherwise ask Google, in the background, about an invented account."""


class ServiceAccount:
    """A service account with its own RSA key, made in memory."""

    def __init__(self) -> None:
        self.key_id: str = secrets.token_hex(20)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._verifier: crypt.Verifier = crypt.RSAVerifier(self._key.public_key())

    def key_file(self, token_uri: str) -> dict[str, str]:
        """Return the content of a key file whose assertions are exchanged for access tokens at `token_uri`."""
        private_key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": self.key_id,
            "private_key": private_key.decode(),
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
        """Return the claims of a JWT that this account has signed, valid at this time and for this purpose or not.

        Raises ValueError if the token is malformed or not signed by this account, or not with RS256: a token must not
        choose how it is verified.
        """
        header = jwt.decode_header(token)
        if header.get("alg") != "RS256" or header.get("kid") != self.key_id:
            raise ValueError("the token is not signed with RS256 by the key of this account")
        signed, _, signature = token.encode().rpartition(b".")
        if not self._verifier.verify(signed, base64.urlsafe_b64decode(signature + b"==")):
            raise ValueError("the signature of the token does not match")
        claims: Mapping[str, Any] = jwt.decode(token, verify=False)
        return claims


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for: its kind and account, whether it opens Spanner's data API, and when it expires."""

    kind: str
    principal: str
    data: bool
    expires: float


class BadToken(Exception):
    """A token is not valid. The message never has the token; the reason is a name of google.api.ErrorReason."""

    def __init__(self, message: str, reason: str = "ACCESS_TOKEN_TYPE_UNSUPPORTED") -> None:
        super().__init__(message)
        self.reason = reason


class Authority:
    """Issues tokens and verifies them, also those that `account` signs. Safe to share between threads."""

    def __init__(self, account: ServiceAccount, now: Callable[[], float] = time.time) -> None:
        self.account = account
        self._now = now
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def issue(self, scopes: Iterable[str], lifetime: float, principal: str = EMAIL) -> str:
        """Return a new access token of `principal` that lives `lifetime` seconds."""
        token = f"local.{secrets.token_urlsafe(32)}"
        data = not _SPANNER_SCOPES.isdisjoint(scopes)
        self._remember(token, Grant("access token", principal, data, self._now() + lifetime))
        return token

    def exchange(self, assertion: str, audience: str, lifetime: float) -> str:
        """Return an access token for a JWT that the service account has signed (RFC 7523), or raise `BadToken`.

        Its subject can be anyone: the account may act for every user (domain-wide delegation).
        """
        claims = self._claims(assertion)
        if claims.get("aud") not in (audience, GOOGLE_ENDPOINT):
            raise BadToken("the assertion is for another audience")
        scopes = _scopes(claims)
        if not scopes:
            raise BadToken("the assertion asks for no scope", "invalid_scope")
        return self.issue(scopes, lifetime, str(claims.get("sub", EMAIL)))

    def authorize(self, metadata: Iterable[tuple[str, str | bytes]], method: str) -> Grant:
        """Return what the token in the metadata of a call grants.

        Raises `RpcStatus` with ErrorInfo: UNAUTHENTICATED without a valid token, PERMISSION_DENIED if the token does
        not open Spanner's data API.
        """
        try:
            grant = self._grant(_bearer_token(metadata))
        except BadToken as error:
            info = error_info(error.reason, method)
            raise RpcStatus("UNAUTHENTICATED", f"Invalid credentials: {error}.", info) from None
        if not grant.data:
            needed = ", ".join(sorted(_SPANNER_SCOPES))
            message = f"The {grant.kind} has none of the scopes that open Spanner: {needed}."
            raise RpcStatus("PERMISSION_DENIED", message, error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", method))
        return grant

    def _grant(self, token: str) -> Grant:
        # An RSA verification costs as much as a small RPC, so a JWT is verified once and then looked up.
        grant = self._grants.get(token)
        if grant is None:
            grant = self._self_signed(token)
            self._remember(token, grant)
        if self._now() >= grant.expires:
            raise BadToken(f"the {grant.kind} has expired", "ACCESS_TOKEN_EXPIRED")
        return grant

    def _self_signed(self, token: str) -> Grant:
        claims = self._claims(token)
        if claims.get("sub", EMAIL) != EMAIL:
            raise BadToken("a self-signed JWT cannot act for another account")
        # A JWT for another audience must be rejected (RFC 7519, 4.1.3), even if its scope would be enough.
        if claims.get("aud", AUDIENCE) != AUDIENCE:
            raise BadToken(f"the JWT is not for the audience {AUDIENCE}")
        data = "aud" in claims or not _SPANNER_SCOPES.isdisjoint(_scopes(claims))
        return Grant("self-signed JWT", EMAIL, data, claims["exp"])

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            claims = self.account.signed_claims(token)
        except (ValueError, RecursionError):
            raise BadToken("it is neither a token of this server nor a JWT signed by its service account") from None
        _check_claims(claims, self._now())
        return claims

    def _remember(self, token: str, grant: Grant) -> None:
        with self._lock:
            if len(self._grants) >= _MAX_TOKENS:
                del self._grants[next(iter(self._grants))]
            self._grants[token] = grant


def _bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    values = [str(value) for key, value in metadata if key == "authorization"]
    if not values:
        raise BadToken("the call carries no authorization", "CREDENTIALS_MISSING")
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise BadToken('authorization must be one "Bearer <token>"')
    return token.strip()


def _check_claims(claims: Mapping[str, Any], now: float) -> None:
    """Check who made a JWT and when; the maximum lifetime of an hour is Google's."""
    if claims.get("iss") != EMAIL:
        raise BadToken("its issuer is not the service account of this server")
    issued, expires = (_seconds(claims, name) for name in ("iat", "exp"))
    if issued > now + _MAX_SKEW:
        raise BadToken("it was issued in the future")
    if expires - issued > _MAX_LIFETIME + _MAX_SKEW:
        raise BadToken("it lives longer than an hour")
    if now >= expires:
        raise BadToken("the JWT has expired", "ACCESS_TOKEN_EXPIRED")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_TIME:
        raise BadToken(f"its claim {name} is not a number of seconds")
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    return frozenset(scope.split()) if isinstance(scope, str) else frozenset()
