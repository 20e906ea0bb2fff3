"""The details of a failed call: read from both kinds of trailers, as REST gives them, and never by an exception."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as rpc
from hypothesis import given
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors.details import Details, read_details
from spanner_grpc_sessions.errors.rpc import DATABASE_RESOURCES, SESSION_RESOURCE
from tests.unit.errors.trailers import DETAILS, trailer_of, trailers_of_all_kinds
from tests.unit.failures import any_of, status_trailer

each_detail = pytest.mark.parametrize(("detail", "rest"), DETAILS, ids=lambda value: type(value).__name__)


def test_every_type_of_detail_is_tried() -> None:
    """The table above has every message of google.rpc's error details."""
    assert {type(detail).__name__ for detail, _ in DETAILS} == set(rpc.DESCRIPTOR.message_types_by_name)


@each_detail
def test_details_of_the_status_are_read_as_rest_gives_them(detail: Message, rest: dict[str, Any]) -> None:
    """Each google.rpc type comes out of the status trailer as its REST object, `@type` first."""
    (entry,) = read_details([status_trailer(detail)]).entries
    assert entry == {"@type": f"type.googleapis.com/google.rpc.{type(detail).__name__}", **rest}
    assert json.dumps(entry) == json.dumps(json_format.MessageToDict(any_of(detail)))


@each_detail
def test_details_in_trailers_of_their_own_are_read_too(detail: Message, rest: dict[str, Any]) -> None:
    """Where there is no status trailer, each type is found in the trailer that bears its name."""
    (entry,) = read_details([("x-other", "1"), trailer_of(detail)]).entries
    assert entry == {"@type": f"type.googleapis.com/google.rpc.{type(detail).__name__}", **rest}


def test_all_details_are_read_in_their_order() -> None:
    """The entries are in the order that the server sent, types that repeat included."""
    details = [detail for detail, _ in DETAILS] * 2
    types = [entry["@type"].rpartition(".")[2] for entry in read_details([status_trailer(*details)]).entries]
    assert types == [type(detail).__name__ for detail in details]


def test_the_status_is_read_first() -> None:
    """What the status holds is not read a second time from the single trailers."""
    trailers = [trailer_of(rpc.ErrorInfo(reason="TRAILER")), status_trailer(rpc.ErrorInfo(reason="STATUS"))]
    assert [entry["reason"] for entry in read_details(trailers).entries] == ["STATUS"]


@pytest.mark.parametrize("damaged", [b"\xff", b"\x0a", b"\x1a\x05\x0a", b"\x12\x02\xff\xfe"])
def test_a_damaged_status_is_as_good_as_none(damaged: bytes) -> None:
    """Bytes that are no google.rpc.Status leave the single trailers to be read."""
    trailers = [("grpc-status-details-bin", damaged), trailer_of(rpc.ErrorInfo(reason="R"))]
    assert [entry["reason"] for entry in read_details(trailers).entries] == ["R"]


@pytest.mark.parametrize(
    "detail",
    [
        AnyMessage(type_url="type.googleapis.com/example.Unknown", value=b"\x00\xff\x10"),
        AnyMessage(type_url="type.googleapis.com/example.google.rpc.RetryInfo", value=b"\x01"),
        AnyMessage(type_url="google.rpc.RetryInfo", value=b"\x0a\x02\x08\x05"),
        AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff"),
        AnyMessage(type_url="type.googleapis.com/google.rpc.Status", value=b""),
        AnyMessage(value=b"no type"),
        AnyMessage(),
    ],
)
def test_unknown_and_damaged_details_are_kept_as_they_came(detail: AnyMessage) -> None:
    """A detail that cannot be read keeps its type and its bytes, and hides no other one."""
    entries = read_details([status_trailer(detail, rpc.ErrorInfo(reason="R"))]).entries
    assert entries[0].keys() == {"@type", "value"}
    assert entries[0]["@type"] == detail.type_url
    assert base64.b64decode(entries[0]["value"]) == detail.value
    assert entries[1]["reason"] == "R"


@pytest.mark.parametrize("prefix", ["type.googleapis.com/", "/", "example.com/types/"])
def test_a_type_is_known_by_its_name_with_any_prefix(prefix: str) -> None:
    """The part before the last slash says where a type is described, not what it is; it is kept."""
    detail = AnyMessage(type_url=f"{prefix}google.rpc.ErrorInfo", value=rpc.ErrorInfo(reason="R").SerializeToString())
    assert read_details([status_trailer(detail)]).entries == ({"@type": detail.type_url, "reason": "R"},)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (Duration(), 0.0),
        (Duration(seconds=1, nanos=500_000_000), 1.5),
        (Duration(nanos=1), 1e-9),
        (Duration(seconds=-5), 0.0),
        (Duration(seconds=-1, nanos=-500_000_000), 0.0),
        (Duration(seconds=1, nanos=-500_000_000), 0.5),
        (Duration(seconds=315_576_000_000), 315_576_000_000.0),
        (Duration(seconds=2**63 - 1, nanos=2**31 - 1), float(2**63)),
        (Duration(seconds=-(2**63), nanos=-(2**31)), 0.0),
    ],
)
def test_retry_delays_are_seconds_that_can_be_waited_for(delay: Duration, seconds: float) -> None:
    """A delay is never negative and always finite, also where it has no REST form; both trailers tell it."""
    info = rpc.RetryInfo(retry_delay=delay)
    for trailer in (status_trailer(info), trailer_of(info)):
        details = read_details([trailer])
        assert details.retry_delay == pytest.approx(seconds, rel=1e-12)
        assert len(details.entries) == 1


def test_a_delay_without_rest_form_is_kept_as_bytes() -> None:
    """A duration that REST could not write is kept like an unknown type."""
    info = rpc.RetryInfo(retry_delay=Duration(seconds=2**63 - 1))
    (entry,) = read_details([status_trailer(info)]).entries
    assert entry.keys() == {"@type", "value"}


@pytest.mark.parametrize("value", [b"\xff", b"\x0a\x7f", b"garbage"])
def test_a_damaged_retry_info_is_no_delay(value: bytes) -> None:
    """A RetryInfo that cannot be read asks for no delay."""
    details = read_details([("google.rpc.retryinfo-bin", value)])
    assert details.retry_delay is None
    assert len(details.entries) == 1


def test_a_retry_info_without_delay_asks_for_none_but_is_there() -> None:
    """An empty RetryInfo is a delay of zero seconds."""
    assert read_details([status_trailer(rpc.RetryInfo())]).retry_delay == 0.0


@pytest.mark.parametrize("resource", [SESSION_RESOURCE, *DATABASE_RESOURCES, "other"])
def test_the_resource_type_is_found_in_either_trailer(resource: str) -> None:
    """What the error is about is told by ResourceInfo, in the status or alone."""
    info = rpc.ResourceInfo(resource_type=resource)
    for trailer in (status_trailer(rpc.ErrorInfo(), info), trailer_of(info)):
        assert read_details([trailer]).resource_type == resource


@pytest.mark.parametrize(
    "trailers",
    [
        [],
        [("key", "value")],
        [("grpc-status-details-bin", b"")],
        [("grpc-status-details-bin", "text")],
        [("google.rpc.retryinfo-bin", "text")],
        [("google.rpc.unknown-bin", b"\x08\x01")],
    ],
)
def test_without_details_there_are_none(trailers: list[tuple[str, str | bytes]]) -> None:
    """Trailers that say nothing give nothing."""
    assert read_details(trailers) == Details()


def test_a_message_of_our_own_stubs_is_an_unknown_detail() -> None:
    """Only google.rpc's types are looked for, whatever types the process knows."""
    (entry,) = read_details([status_trailer(any_of(spanner_pb2.Session(name="n")))]).entries
    assert entry.keys() == {"@type", "value"}


@given(trailers_of_all_kinds)
def test_no_trailers_raise(trailers: list[tuple[str, str | bytes]]) -> None:
    """Whatever bytes arrive, the details are JSON, and the delay can be waited for."""
    details = read_details(trailers)
    assert all(isinstance(entry["@type"], str) for entry in details.entries)
    json.dumps(details.entries, allow_nan=False)
    assert details.retry_delay is None or 0 <= details.retry_delay < math.inf
    assert isinstance(details.resource_type, str)
