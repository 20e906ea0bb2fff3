"""Tokens from google.auth credentials: loading, scoping, refreshing."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final

from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.auth.exceptions import GoogleAuthError

from spanner_grpc_sessions.auth.token_source import NEVER, Token
from spanner_grpc_sessions.errors import CredentialsError
from spanner_grpc_sessions.errors.checks import is_header_text
from spanner_grpc_sessions.options import ClientOptions

# Seconds before expiry at which a token is renewed: twice the 3 min 45 s at which google-auth calls it stale.
_RENEW_BEFORE: Final = 450.0
# Seconds after the first token at which its headers are asked for again.
_LOOKED_UP: Final = 10.0
_HTTP_TIMEOUT: Final = 30.0


class TokenFetcher:
    """Fetches tokens from credentials, for one thread at a time: google-auth has no lock of its own.

    `load` returns the credentials when the first token is fetched, since it may do I/O. `service` is the URL of the
    Google service: google-auth looks up, on a thread of its own, where the account's data may go, and then adds the
    header x-allowed-locations; None for a server that is not Google's.
    """

    def __init__(
        self,
        load: Callable[[], Credentials],
        *,
        service: str | None = None,
        quota_project_id: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._load = load
        self._service = service
        self._quota_project_id = quota_project_id
        self._clock = clock
        self._credentials: Credentials | None = None
        self._request = _HttpRequest()

    def __call__(self) -> Token:
        """Return a token that is not about to expire, or raise whatever the credentials raise.

        The first may be any valid token that the credentials have: they may be unable to get another one, and if they
        are able, it is renewed in good time.
        """
        first = self._credentials is None
        credentials = self._credentials = self._credentials or self._load()
        if isinstance(credentials, AnonymousCredentials):
            return Token((), NEVER, NEVER)
        expiry = _expiry(credentials)
        if not credentials.token or expiry - self._clock() <= (0.0 if first else _RENEW_BEFORE):
            self._refresh(credentials)
            expiry = _expiry(credentials)
        headers = self._headers(credentials, expiry)
        if self._quota_project_id is not None:
            headers["x-goog-user-project"] = self._quota_project_id
        token = _token(headers, expiry, self._clock())
        if first and self._service is not None:
            # What google-auth looks up with this token is there soon, long before the next token.
            token = token._replace(renew_at=min(token.renew_at, self._clock() + _LOOKED_UP))
        return token

    def _headers(self, credentials: Credentials, expiry: float) -> dict[str, str]:
        headers: dict[str, str] = {}
        # It would replace a token that expires soon.
        if self._service is not None and expiry - self._clock() > _RENEW_BEFORE:
            credentials.before_request(self._request, "POST", self._service, headers)
            headers.pop("x-goog-api-client", None)
        else:
            credentials.apply(headers)
        return headers

    def _refresh(self, credentials: Credentials) -> None:
        try:
            credentials.refresh(self._request)
        except GoogleAuthError as error:
            # google-auth puts the whole answer of the token endpoint, tokens included, into the arguments.
            error.args = error.args[:1]
            raise


class _HttpRequest:
    """google-auth's HTTP transport, loaded when a token really has to be fetched: a self-signed JWT needs none."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._request(*args, **kwargs)

    @functools.cached_property
    def _request(self) -> Any:
        from google.auth.transport.requests import Request  # noqa: PLC0415 - 150 ms that most clients never need

        # google-auth would wait 120 s for an answer, and no other request can be made before.
        return functools.partial(Request(), timeout=_HTTP_TIMEOUT)


def load_credentials(credentials: Credentials | None, options: ClientOptions) -> Credentials:
    """Return the credentials as calls use them: scoped, and self-signing where they can.

    None loads application default credentials, which may ask the metadata server.
    """
    if credentials is None:
        import google.auth  # noqa: PLC0415 - needed without explicit credentials only

        credentials, _ = google.auth.default(scopes=options.scopes)
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


def _token(headers: dict[str, str], expiry: float, now: float) -> Token:
    pairs = tuple((key.lower(), value) for key, value in headers.items())
    for key, value in pairs:
        # gRPC would refuse the call without a word about the token.
        if not is_header_text(value):
            raise CredentialsError(f"the credentials returned a value for {key} that no header can carry")
    if expiry == NEVER:
        return Token(pairs, NEVER, NEVER)
    life = expiry - now
    # A token that lives for seconds is renewed at half its life, so that it is never renewed in a loop.
    return Token(pairs, now + max(life / 2, life - _RENEW_BEFORE), expiry)
