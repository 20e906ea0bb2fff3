"""The HTTP requests of google-auth: what they go through, what they are spared, and whether the last one failed."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from spanner_grpc_sessions.runtime.hosts import is_loopback

# Seconds between two bytes: google-auth would wait 120.
_TIMEOUT: Final = 15.0
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
# Takes the place of the proxies of the environment.
_NO_PROXIES: Final = {"http": "", "https": ""}


class HttpRequest:
    """google-auth's HTTP transport, loaded when a token really has to be fetched: a self-signed JWT needs none.

    Attributes:
        failure: why the last request may succeed when it is made again; None if it was answered for good.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self._request: Any = None

    def __call__(self, url: str, *args: Any, **kwargs: Any) -> Any:
        """Make a request, as `google.auth.transport.Request`."""
        host = urlsplit(url).hostname or ""
        if host.startswith("cloudresourcemanager."):
            # `google.auth.default` looks up the id of a project by its number. Here neither is needed, and there may be
            # no way to that service.
            return _Answer(200, {}, json.dumps({"projectId": url.rpartition("/")[2]}).encode())
        if is_loopback(host):
            kwargs["proxies"] = _NO_PROXIES
        self.failure = "no answer"
        response = self._made()(url, *args, **kwargs)
        passing = response.status == _TOO_MANY_REQUESTS or response.status >= _SERVER_ERROR
        self.failure = f"HTTP {response.status}" if passing else None
        return response

    def _made(self) -> Any:
        if self._request is None:
            from google.auth.transport.requests import Request  # noqa: PLC0415 - 150 ms that most clients never need

            self._request = functools.partial(Request(), timeout=_TIMEOUT)
        return self._request


class _Answer(NamedTuple):
    """As `google.auth.transport.Response`."""

    status: int
    headers: Mapping[str, str]
    data: bytes
