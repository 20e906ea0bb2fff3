"""The request headers, character for character, and what a caller may add to them."""

from __future__ import annotations

import contextlib
import platform
import re
from typing import Any
from urllib.parse import parse_qs

import google.protobuf
import grpc
import grpc.aio
import pytest
from hypothesis import given

from spanner_grpc_sessions import __version__
from spanner_grpc_sessions.calls.headers import Headers, Metadata, check_metadata
from spanner_grpc_sessions.errors import InvalidName, InvalidType, InvalidValue
from spanner_grpc_sessions.service import rpcs
from spanner_grpc_sessions.service.rpcs import Rpc
from tests.unit.rest.strategies import anything, databases

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"
LEADER = ("x-goog-spanner-route-to-leader", "true")
ON_DATABASES = [rpcs.CREATE_SESSION, rpcs.BATCH_CREATE_SESSIONS, rpcs.LIST_SESSIONS]
ON_SESSIONS = [rpcs.GET_SESSION, rpcs.DELETE_SESSION, rpcs.EXECUTE_SQL]


def headers_of(rpc: Rpc, name: str, *, leader: bool = True) -> Metadata:
    """Return the headers of a call by a client that has made none before."""
    return Headers(leader_aware_routing=leader).of(rpc, name)


@pytest.mark.parametrize(
    ("database", "encoded"),
    [
        (DATABASE, DATABASE),
        ("projects/example.com:p/instances/i/databases/d", "projects/example.com%3Ap/instances/i/databases/d"),
        ("projects/a%b/instances/i/databases/d", "projects/a%25b/instances/i/databases/d"),
        ("projects/a&b=c/instances/i/databases/d", "projects/a%26b%3Dc/instances/i/databases/d"),
        ("projects/a+b/instances/i/databases/d", "projects/a%2Bb/instances/i/databases/d"),
        ("projects/p/instances/i-1/databases/d_1.~", "projects/p/instances/i-1/databases/d_1.~"),
        ("projects/p/instances/i/databases/%2F", "projects/p/instances/i/databases/%252F"),
    ],
)
def test_routing_header_is_url_encoded(database: str, encoded: str) -> None:
    """All but letters, digits, slashes and `_.-~` is percent-encoded; the resource prefix is the name as it is."""
    headers = dict(headers_of(rpcs.CREATE_SESSION, database))
    assert headers["x-goog-request-params"] == f"database={encoded}"
    assert headers["google-cloud-resource-prefix"] == database


def test_a_space_would_be_encoded_as_a_plus() -> None:
    """No name has a space, and one that came would be refused rather than sent."""
    with pytest.raises(InvalidName):
        headers_of(rpcs.CREATE_SESSION, "projects/a b/instances/i/databases/d")


@given(databases)
def test_routing_header_reads_back_as_the_name(database: str) -> None:
    """Whatever the ids are, a server that decodes the header gets the name, and one parameter only."""
    for rpc, name in ((rpcs.LIST_SESSIONS, database), (rpcs.GET_SESSION, f"{database}/sessions/s")):
        headers = dict(headers_of(rpc, name))
        params = headers["x-goog-request-params"]
        assert isinstance(params, str)
        assert parse_qs(params, strict_parsing=True) == {rpc.on: [name]}
        assert headers["google-cloud-resource-prefix"] == database


@pytest.mark.parametrize(
    ("rpc", "name", "params", "leader"),
    [
        (rpcs.CREATE_SESSION, DATABASE, f"database={DATABASE}", True),
        (rpcs.BATCH_CREATE_SESSIONS, DATABASE, f"database={DATABASE}", True),
        (rpcs.LIST_SESSIONS, DATABASE, f"database={DATABASE}", False),
        (rpcs.GET_SESSION, SESSION, f"name={SESSION}", True),
        (rpcs.DELETE_SESSION, SESSION, f"name={SESSION}", False),
        (rpcs.EXECUTE_SQL, SESSION, f"session={SESSION}", False),
    ],
    ids=lambda value: value.name if isinstance(value, Rpc) else None,
)
def test_each_rpc_has_its_headers_and_no_others(rpc: Rpc, name: str, params: str, leader: bool) -> None:
    """Prefix, routing and client are sent with each call, the leader header where it saves a hop."""
    client = f"gl-python/{platform.python_version()} grpc/{grpc.__version__}"
    common = (
        ("google-cloud-resource-prefix", DATABASE),
        ("x-goog-request-params", params),
        ("x-goog-api-client", f"{client} gccl/{__version__} pb/{google.protobuf.__version__}"),
    )
    assert headers_of(rpc, name) == (*common, LEADER) if leader else common
    assert headers_of(rpc, name, leader=False) == common


@pytest.mark.parametrize("asked", [True, False])
def test_end_to_end_tracing_is_a_header_of_every_call(asked: bool) -> None:
    """Spanner exports its own spans then; without the option there is no header."""
    headers = Headers(leader_aware_routing=True, end_to_end_tracing=asked)
    for rpc, name in ((rpcs.CREATE_SESSION, DATABASE), (rpcs.GET_SESSION, SESSION)):
        found = [value for key, value in headers.of(rpc, name) if key == "x-goog-spanner-end-to-end-tracing"]
        assert found == ["true"] * asked


def test_headers_of_a_resource_are_made_once() -> None:
    """The second call on a name gets the very tuple of the first, and each RPC has its own."""
    headers = Headers(leader_aware_routing=True)
    for rpc in ON_SESSIONS:
        assert headers.of(rpc, SESSION) is headers.of(rpc, SESSION)
    assert len({headers.of(rpc, SESSION) for rpc in ON_SESSIONS}) == len(ON_SESSIONS)


def test_headers_are_not_kept_for_ever() -> None:
    """Sessions come and go: what is kept of them stays bounded, and is right after it was dropped."""
    headers = Headers(leader_aware_routing=True)
    for number in range(3000):
        name = f"{DATABASE}/sessions/{number}"
        assert dict(headers.of(rpcs.EXECUTE_SQL, name))["x-goog-request-params"] == f"session={name}"
    assert max(map(len, headers._kept.values())) <= 1024


@pytest.mark.parametrize("rpc", [*ON_DATABASES, *ON_SESSIONS], ids=lambda rpc: rpc.name)
def test_names_are_checked_before_they_are_headers(rpc: Rpc) -> None:
    """A malformed name is refused on each call, whatever was kept before."""
    headers = Headers(leader_aware_routing=True)
    good = DATABASE if rpc in ON_DATABASES else SESSION
    headers.of(rpc, good)
    for bad in (SESSION if rpc in ON_DATABASES else DATABASE, f"{good}\r\nx-injected: 1", f"{good}\n", ""):
        with pytest.raises(InvalidName):
            headers.of(rpc, bad)
    name: Any
    for name in (None, 5, [good], {good: good}, good.encode()):
        with pytest.raises(InvalidType):
            headers.of(rpc, name)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("traceparent", "00-ab-cd-01"),),
        [("x-goog-request-reason", "p"), ("x-trace-bin", b"\0\xff\r\n")],
        [["key", ""], ["key", "again"]],
        [("a_b.c-1", " ~")],
    ],
)
def test_metadata_that_grpc_can_send_is_kept(metadata: Any) -> None:
    """Pairs come out in their order, repeated keys included."""
    assert check_metadata(metadata) == tuple(map(tuple, metadata))


def test_metadata_can_be_an_aio_metadata_or_an_iterator() -> None:
    """What gRPC hands to interceptors can be handed on."""
    assert check_metadata(grpc.aio.Metadata(("a", "b"))) == (("a", "b"),)
    assert check_metadata(iter([("a", "b")])) == (("a", "b"),)


@pytest.mark.parametrize("value", ["a\r\nx-injected: 1", "a\n", "\r", "\0", "a\tb", "\x7f", "é", "\ud800"])
def test_metadata_values_cannot_begin_another_header(value: str) -> None:
    """Control characters and all beyond ASCII are refused; the value may be a secret and is not repeated."""
    with pytest.raises(InvalidValue, match="'x-key'") as error:
        check_metadata([("x-key", value)])
    assert value not in str(error.value)
    assert repr(value)[1:-1] not in str(error.value)


@pytest.mark.parametrize("key", ["", "X-Key", "a b", "a:b", ":path", "a\r\nb", "a\n", "é", "a/b", "grpc-timeout"])
def test_metadata_keys_that_are_no_header_names_are_refused(key: str) -> None:
    """A key is lower case and of few characters; HTTP/2's own and gRPC's own are not the caller's."""
    with pytest.raises(InvalidValue, match="metadata key") as error:
        check_metadata([(key, "value")])
    assert repr(key) in str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "google-cloud-resource-prefix",
        "x-goog-api-client",
        "x-goog-request-params",
        "x-goog-user-project",
        "x-goog-spanner-request-id",
        "x-goog-spanner-route-to-leader",
    ],
)
def test_metadata_replaces_none_of_our_headers(key: str) -> None:
    """A header that each call has already is refused by name, and its value is not repeated."""
    with pytest.raises(InvalidValue, match=f"{re.escape(repr(key))} is set by this library") as error:
        check_metadata([("x-first", "1"), (key, "Bearer secret")])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "metadata",
    [
        None, 5, "ab", b"ab", {"ab": "cd"}, {"key": "value"}, ["ab"], [b"ab"], [("a",)], [("a", "b", "c")], [5],
        [(1, "b")], [(b"a", "b")], [("a", b"b")], [("a", None)], [("a", 1)], [("a-bin", "text")],
        [("a-bin", bytearray(b"b"))],
    ],
)  # fmt: skip
def test_metadata_of_other_shapes_and_types_is_refused(metadata: Any) -> None:
    """What is not pairs of text, or of text and bytes for -bin keys, is refused; text is no pair of characters."""
    with pytest.raises(InvalidType, match="metadata"):
        check_metadata(metadata)


@given(anything())
def test_any_metadata_raises_only_our_errors(value: Any) -> None:
    """The pairs come out, or one of our two exceptions."""
    for metadata in (value, [value], [("key", value)], [(value, "value")], [("key-bin", value)]):
        with contextlib.suppress(InvalidValue, InvalidType):
            check_metadata(metadata)
