"""Answers that break the contract of their RPC, as failures of the call."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.errors.rpc import Internal
from spanner_grpc_sessions.rest import to_rest
from spanner_grpc_sessions.service.rpcs import Rpc


def check_answer(rpc: Rpc, request: Any, answer: Any) -> None:
    """Raise an error of gRPC, as for an answer that cannot be read, if there is no answer or it breaks the contract."""
    if answer is None:
        # In asyncio gRPC answers None instead of raising this, and in sync code for an answer without a message.
        raise _broken("Exception deserializing response!")
    if rpc.flaw is not None and (flaw := rpc.flaw(request, answer)):
        raise _broken(flaw)


def rest_of(rpc: Rpc, answer: Any, request_id: str = "") -> Any:
    """Return the REST body of an answer; raise `Internal` if it has none."""
    try:
        return to_rest(answer)
    except InvalidValue as error:
        raise Internal(f"the answer has no JSON form: {error}", method=rpc.name, request_id=request_id) from error


def _broken(details: str) -> grpc.RpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details=details)
