"""Failed calls as the error of google-api-python-client, for code that was written for it."""

from __future__ import annotations

import http
import json
import sys
from functools import lru_cache
from typing import Any, Final

from spanner_grpc_sessions.errors import SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError

__all__ = ["HttpError", "Response", "http_error"]

# Google's code for calls that the caller gave up is none of the registered ones.
_PHRASES: Final = {status.value: status.phrase for status in http.HTTPStatus} | {499: "Client Closed Request"}


class Response(dict[str, str]):
    """What is left of an HTTP response when there was none: status, reason, and the headers that follow from them.

    Attributes:
        status: HTTP status code.
        reason: its standard phrase.
    """

    def __init__(self, status: int) -> None:
        super().__init__({"status": str(status), "content-type": "application/json; charset=UTF-8"})
        self.status = status
        self.reason = _PHRASES[status]


class HttpError(SpannerSessionsError):
    """A call failed. Reads like `googleapiclient.errors.HttpError`, and is one where that has been imported.

    Attributes:
        resp: with `status`, the HTTP status code, and `reason`.
        content: the error body of REST as JSON, in bytes.
        uri: where REST would have sent the request.
        reason: the server's message.
        error_details: the list of google.rpc details with `@type`; where there are none, the message.
    """

    def __init__(self, resp: Any, content: bytes, uri: str | None = None) -> None:
        error = json.loads(content)["error"]
        self.resp = resp
        self.content = content
        self.uri = uri
        self.reason: str = error["message"].strip()
        self.error_details: Any = error.get("details", error["message"])

    def __repr__(self) -> str:
        # The text of Google's class, which logs and tests may have been written for.
        if not self.uri and not self.error_details:
            return f'<HttpError {self.resp.status} "{self.reason}">'
        details = f'. Details: "{self.error_details}"' if self.error_details else ""
        return f'<HttpError {self.resp.status} when requesting {self.uri} returned "{self.reason}"{details}>'

    __str__ = __repr__

    @property
    def status_code(self) -> int:
        """The HTTP status code."""
        code: int = self.resp.status
        return code

    def __reduce__(self) -> tuple[Any, ...]:
        return _http_error, (self.resp, self.content, self.uri), self.__dict__


def http_error(error: RpcError, uri: str) -> HttpError:
    """Return the error that REST code expects in the place of ours.

    Args:
        error: what the call raised.
        uri: where REST would have sent the request.
    """
    body = error.to_rest()
    return _http_error(Response(body["error"]["code"]), json.dumps(body, indent=2).encode(), uri)


def _http_error(resp: Response, content: bytes, uri: str) -> HttpError:
    # Whoever catches Google's class has imported it. It is not imported here: it is no dependency of this library.
    # While another thread imports it, the module is there and its class may not be.
    google = getattr(sys.modules.get("googleapiclient.errors"), "HttpError", None)
    error_class = HttpError if google is None else _caught_as(google)
    return error_class(resp, content, uri)


@lru_cache(maxsize=1)
def _caught_as(base: type[Exception]) -> type[HttpError]:
    return type("HttpError", (HttpError, base), {"__module__": HttpError.__module__, "__doc__": HttpError.__doc__})
