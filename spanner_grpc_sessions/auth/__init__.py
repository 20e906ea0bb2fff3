"""From google.auth credentials to the headers that authenticate a call.

One thread per token source does the I/O, long before a call needs its token. Knows no RPC and no channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    from google.auth.credentials import Credentials

    from spanner_grpc_sessions.auth.token import TokenHeaders
    from spanner_grpc_sessions.auth.token_source import TokenSource
    from spanner_grpc_sessions.options import ClientOptions

    Tokens: TypeAlias = "TokenSource | AnonymousTokens"


def tokens_for(credentials: Credentials | None, options: ClientOptions, *, address: str, authenticated: bool) -> Tokens:
    """Return the source of the tokens for calls to "host:port", which may need none."""
    if not authenticated:
        return AnonymousTokens()
    # google.auth takes 16 ms to import, which calls without a token need not pay.
    from spanner_grpc_sessions.auth.credentials import TokenFetcher, load_credentials  # noqa: PLC0415
    from spanner_grpc_sessions.auth.token_source import TokenSource  # noqa: PLC0415

    host = address.rpartition(":")[0]
    service = f"https://{host}/google.spanner.v1.Spanner" if host.endswith(".googleapis.com") else None
    fetch = TokenFetcher(
        lambda request: load_credentials(credentials, options, request),
        service=service,
        quota_project_id=options.quota_project_id,
    )
    return TokenSource(fetch)


class AnonymousTokens:
    """In the place of a `TokenSource`, for calls that carry no token."""

    closed = False

    def current(self) -> TokenHeaders:
        """Return no headers."""
        return ()

    def start(self) -> None:
        """Do nothing: there is nothing to fetch."""

    def reject(self, headers: TokenHeaders | None) -> bool:  # noqa: ARG002 - as of `TokenSource`
        """Return False: there is no token."""
        return False

    def wait(self, timeout: float | None, *, unless: object = None) -> TokenHeaders:  # noqa: ARG002 - as of `TokenSource`
        """Return no headers, without waiting."""
        return ()

    async def wait_async(self, timeout: float | None) -> TokenHeaders:  # noqa: ARG002 - as of `TokenSource`
        """Return no headers, without waiting."""
        return ()

    def close(self, timeout: float = 1.0) -> None:
        """Do nothing: there is no thread to end."""

    async def close_async(self, timeout: float = 1.0) -> None:
        """Do nothing: there is no thread to end."""
