"""Failed calls as the error of google-api-python-client, for code that catches it."""

from __future__ import annotations

import http
import json
import sys
from functools import lru_cache
from typing import Any, Final

from spanner_grpc_sessions.errors import SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError

# No standard defines 499, which is Google's code for a cancelled call.
_PHRASES: Final = {status.value: status.phrase for status in http.HTTPStatus} | {499: "Client Closed Request"}


class Response(dict[str, str]):
    """The part of an HTTP response that `HttpError.resp` has: `status`, `reason`, and the headers that repeat them."""

    def __init__(self, status: int) -> None:
        super().__init__({"status": str(status), "content-type": "application/json; charset=UTF-8"})
        self.status = status
        self.reason: str = _PHRASES[status]


class HttpError(SpannerSessionsError):
    """A call failed. Has the attributes of `googleapiclient.errors.HttpError`, and is one if that is imported.

    Attributes:
        resp: has `status`, the HTTP status code, and `reason`.
        content: the error body of REST as JSON, in bytes.
        uri: the address of the request in REST.
        reason: the server's message.
        error_details: the list of google.rpc details with `@type`; the message if there are none.
    """

    __module__ = "spanner_grpc_sessions.discovery"

    def __init__(self, resp: Any, content: bytes, uri: str | None = None) -> None:
        error = json.loads(content)["error"]
        self.resp = resp
        self.content = content
        self.uri = uri
        self.reason: str = error["message"].strip()
        self.error_details: Any = error.get("details", error["message"])

    def __repr__(self) -> str:
        # The text is the one of Google's class, because logs and tests may depend on it.
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
    """Return the error of REST code for one of ours, and for the address of the request in REST."""
    body = error.to_rest()
    return _http_error(Response(body["error"]["code"]), json.dumps(body, indent=2).encode(), uri)


def _http_error(resp: Response, content: bytes, uri: str) -> HttpError:
    # Code that catches Google's class has imported it. It is not imported here, because this library does not depend
    # on it. While another thread imports it, the module can exist without the class.
    google = getattr(sys.modules.get("googleapiclient.errors"), "HttpError", None)
    error_class = HttpError if google is None else _caught_as(google)
    return error_class(resp, content, uri)


@lru_cache(maxsize=1)
def _caught_as(base: type[Exception]) -> type[HttpError]:
    return type("HttpError", (HttpError, base), {"__module__": HttpError.__module__, "__doc__": HttpError.__doc__})
