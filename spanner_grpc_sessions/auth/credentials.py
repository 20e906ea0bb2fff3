"""Tokens from google.auth credentials: loading, scoping, refreshing."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final

from google.auth import environment_vars
from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.auth.exceptions import DefaultCredentialsError, TransportError

from spanner_grpc_sessions.auth.failures import is_passing, remove_secrets, text_of
from spanner_grpc_sessions.auth.http import HttpRequest
from spanner_grpc_sessions.auth.token import NEVER, Token, TokenHeaders
from spanner_grpc_sessions.errors import CredentialsError
from spanner_grpc_sessions.errors.checks import is_header_key, is_header_text, short
from spanner_grpc_sessions.options import ClientOptions

# Seconds before expiry at which a token is renewed: twice the 3 min 45 s at which google-auth calls it stale.
_RENEW_BEFORE: Final = 450.0
# The part of its life after which a token may be renewed by a process that got it together with many others.
_EARLIEST: Final = 1 / 4
# Seconds after the first token at which its headers are asked for again.
_LOOKED_UP: Final = 10.0
# Where one of these is set, there is a metadata server, though it may not answer yet.
_SIGNS_OF_METADATA: Final = (
    *(environment_vars.GCE_METADATA_HOST, environment_vars.GCE_METADATA_ROOT, environment_vars.GCE_METADATA_IP),
    *("KUBERNETES_SERVICE_HOST", "K_SERVICE", "CLOUD_RUN_JOB", "GAE_SERVICE"),
)
_EMPTY: Final = frozenset({"", "bearer", "bearer none"})

Load = Callable[[HttpRequest], Credentials]


class TokenFetcher:
    """Fetches tokens from credentials, for one thread at a time: google-auth has no lock of its own.

    `load` returns the credentials when the first token is fetched, since it may do I/O. `service` is the URL of the
    Google service: google-auth looks up, on a thread of its own, where the account's data may go, and then adds the
    header x-allowed-locations; None for a server that is not Google's. `draw` returns a number from 0 to below 1:
    processes that are deployed or fail together would otherwise renew their tokens in the same minutes, for days.
    """

    def __init__(
        self,
        load: Load,
        *,
        service: str | None = None,
        quota_project_id: str | None = None,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = lambda: int.from_bytes(os.urandom(4), "big") / 2**32,
    ) -> None:
        self._load = load
        self._service = service
        self._quota_project_id = quota_project_id
        self._clock = clock
        self._draw = draw
        self._renew_before = _RENEW_BEFORE
        # The next token comes when other processes get theirs.
        self._together = True
        self._means = _Means(None)

    def __call__(self, rejected: TokenHeaders = ()) -> Token:
        """Return a token that is not about to expire and has not these headers, or raise what the credentials raise.

        The first may be any valid token that the credentials have: they may be unable to get another one, and if they
        are able, it is renewed in good time.
        """
        means = self._means
        if means.in_use or means.process != os.getpid():
            # By a thread that hangs, or did not follow a fork. It has their locks, and reads from their connection.
            means = self._means = _Means(means.credentials)
        means.in_use = True
        try:
            return self._fetch(means, rejected)
        except BaseException as error:
            self._together, self._renew_before = True, _RENEW_BEFORE
            remove_secrets(error)
            if not is_passing(error) and (failure := means.failure(error)):
                raise TransportError(f"{type(error).__name__}: {text_of(error)} ({failure})") from error
            raise
        finally:
            means.in_use = False

    def _fetch(self, means: _Means, rejected: TokenHeaders) -> Token:
        means.request.failure = None
        first = means.credentials is None
        credentials = means.credentials = means.credentials or self._load(means.request)
        if isinstance(credentials, AnonymousCredentials):
            return Token((), NEVER, NEVER)
        left = _expiry(credentials) - self._clock()
        if not credentials.token or left <= (0.0 if first else self._renew_before):
            self._refresh(means)
        token = self._token(means)
        if rejected and set(rejected) <= set(token.headers):
            self._together = True
            self._refresh(means)
            token = self._token(means)
        if first and self._service is not None:
            # What google-auth looks up with this token is there soon, long before the next token.
            token = token._replace(renew_at=min(token.renew_at, self._clock() + _LOOKED_UP))
        return token

    def _refresh(self, means: _Means) -> None:
        credentials: Any = means.credentials
        credentials.refresh(means.request)
        self._renew_before = _RENEW_BEFORE

    def _token(self, means: _Means) -> Token:
        credentials: Any = means.credentials
        expiry = _expiry(credentials)
        headers: dict[str, str] = {}
        # It would replace a token that expires soon.
        if self._service is not None and expiry - self._clock() > _RENEW_BEFORE:
            credentials.before_request(means.request, "POST", self._service, headers)
            headers.pop("x-goog-api-client", None)
        else:
            credentials.apply(headers)
        if self._quota_project_id is not None:
            headers["x-goog-user-project"] = self._quota_project_id
        if self._together:
            self._together = False
            spread = (1 - _EARLIEST) * (expiry - self._clock()) - _RENEW_BEFORE
            self._renew_before = _RENEW_BEFORE + (self._draw() * spread if 0 < spread < NEVER else 0.0)
        return _token(headers, expiry, self._clock(), self._renew_before)


class _Means:
    """What tokens are fetched with. Credentials are copied, for they may have locks that are held for good."""

    def __init__(self, credentials: Credentials | None) -> None:
        self.process = os.getpid()
        self.in_use = False
        self.request = HttpRequest()
        self.credentials = None if credentials is None else _copied(credentials)

    def failure(self, error: BaseException) -> str | None:
        """Return what was passing about the last request, if it is why there is no token."""
        no_sign = not any(os.environ.get(name) for name in _SIGNS_OF_METADATA)
        return None if isinstance(error, DefaultCredentialsError) and no_sign else self.request.failure


def _copied(credentials: Credentials) -> Credentials:
    try:
        copied = copy.copy(credentials)
        for name, value in tuple(vars(copied).items()):
            if isinstance(value, Credentials):
                setattr(copied, name, _copied(value))
    except Exception:  # noqa: BLE001 - a user's credentials may not be made for it, nor have locks
        return credentials
    return copied


def load_credentials(credentials: Credentials | None, options: ClientOptions, request: Any = None) -> Credentials:
    """Return the credentials as calls use them: scoped, and self-signing where they can.

    None loads application default credentials, which may ask the metadata server.
    """
    if credentials is None:
        import google.auth  # noqa: PLC0415 - needed without explicit credentials only

        credentials, _ = google.auth.default(scopes=options.scopes, request=request)
    credentials = with_scopes_if_required(credentials, options.scopes)
    # A JWT that the service account signs itself needs no network. Not with delegation, which must be exchanged.
    if hasattr(credentials, "with_always_use_jwt_access") and getattr(credentials, "_subject", None) is None:
        credentials = credentials.with_always_use_jwt_access(True)
    return credentials


def _expiry(credentials: Credentials) -> float:
    expiry: datetime | None = credentials.expiry
    if expiry is None:
        return NEVER
    # google-auth keeps naive datetimes in UTC.
    return (expiry if expiry.tzinfo else expiry.replace(tzinfo=timezone.utc)).timestamp()


def _token(headers: dict[str, str], expiry: float, now: float, renew_before: float) -> Token:
    pairs = tuple((_key(key), value) for key, value in headers.items())
    for key, value in pairs:
        _check_value(key, value)
    if expiry == NEVER:
        return Token(pairs, NEVER, NEVER)
    life = expiry - now
    # A token that lives for seconds is renewed at half its life, so that it is never renewed in a loop.
    latest = max(life / 2, life - _RENEW_BEFORE)
    return Token(pairs, now + (latest if renew_before == _RENEW_BEFORE else life - renew_before), expiry)


# gRPC would fail the call with the token in the text of the error, or without a word about it.
def _key(key: object) -> str:
    lower = key.lower() if isinstance(key, str) else ""
    if not is_header_key(lower) or lower.endswith("-bin"):
        raise CredentialsError(
            "the credentials returned a header that gRPC cannot send: its name must be of a-z, 0-9, '_', '-' and '.', "
            f"and neither begin with grpc- nor end in -bin, got {short(key)}"
        )
    return lower


def _check_value(key: str, value: object) -> None:
    if not isinstance(value, str) or not is_header_text(value):
        raise CredentialsError(f"the credentials returned a value for {key} that no header can carry")
    if key == "authorization" and value.strip().lower() in _EMPTY:
        raise CredentialsError("the credentials returned an empty token")
