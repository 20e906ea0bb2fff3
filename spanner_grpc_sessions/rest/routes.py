"""REST calls as RPCs: which RPC a path means, and its request from path, query and body.

The inverse of what Google's front end does, by the rules of google/api/http.proto: path variables, query parameters
and body each fill fields of the request. What does not fit is refused as REST would refuse it, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from google.protobuf.message import Message

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short, shorten
from spanner_grpc_sessions.errors.rpc import InvalidRequest, UnknownPath
from spanner_grpc_sessions.rest import decoder_of
from spanner_grpc_sessions.rest.query import refuse_parameters, to_json
from spanner_grpc_sessions.service.rpcs import RPCS, Method

__all__ = ["REST_CALLS", "Call", "route"]

Call = tuple[Method, str, tuple[Any, Any]]
"""A row, the name of the database or session, and the other arguments of the row's `build`: query and body."""

_LONGEST_PATH: Final = 8192
"""Characters: a name of the longest kind with each of them encoded."""
_MOST_PATHS: Final = 1024
"""Paths whose meaning is kept. They come and go with their sessions: past it the least recent is forgotten."""


def route(http_method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None) -> Call:
    """Return the call of an RPC that a REST call stands for.

    Args:
        http_method: "GET", "POST" or "DELETE", in either case.
        path: `/v1/projects/…`, percent-encoded where it has to be; it may end in a query.
        query: further parameters, name to value or list of values; None stands for an absent one.
        body: the JSON object; None for no body.

    Raises:
        UnknownPath: the API has no such method.
        InvalidType: the method or the path is no text, or the query no mapping.
    """
    if not isinstance(http_method, str):
        raise InvalidType(f"http_method must be a str, got {short(http_method)}")
    if not isinstance(path, str):
        raise InvalidType(f"path must be a str like /v1/projects/…, got {short(path)}")
    path, _, text = path.partition("?")
    if len(path) > _LONGEST_PATH or not http_method.isascii():
        raise _unknown(http_method, path)
    method, name = _match(http_method.upper(), path)
    return method, name, (_parameters(text, query) if text or query is not None else (), body)


@lru_cache(maxsize=_MOST_PATHS)
def _match(http_method: str, path: str) -> tuple[Method, str]:
    for method, pattern in _PATTERNS.items():
        match = pattern.fullmatch(path)
        if match and method.http.http_method == http_method:
            return method, _decoded(match["variable"])
    raise _unknown(http_method, path)


def _unknown(http_method: str, path: str) -> UnknownPath:
    # As Python would write them: they may hold anything, and end in a log.
    method, path = shorten(repr(http_method)[1:-1], 20), shorten(repr(path[:_LONGEST_PATH])[1:-1], 200)
    return UnknownPath(
        f"Method not found: Cloud Spanner's data API has no {method} on this path", method=f"{method} {path}"
    )


def _decoded(variable: str) -> str:
    # A variable of several segments keeps an encoded slash as it is, or it would gain a segment.
    return "/".join(unquote(segment).replace("/", "%2F") for segment in variable.split("/"))


def _parameters(text: str, query: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    if not (query is None or isinstance(query, Mapping)):
        raise InvalidType(f"query must be a mapping of names to values, got {short(query)}")
    parameters: list[tuple[str, Any]] = list(parse_qsl(text, keep_blank_values=True))
    for name, value in (query or {}).items():
        values = value if isinstance(value, list | tuple) else (value,)
        parameters.extend((name, item) for item in values if item is not None)
    return parameters


def _request(rpc: Method, name: str, query: Any, body: Any) -> Message:
    """Return the request of an RPC; the `build` of the rows here."""
    try:
        return _from_body(rpc, name, query, body) if rpc.http.whole_body else _from_query(rpc, name, query, body)
    except (InvalidValue, InvalidType) as error:
        raise InvalidRequest(str(error), method=rpc.name) from error


def _from_body(rpc: Method, name: str, query: Any, body: Any) -> Message:
    refuse_parameters(rpc.request_class, query)
    if not (body is None or isinstance(body, Mapping)):
        raise InvalidValue(f"body: expected object, got {short(body)}")
    request = decoder_of(rpc.request_class)(body or {})
    given = getattr(request, rpc.http.variable)
    if given not in {"", name}:
        raise InvalidValue(f"{rpc.http.variable}: expected what the path says, {name}, got {short(given)}")
    setattr(request, rpc.http.variable, name)
    return request


def _from_query(rpc: Method, name: str, query: Any, body: Any) -> Message:
    if body is not None:
        raise InvalidValue(f"body: a {rpc.http.http_method} has none, got {short(body)}")
    request = decoder_of(rpc.request_class)(to_json(rpc.request_class, query, taken=rpc.http.variable))
    setattr(request, rpc.http.variable, name)
    return request


REST_CALLS: Final = {name: replace(rpc, build=partial(_request, rpc)) for name, rpc in RPCS.items()}
"""By name of the RPC, the row that takes query and body and answers as REST does."""

_PATTERNS: Final = {method: method.http.path for method in REST_CALLS.values()}
