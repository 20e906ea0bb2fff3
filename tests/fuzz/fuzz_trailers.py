"""A fuzz target: failures of calls, with trailers that hold details, damaged ones and what no server would send."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, strategies as st

from spanner_grpc_sessions.errors.details import read_details
from spanner_grpc_sessions.errors.rpc import RpcError, from_grpc
from tests.support.messages import messages

__all__ = ["fuzz"]

_Draw = Callable[[st.SearchStrategy[Any]], Any]
_CLASSES: Final = [
    getattr(error_details_pb2, name)
    for name in (
        *("BadRequest", "DebugInfo", "ErrorInfo", "Help", "LocalizedMessage", "PreconditionFailure"),
        *("QuotaFailure", "RequestInfo", "ResourceInfo", "RetryInfo"),
    )
]
_KEYS: Final = [
    *(
        "grpc-status-details-bin",
        "google.rpc.retryinfo-bin",
        "google.rpc.resourceinfo-bin",
        "google.rpc.badrequest-bin",
    ),
    *("server-timing", "x-bin", "google.rpc.nothing-bin"),
]


@st.composite
def _details(draw: _Draw) -> AnyMessage:
    message_class = draw(st.sampled_from(_CLASSES))
    url = f"type.googleapis.com/{message_class.DESCRIPTOR.full_name}"
    value = draw(st.one_of(messages(message_class).map(lambda each: each.SerializeToString()), st.binary(max_size=20)))
    return AnyMessage(type_url=draw(st.sampled_from([url, url, url, "", "x", "/" + url, url + ".X"])), value=value)


_statuses = st.builds(
    lambda code, message, details: status_pb2.Status(code=code, message=message, details=details).SerializeToString(),
    st.integers(-(2**31), 2**31 - 1),
    st.text(max_size=5),
    st.lists(_details(), max_size=3),
)
_trailers = st.lists(
    st.tuples(
        st.sampled_from(_KEYS),
        st.one_of(_statuses, _details().map(lambda detail: detail.value), st.binary(max_size=30), st.text(max_size=5)),
    ),
    max_size=4,
)


@given(code=st.sampled_from(list(grpc.StatusCode)), text=st.text(max_size=30), trailers=_trailers)
def fuzz(code: grpc.StatusCode, text: str, trailers: list[tuple[str, str | bytes]]) -> None:
    """Any failure becomes an error of ours with a REST body that JSON can write."""
    details = read_details(trailers)
    assert details.retry_delay is None or (details.retry_delay >= 0 and math.isfinite(details.retry_delay))
    failed = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details=text)
    error = from_grpc(failed, method="CreateSession", request_id="1.0.1.1.1.1")
    assert isinstance(error, RpcError)
    assert error.code() is not grpc.StatusCode.OK
    body = json.loads(json.dumps(error.to_rest()))
    assert body["error"]["status"] == error.code().name
    assert len(body["error"].get("details", ())) == len(details.entries)
    assert str(error)
    assert repr(error)
