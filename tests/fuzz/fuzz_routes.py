"""A fuzz target: REST calls of every kind, with paths, queries and bodies that are right, nearly right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hypothesis import given, strategies as st

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest.routes import http_rule, route
from spanner_grpc_sessions.service.rpcs import RPCS
from tests.fuzz.fuzz_names import names
from tests.fuzz.inputs import bodies
from tests.fuzz.target import assert_short

__all__ = ["fuzz"]

_Draw = Callable[[st.SearchStrategy[Any]], Any]
_RPCS: Final = [RPCS[name] for name in sorted(RPCS)]
_METHODS: Final = ["GET", "POST", "DELETE", "get", "PUT", "", "\ud800", "P\u00d6ST"]
_PARAMETERS: Final = [
    *("pageSize", "page_size", "pageToken", "filter", "alt", "$.xgafv", "$alt", "prettyPrint", "fields", "key"),
    *("name", "database", "session.labels", "", "a.b", "\ud800"),
]
_VALUES: Final = ["", "1", "-1", "1.0", "true", "json", "media", "x", "%", "a b", "\ud800", str(2**40)]

_values = st.one_of(st.sampled_from(_VALUES), st.text(max_size=5))
_queries = st.dictionaries(
    st.one_of(st.sampled_from(_PARAMETERS), st.text(max_size=4)),
    st.one_of(_values, st.integers(), st.booleans(), st.none(), st.floats(), st.lists(_values, max_size=3)),
    max_size=3,
)


@st.composite
def _paths(draw: _Draw, rule: Any) -> str:
    name = draw(names(3 if rule.pattern.count("*") == 3 else 4))
    path = rule.path_of(name) if draw(st.integers(0, 9)) else draw(st.text(max_size=20))
    for character, coded in draw(
        st.lists(st.sampled_from([("a", "%61"), ("/", "%2F"), ("p", "%7"), ("s", "%ff")]), max_size=1)
    ):
        path = path.replace(character, coded, 1)
    if draw(st.integers(0, 3)) == 0:
        pairs = draw(st.lists(st.tuples(st.sampled_from(_PARAMETERS), _values), max_size=3))
        path += "?" + "&".join(f"{key}={value}" for key, value in pairs)
    return str(path)


@given(data=st.data())
def fuzz(data: st.DataObject) -> None:
    """A call is an RPC with a request that can be sent, or refused with an error of ours."""
    rpc = data.draw(st.sampled_from(_RPCS))
    rule = http_rule(rpc)
    method: Any = rule.http_method if data.draw(st.integers(0, 9)) else data.draw(st.sampled_from([*_METHODS, None, 7]))
    path: Any = (
        data.draw(_paths(rule)) if data.draw(st.integers(0, 30)) else data.draw(st.sampled_from([None, b"/v1/", 7]))
    )
    query = data.draw(st.one_of(st.none(), st.none(), _queries, st.just(["alt"])))
    body = (
        data.draw(st.one_of(bodies(rpc.request_class), st.none()))
        if rule.whole_body
        else data.draw(st.sampled_from([None, None, None, {}, {"a": 1}]))
    )
    try:
        routed, name, request = route(method, path, query, body)
    except (InvalidValue, InvalidType) as error:
        assert_short(error)
        return
    assert request.SerializeToString() is not None
    assert getattr(request, http_rule(routed).variable) == name
