"""Tokens: issued, exchanged, and verified on every call as Google's front ends do.

Two kinds are taken: access tokens that this authority has issued, and JWTs that its service account has signed itself.
Expiry goes by real time, not by the clock of the sessions: the clients under test keep real time too, and would go on
using a token that only the server believes to be old.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from spanner_grpc_sessions.local.account import EMAIL, ServiceAccount
from spanner_grpc_sessions.local.status import Refusal, error_info
from spanner_grpc_sessions.options import SCOPE_DATA

__all__ = ["AUDIENCE", "Authority", "BadToken", "Grant"]

AUDIENCE: Final = "https://spanner.googleapis.com/"
"""The `aud` of a JWT meant for Spanner, whatever host it is sent to; the trailing slash is part of it."""

GOOGLE_ENDPOINT: Final = "https://oauth2.googleapis.com/token"
"""The `aud` of an assertion that google-auth makes, whatever the `token_uri` of its key file."""

SCOPE_PLATFORM: Final = "https://www.googleapis.com/auth/cloud-platform"
_FITTING: Final = frozenset({SCOPE_DATA, SCOPE_PLATFORM})
_LONGEST: Final = 3600.0
_SKEW: Final = 10.0
_END_OF_TIME: Final = 1e12
_MOST_TOKENS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for.

    Attributes:
        kind: "access token" or "self-signed JWT".
        principal: the e-mail address of the account.
        data: whether it opens Spanner's data API.
        expires: seconds since the epoch.
    """

    kind: str
    principal: str
    data: bool
    expires: float


class BadToken(Exception):
    """A token is not valid.

    Attributes:
        reason: a name of google.api.ErrorReason.
        message: what is wrong with it; never the token itself.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Authority:
    """Issues tokens and verifies them. Safe to share between threads.

    Args:
        account: the service account whose JWTs are believed.
        now: real time in seconds since the epoch.
    """

    def __init__(self, account: ServiceAccount, now: Callable[[], float] = time.time) -> None:
        self.account = account
        self._now = now
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def issue(self, scopes: Iterable[str], lifetime: float, principal: str = EMAIL) -> str:
        """Return a new access token of `principal` that lives `lifetime` seconds."""
        token = f"local.{secrets.token_urlsafe(32)}"
        data = not _FITTING.isdisjoint(scopes)
        self._remember(token, Grant("access token", principal, data, self._now() + lifetime))
        return token

    def exchange(self, assertion: str, audience: str, lifetime: float) -> str:
        """Return an access token for a JWT that the service account has signed (RFC 7523).

        Its subject may be anyone: the account may act for every user (domain-wide delegation).

        Raises:
            BadToken: the assertion is not valid for `audience`, or (reason "invalid_scope") asks for no scope.
        """
        claims = self._claims(assertion)
        if claims.get("aud") not in (audience, GOOGLE_ENDPOINT):
            raise _invalid("the assertion is meant for another audience")
        scopes = _scopes(claims)
        if not scopes:
            raise BadToken("invalid_scope", "the assertion asks for no scope")
        return self.issue(scopes, lifetime, str(claims.get("sub", EMAIL)))

    def authorize(self, metadata: Iterable[tuple[str, str | bytes]], method: str) -> Grant:
        """Return what the token of a call grants.

        Args:
            metadata: of the call; its `authorization` must be "Bearer <token>".
            method: the bare name of the RPC, for the details of a refusal.

        Raises:
            Refusal: UNAUTHENTICATED without a valid token, PERMISSION_DENIED if it does not open Spanner's data API.
                Both carry ErrorInfo.
        """
        try:
            grant = self._grant(_bearer_token(metadata))
        except BadToken as error:
            raise Refusal(
                "UNAUTHENTICATED", f"Invalid credentials: {error}.", error_info(error.reason, method)
            ) from None
        if not grant.data:
            raise Refusal(
                "PERMISSION_DENIED",
                f"The {grant.kind} has none of the scopes that open Spanner: {', '.join(sorted(_FITTING))}.",
                error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", method),
            )
        return grant

    def _grant(self, token: str) -> Grant:
        # An RSA verification costs as much as a small RPC, so a JWT is verified once and then looked up.
        grant = self._grants.get(token)
        if grant is None:
            grant = self._self_signed(token)
            self._remember(token, grant)
        if self._now() >= grant.expires:
            raise BadToken("ACCESS_TOKEN_EXPIRED", f"the {grant.kind} has expired")
        return grant

    def _self_signed(self, token: str) -> Grant:
        claims = self._claims(token)
        if claims.get("sub", EMAIL) != EMAIL:
            raise _invalid("a self-signed JWT cannot act for somebody else")
        # A JWT for another audience must be turned down (RFC 7519, 4.1.3), even if its scope would fit.
        if "aud" in claims:
            if claims["aud"] != AUDIENCE:
                raise _invalid(f"the JWT is not meant for the audience {AUDIENCE}")
            data = True
        else:
            data = not _FITTING.isdisjoint(_scopes(claims))
        return Grant("self-signed JWT", EMAIL, data, claims["exp"])

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            claims = self.account.signed_claims(token)
        except (ValueError, RecursionError):
            raise _invalid("it is neither a token of this server nor a JWT signed by its service account") from None
        _check_claims(claims, self._now())
        return claims

    def _remember(self, token: str, grant: Grant) -> None:
        with self._lock:
            if len(self._grants) >= _MOST_TOKENS:
                del self._grants[next(iter(self._grants))]
            self._grants[token] = grant


def _bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    values = [str(value) for key, value in metadata if key == "authorization"]
    if not values:
        raise BadToken("CREDENTIALS_MISSING", "the call carries no authorization")
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise _invalid('authorization must be one "Bearer <token>"')
    return token.strip()


def _check_claims(claims: Mapping[str, Any], now: float) -> None:
    """Check who has made a JWT and when; the lifetime limit of an hour is Google's."""
    if claims.get("iss") != EMAIL:
        raise _invalid("its issuer is not the service account of this server")
    issued, expires = (_seconds(claims, name) for name in ("iat", "exp"))
    if issued > now + _SKEW:
        raise _invalid("it was issued in the future")
    if expires - issued > _LONGEST + _SKEW:
        raise _invalid("it lives longer than an hour")
    if now >= expires:
        raise BadToken("ACCESS_TOKEN_EXPIRED", "the JWT has expired")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _END_OF_TIME:
        raise _invalid(f"its claim {name} is not a number of seconds")
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    return frozenset(scope.split()) if isinstance(scope, str) else frozenset()


def _invalid(message: str) -> BadToken:
    return BadToken("ACCESS_TOKEN_TYPE_UNSUPPORTED", message)
