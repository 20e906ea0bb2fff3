"""Lies of a server: answers that are well formed and are not the ones to what was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2

__all__ = ["LIES", "is_lie"]

_FOREIGN: Final = "projects/lies/instances/lies/databases/lies/sessions/lie"


def _empty(answer: Any) -> Any:
    return type(answer)()


def _short(answer: Any) -> Any:
    if isinstance(answer, spanner_pb2.BatchCreateSessionsResponse):
        return spanner_pb2.BatchCreateSessionsResponse(session=answer.session[: len(answer.session) // 2])
    if isinstance(answer, spanner_pb2.Session):
        return spanner_pb2.Session(name=answer.name, multiplexed=answer.multiplexed)
    return _empty(answer)


def _foreign(answer: Any) -> Any:
    if isinstance(answer, spanner_pb2.BatchCreateSessionsResponse):
        return spanner_pb2.BatchCreateSessionsResponse(session=[_foreign(each) for each in answer.session])
    if isinstance(answer, spanner_pb2.Session):
        return spanner_pb2.Session(name=_FOREIGN, multiplexed=not answer.multiplexed)
    if isinstance(answer, result_set_pb2.ResultSet):
        return result_set_pb2.ResultSet(rows=[{"values": [{"string_value": "lie"}]}])
    return result_set_pb2.PartialResultSet(values=[{"string_value": "lie"}])


def _nothing(_: Any) -> None:
    """No message at all, which gRPC's server ends the call for with INTERNAL."""


def _garbage(_: Any) -> bytes:
    return b"\xff\xff\xff\xff"


LIES: Final[dict[str, Callable[[Any], Any]]] = {
    "empty": _empty,
    "short": _short,
    "foreign": _foreign,
    "no message": _nothing,
    "garbage": _garbage,
}


def is_lie(answer: Any) -> bool:
    """Return whether an answer, a dict or messages, is one that `LIES` may have made: it has nothing of a request."""
    if isinstance(answer, dict):
        return answer.get("name", "") in {"", _FOREIGN} or not answer.get("labels")
    rows = answer if isinstance(answer, list) else answer.rows
    return all(value.string_value == "lie" for row in rows for value in row.values)
