"""A fuzz target: bytes from the wire as messages of the service, beside protobuf's `json_format`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from hypothesis import given, strategies as st
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

from spanner_grpc_sessions import RpcError
from spanner_grpc_sessions.calls.answers import check_answer, rest_of
from spanner_grpc_sessions.service import rpcs
from tests.fuzz.oracle import NEWEST, read
from tests.fuzz.target import assert_short
from tests.support.messages import messages

__all__ = ["fuzz"]

_Draw = Callable[[st.SearchStrategy[Any]], Any]
_DATABASE: Final = "projects/p/instances/i/databases/d"
_ANSWERS: Final[dict[type[Message], rpcs.Rpc]] = {
    spanner_pb2.Session: rpcs.CREATE_OWN_SESSION,
    spanner_pb2.BatchCreateSessionsResponse: rpcs.BATCH_CREATE_OWN_SESSIONS,
    spanner_pb2.ListSessionsResponse: rpcs.LIST_SESSIONS,
    result_set_pb2.ResultSet: rpcs.EXECUTE_SQL,
    result_set_pb2.PartialResultSet: rpcs.RPCS["ExecuteStreamingSql"],
}


@st.composite
def _wires(draw: _Draw, message_class: type[Message]) -> bytes:
    wire: bytes = draw(
        st.one_of(messages(message_class).map(lambda each: each.SerializeToString()), st.binary(max_size=60))
    )
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3)):
        if place < len(wire):
            wire = wire[:place] + bytes([byte]) + wire[place + 1 :]
    return wire


@given(data=st.data())
def fuzz(data: st.DataObject) -> None:
    """What can be read has the body that the reference gives it, or an error of ours; the checks of answers hold."""
    message_class = data.draw(st.sampled_from(list(_ANSWERS)))
    rpc = _ANSWERS[message_class]
    try:
        message = message_class.FromString(data.draw(_wires(message_class)))
    except DecodeError:
        return
    request = rpc.request_class(database=_DATABASE) if rpc.on == "database" else rpc.request_class()
    try:
        check_answer(rpc, request, message)
    except grpc.RpcError as broken:
        assert_short(Exception(broken.details()))
    _agree(rpc, message)


def _agree(rpc: rpcs.Rpc, message: Message) -> None:
    try:
        body = rest_of(rpc, message)
    except RpcError as error:
        body = None
        assert_short(error)
    try:
        expected = json_format.MessageToDict(message)
    except (ValueError, json_format.Error, TypeError, RecursionError):
        expected = None
    if NEWEST:
        assert (body is None) == (expected is None), (body, expected)
    if body is not None and expected is not None:
        assert json.dumps(body) == json.dumps(expected)
        assert isinstance(read(type(message), body), Message | str)
