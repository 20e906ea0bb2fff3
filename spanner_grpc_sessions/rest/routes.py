"""REST calls as RPCs: which RPC a path means, and its request from path, query and body. Pure.

The inverse of what Google's front end does, by the rules of google/api/http.proto, read from the descriptors: path
variables, query parameters and body each fill fields of the request. What does not fit is refused as REST refuses it,
before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, checks
from spanner_grpc_sessions.errors.checks import one_line, short, shorten
from spanner_grpc_sessions.errors.rpc import InvalidRequest, UnknownPath
from spanner_grpc_sessions.rest import decoder_of
from spanner_grpc_sessions.rest.parse_error import is_a
from spanner_grpc_sessions.rest.query import refuse_parameters, to_json
from spanner_grpc_sessions.service.rpcs import RPCS, Rpc

# Of the grammar of google/api/http.proto, what Spanner uses: one path with one variable, and a body that is the whole
# request or none.
_TEMPLATE: Final = re.compile(r"(?P<before>[^{}]*)\{(?P<variable>\w+)=(?P<pattern>[^{}]+)\}(?P<after>[^{}]*)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Characters: a name of the longest kind with each of them encoded.
_MAX_PATH: Final = 8192
# Paths whose meaning is kept. They come and go with their sessions.
_MAX_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class HttpRule:
    """How REST spells an RPC.

    Attributes:
        http_method: "GET", "POST" and so on.
        before: of the path, what comes before its variable: "/v1/".
        variable: the request field that a part of the path fills.
        pattern: the form of that part, with "*" for one segment: "projects/*/instances/*/databases/*".
        after: what follows the variable: "/sessions:batchCreate".
        whole_body: the body is the request, less the variable. Otherwise there is no body but a query.
    """

    http_method: str
    before: str
    variable: str
    pattern: str
    after: str
    whole_body: bool

    @property
    def path(self) -> re.Pattern[str]:
        """The form of the paths; the group `variable` is the part that fills the variable."""
        segments = re.escape(self.pattern).replace(re.escape("*"), "[^/]+")
        return re.compile(f"{re.escape(self.before)}(?P<variable>{segments}){re.escape(self.after)}")

    def path_of(self, value: str) -> str:
        """Return the path for a value of the variable."""
        return f"{self.before}{value}{self.after}"


@lru_cache(maxsize=len(RPCS))
def http_rule(rpc: Rpc) -> HttpRule:
    """Return how REST spells an RPC."""
    return rule_of(spanner_pb2.DESCRIPTOR.services_by_name["Spanner"].methods_by_name[rpc.name])


def rule_of(method: MethodDescriptor) -> HttpRule:
    """Return the HTTP rule of a method; raise NotImplementedError if it has none, or uses more of the grammar."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    http_method = rule.WhichOneof("pattern") or "custom"
    match = _TEMPLATE.fullmatch(getattr(rule, http_method)) if http_method != "custom" else None
    if not match or rule.body not in {"", "*"} or rule.additional_bindings:
        raise NotImplementedError(f"the HTTP rule of {method.full_name} is not understood: {rule}")
    before, variable, pattern, after = match.groups()
    return HttpRule(http_method.upper(), before, variable, pattern, after, whole_body=rule.body == "*")


def route(
    http_method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None
) -> tuple[Rpc, str, Message]:
    """Return the RPC that a REST call stands for, the name of its database or session, and its request.

    The path may end in a query, and `query` has further parameters: name to value or list of values, None for none.
    """
    http_method = _plain_str("http_method must be a str", checks.text("http_method", http_method))
    path = _plain_str("path must be a str like /v1/projects/…", path)
    path, _, text = path.partition("?")
    if len(path) > _MAX_PATH or not http_method.isascii():
        raise _unknown(http_method, path)
    rpc, name = _match(http_method.upper(), path)
    parameters = _parameters(text, query) if text or query is not None else []
    try:
        request = (_from_body if http_rule(rpc).whole_body else _from_query)(rpc, name, parameters, body)
    except (InvalidValue, InvalidType) as error:
        raise InvalidRequest(str(error), method=rpc.name) from error
    return rpc, name, request


def _plain_str(rule: str, value: object) -> str:
    """Return a text as a `str` itself: what a subclass is equal to it may say itself, and `_match` keeps its keys."""
    try:
        return str.__str__(value)  # which raises a TypeError for what is no text
    except TypeError:
        raise InvalidType(f"{rule}, got {short(value)}") from None


@lru_cache(maxsize=_MAX_KEPT)
def _match(http_method: str, path: str) -> tuple[Rpc, str]:
    for rpc, pattern in _patterns().items():
        match = pattern.fullmatch(path)
        if match and http_rule(rpc).http_method == http_method:
            name = _decoded(match["variable"])
            # Half of a surrogate pair cannot be in a request; it is no name either.
            return rpc, rpc.check(name) if _SURROGATE.search(name) else name
    raise _unknown(http_method, path)


@lru_cache(maxsize=1)
def _patterns() -> dict[Rpc, re.Pattern[str]]:
    return {rpc: http_rule(rpc).path for rpc in RPCS.values()}


def _unknown(http_method: str, path: str) -> UnknownPath:
    # As Python would write them: they may hold anything, and end in a log.
    method, path = shorten(repr(http_method)[1:-1], 20), shorten(repr(path[:_MAX_PATH])[1:-1], 200)
    return UnknownPath(
        f"Method not found: Cloud Spanner's data API has no {method} on this path", method=f"{method} {path}"
    )


def _decoded(variable: str) -> str:
    # In a variable of several segments an encoded slash stays encoded: decoded, it would add a segment.
    return "/".join(unquote(segment).replace("/", "%2F") for segment in variable.split("/"))


def _parameters(text: str, query: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    if query is not None and not is_a(query, Mapping):
        raise InvalidType(f"query must be a mapping of names to values, got {short(query)}")
    parameters: list[tuple[str, Any]] = list(parse_qsl(text, keep_blank_values=True))
    for name, value in (query or {}).items():
        values = value if is_a(value, list, tuple) else (value,)
        parameters.extend((name, item) for item in values if item is not None)
    return parameters


def _from_body(rpc: Rpc, name: str, query: list[tuple[str, Any]], body: Any) -> Message:
    refuse_parameters(rpc.request_class, query)
    if not isinstance(body, Mapping | None):
        raise InvalidValue(f"body: expected object, got {short(body)}")
    request = decoder_of(rpc.request_class)(body or {})
    variable = http_rule(rpc).variable
    given = getattr(request, variable)
    if given not in {"", name}:
        expected = one_line(name, _MAX_PATH)
        raise InvalidValue(f"{variable}: expected the name in the path, {expected}, got {short(given)}")
    setattr(request, variable, name)
    return request


def _from_query(rpc: Rpc, name: str, query: list[tuple[str, Any]], body: Any) -> Message:
    rule = http_rule(rpc)
    if body is not None:
        raise InvalidValue(f"body: a {rule.http_method} has none, got {short(body)}")
    request = decoder_of(rpc.request_class)(to_json(rpc.request_class, query, taken=rule.variable))
    setattr(request, rule.variable, name)
    return request
