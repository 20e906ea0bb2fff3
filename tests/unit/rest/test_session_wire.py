"""Sessions read from the wire, against protobuf and `to_rest`: the same for every row of bytes, right or wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings, strategies as st
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.rest import session_wire, to_rest
from spanner_grpc_sessions.rest.session_wire import read_session, session_to_rest
from spanner_grpc_sessions.service.rpcs import CREATE_SESSION, GET_SESSION
from tests.support.messages import messages

_T = TypeVar("_T")
_Draw = Callable[[st.SearchStrategy[_T]], _T]

SECONDS = 1_790_000_000  # 2026-09-21T14:13:20Z
thorough = settings(max_examples=300, suppress_health_check=list(HealthCheck))


def varint(number: int, *, size: int = 1) -> bytes:
    """Return a number as a varint of at least `size` bytes; more than it needs are zeros."""
    groups: list[int] = []
    while number or len(groups) < size:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes((*groups[:-1], groups[-1] & 127))


def record(field: int, payload: bytes) -> bytes:
    """Return a record of wire type 2."""
    return varint(field * 8 + 2) + varint(len(payload)) + payload


def time(seconds: int = SECONDS, nanos: int = 123_456_000, *, size: int = 1) -> bytes:
    """Return a Timestamp, its varints at least `size` bytes long."""
    return b"\x08" + varint(seconds % 2**64, size=size) + b"\x10" + varint(nanos % 2**64, size=size)


def entry(key: str = "env", value: str = "prod") -> bytes:
    """Return the entry of a label."""
    return record(1, key.encode()) + record(2, value.encode())


NAME, LABEL, CREATED, USED, ROLE = (
    record(1, b"projects/p/instances/i/databases/d/sessions/s"),
    record(2, entry()),
    record(3, time()),
    record(4, time(nanos=123_457_000)),
    record(5, b"reader"),
)
MULTIPLEXED = b"\x30\x01"
USUAL = NAME + LABEL + record(2, entry("team", "checkout")) + CREATED + USED + ROLE


def outcome(read: Callable[[bytes], Any], decode: Callable[[Any], dict[str, Any]], data: bytes) -> tuple[object, ...]:
    """Return body and order of keys, or the class and text of the exception, of which each step has its own."""
    try:
        answer = read(data)
    except DecodeError as error:
        return type(error), str(error)
    try:
        body = decode(answer)
    except InvalidValue as error:
        return type(error), str(error)
    return body, list(body)


def ours(data: bytes) -> tuple[object, ...]:
    """Return what a client's caller gets for an answer."""
    return outcome(read_session, session_to_rest, data)


def reference(data: bytes) -> tuple[object, ...]:
    """Return what protobuf and `to_rest` make of it."""
    return outcome(spanner_pb2.Session.FromString, to_rest, data)


@pytest.mark.parametrize(
    "data",
    [
        USUAL,
        NAME,
        LABEL,
        CREATED + USED,
        NAME + CREATED + USED + ROLE,
        record(1, b"n" * 127) + ROLE,
        record(1, b"n" * 128) + ROLE,
        record(1, b"n" * 16_383) + ROLE,
        record(1, "projets/é/数".encode()),
        record(2, entry("k" * 63, "v" * 63)) + USED,
        record(2, entry("k" * 127, "v" * 127)),
        record(2, entry("env", "")) + record(2, entry("", "x")),
        record(2, entry("twice", "a")) + record(2, entry("twice", "b")),
        record(3, time(2**28, 1_000)) + record(4, time(2**35 - 1, 999_999_000)),
        record(3, time(nanos=268_435_000)) + record(4, time(nanos=268_436_000)),
        record(3, time(nanos=123_456_789)) + record(4, time(nanos=123_000_000)),
        record(3, time(nanos=0)) + record(4, time(nanos=1)),
    ],
)
def test_usual_sessions_are_read_past_the_message(data: bytes) -> None:
    """What servers send becomes a dict at once, and the right one: all fields or few, sizes of one byte and of two."""
    assert isinstance(read_session(data), dict)
    assert ours(data) == reference(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MULTIPLEXED,
        NAME + MULTIPLEXED,
        record(1, b""),
        record(5, b""),
        NAME + NAME,
        CREATED + record(3, b"\x10\x05"),
        CREATED + record(3, time(SECONDS + 1)),
        ROLE + NAME,
        LABEL + CREATED + record(2, entry("team", "checkout")),
        LABEL + NAME,
        b"\xf8\x3e\x05" + USUAL,
        USUAL + b"\xf8\x3e\x05",
        NAME + b"\xa3\x06\xa4\x06" + CREATED,
        b"\x8a\x00\x01n",
        b"\x08\x05" + CREATED,
        b"\x18\x05" + USED,
        record(1, b"n" * 16_384),
        # Read with one byte of size too few, these would pass for something else.
        record(1, b"n" * 16_512 + b"*") + record(5, b"r" * 41),
        record(2, record(1, b"k" * 127 + b"\x12") + record(2, b"v" * 17)),
        record(2, record(1, b"k") + b"\x12\x85\x00vvvvv" + record(15, b"x" * 125)),
        b"\x0a\x81\x00n",
        b"\x0a\x81\x80\x00n",
        b"\x0a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00n",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01n",
        record(2, b""),
        record(2, record(1, b"k")),
        record(2, record(2, b"v")),
        record(2, record(2, b"v") + record(1, b"k")),
        record(2, entry() + record(3, b"more")),
        record(2, entry() + record(1, b"again")),
        record(2, b"\x0a\x83\x00env\x12\x04prod"),
        record(2, entry("k" * 128, "v")),
        record(2, entry("k", "v" * 128)),
        record(2, b"\x0a\x7fk\x12\x01v"),
        record(3, b""),
        record(3, b"\x08" + varint(SECONDS)),
        record(3, b"\x10\x05"),
        record(3, b"\x10\xc0\x84\x3d\x08" + varint(SECONDS)),
        record(3, time(nanos=1_000_000_000)),
        record(3, time(nanos=1_000_000_001)),
        record(3, time(nanos=-1)),
        record(3, time(nanos=2**32 + 1000)),
        record(3, time(0)),
        record(3, time(-1)),
        record(3, time(2**28 - 1)),
        record(3, time(2**35)),
        record(3, time(253_402_300_800)),
        record(3, time(-62_135_596_801)),
        record(3, time(SECONDS, 1000, size=5)),
        record(3, time(1, 1000, size=5)),
        record(3, time(SECONDS, 1000, size=10)),
        record(3, b"\x08" + varint(SECONDS) + b"\x10" + varint(1000, size=6)),
        record(3, b"\x08" + varint(SECONDS) + b"\x10" + varint(1000, size=11)),
        record(3, time() + b"\xf8\x3e\x05"),
        record(3, time() + b"\x10\x05"),
        record(1, b"\xff"),
        record(1, b"\xed\xa0\x80"),
        record(2, entry() + b"\x80"),
        record(2, record(1, b"\xff") + record(2, b"v")),
        record(5, b"\xc0\x80"),
        b"\x0a",
        b"\x0a\x05",
        b"\x0a\x80",
        b"\x00\x00",
        b"\x0f\x01",
    ],
)
def test_all_else_is_what_protobuf_makes_of_it(data: bytes) -> None:
    """Each way to say a thing differently, and each to say it wrong: the same body, or the same exception."""
    assert ours(data) == reference(data)


def test_every_byte_counts() -> None:
    """Each byte of a session replaced by each other one, left out, doubled, or the last: never another outcome."""
    for at in range(len(USUAL)):
        before, after = USUAL[:at], USUAL[at + 1 :]
        spoilt = [before, before + after, before + USUAL[at : at + 1] * 2 + after]
        spoilt += [before + bytes((byte,)) + after for byte in range(256)]
        for data in spoilt:
            assert ours(data) == reference(data), data


@thorough
@given(message=messages(spanner_pb2.Session, wild=True))
def test_any_message_comes_out_as_before(message: spanner_pb2.Session) -> None:
    """Whatever a session holds, times out of range included."""
    data = message.SerializeToString()
    assert ours(data) == reference(data)


_FIELDS = st.one_of(st.integers(1, 6), st.sampled_from([7, 15, 16, 1007]))
_MICROS = st.integers(0, 999_999).map(lambda micros: micros * 1000)
_NUMBERS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([1, 127, 128, SECONDS, 2**28, 2**35, 2**63]), _MICROS)


@st.composite
def records(draw: _Draw[Any], depth: int = 1) -> bytes:
    """Return a strategy for rows of records, most of which fit a session, its labels or its times."""
    row = b""
    for _ in range(draw(st.integers(0, 4))):
        field = draw(_FIELDS)
        size = draw(st.sampled_from([1, 1, 1, 2, 5, 10, 11]))
        if draw(st.booleans()):
            row += varint(field * 8) + varint(draw(_NUMBERS), size=size)
        elif depth and draw(st.booleans()):
            row += record(field, draw(records(depth - 1)))
        else:
            payload = draw(st.one_of(st.text(max_size=3).map(str.encode), st.binary(max_size=3)))
            row += varint(field * 8 + 2, size=draw(st.sampled_from([1, 1, 2]))) + varint(len(payload), size=size)
            row += payload
    return row


@st.composite
def sessions_cut_and_mixed(draw: _Draw[Any]) -> bytes:
    """Return a strategy for the records of a session in any order and number, with others among them, and cut."""
    times = st.builds(time, st.integers(SECONDS, SECONDS + 3), st.one_of(_MICROS, st.integers(-1, 2**30)))
    labels = st.builds(entry, st.text(max_size=3), st.text(max_size=3))
    parts = st.one_of(
        st.sampled_from([NAME, LABEL, CREATED, USED, ROLE, MULTIPLEXED]),
        labels.map(lambda payload: record(2, payload)),
        times.map(lambda payload: record(3, payload)),
        times.map(lambda payload: record(4, payload)),
        st.builds(record, st.integers(1, 5), records(0)),
        records(),
    )
    row = draw(st.lists(parts, max_size=6))
    data = b"".join(sorted(row) if draw(st.booleans()) else row)
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


@thorough
@given(data=st.one_of(sessions_cut_and_mixed(), records(), st.binary(max_size=40)))
def test_any_bytes_come_out_as_before(data: bytes) -> None:
    """Records repeated, merged, foreign, of another type or order, cut off, and bytes that are no records at all."""
    assert ours(data) == reference(data)


@thorough
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(USUAL)), st.integers(0, 4), st.binary(max_size=4)), min_size=1, max_size=4
    )
)
def test_spoilt_sessions_come_out_as_before(edits: list[tuple[int, int, bytes]]) -> None:
    """Several places of a session overwritten, lengthened and shortened at once."""
    data = USUAL
    for at, removed, inserted in edits:
        data = data[:at] + inserted + data[at + removed :]
    assert ours(data) == reference(data)


def test_each_result_is_the_callers_own() -> None:
    """Changing a body changes no other that is made of the same bytes."""
    first, second = session_to_rest(read_session(USUAL)), session_to_rest(read_session(USUAL))
    first["labels"]["env"] = "changed"
    assert second["labels"]["env"] == "prod"


def test_the_memory_of_seconds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its limit it starts anew, and the texts stay right."""
    monkeypatch.setattr(session_wire, "_MOST_SECONDS", 3)
    session_wire._texts.clear()
    for seconds in range(SECONDS, SECONDS + 10):
        data = record(3, time(seconds))
        assert ours(data) == reference(data)
        assert len(session_wire._texts) <= 3


@pytest.mark.parametrize("method", [CREATE_SESSION, GET_SESSION], ids=lambda method: method.name)
def test_the_calls_for_one_session_read_it_so(method: Any) -> None:
    """Creating and getting a session take the short way; the message that stands for an answer is taken too."""
    assert method.read is read_session
    assert method.decode(method.read(USUAL)) == to_rest(spanner_pb2.Session.FromString(USUAL))
    assert method.decode(method.response_class()) == {}
