"""What every call is sent with, the client's own or a stub's: headers, a time limit, a number; and how it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container
from typing import Any, ParamSpec, TypeVar

import grpc

from spanner_grpc_sessions.calls.headers import RESERVED, Headers, Metadata, RequestIds, check_metadata, check_size
from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError, from_grpc
from spanner_grpc_sessions.observers import wants_server_timing
from spanner_grpc_sessions.options import DEFAULT, CallMetadata, ClientOptions, Timeout, check_timeout
from spanner_grpc_sessions.runtime.fork import forks_without_hooks, notice_fork
from spanner_grpc_sessions.service.rpcs import Rpc

_Args = ParamSpec("_Args")
_Prepared = TypeVar("_Prepared")

# Is told each failure of a stub's call, and the name of the database or session that the call was about.
Report = Callable[[RpcError, str], None]


class Preparation:
    """Prepares the calls of one client.

    Attributes:
        next_number: returns the request id of a new call, without the number of the attempt.
        prepare: returns the headers of a call, but for its token and number, and the seconds that it may take.
    """

    def __init__(self, options: ClientOptions) -> None:
        self._headers = Headers(
            leader_aware_routing=options.leader_aware_routing,
            end_to_end_tracing=options.end_to_end_tracing,
            server_timing=wants_server_timing(options.observer),
        )
        self.next_number: Callable[..., str] = RequestIds().next
        self.prepare: Callable[..., tuple[Metadata, float | None]] = (
            _in_each_process(self._prepare) if forks_without_hooks() else self._prepare
        )

    def _prepare(
        self,
        rpc: Rpc,
        name: str,
        request: Any,
        timeout: Timeout,
        metadata: CallMetadata | None,
        reserved: Container[str] = RESERVED,
    ) -> tuple[Metadata, float | None]:
        headers = self._headers.of(rpc, name)
        if rpc.writes is not None and rpc.writes(request):
            headers = self._headers.to_leader(headers)
        if metadata:
            own = check_metadata(metadata, reserved)
            keys = {key for key, _ in own}
            headers = (*(pair for pair in headers if pair[0] not in keys), *own)
            check_size(headers)
        return headers, rpc.timeout if timeout is DEFAULT else check_timeout(timeout)


def _in_each_process(prepare: Callable[_Args, _Prepared]) -> Callable[_Args, _Prepared]:
    """Have what comes first in a call notice a fork: nothing of the parent's is used after that."""

    def prepare_here(*args: _Args.args, **named: _Args.kwargs) -> _Prepared:
        notice_fork()
        return prepare(*args, **named)

    return prepare_here


def failure_of(error: grpc.RpcError, *, method: str, request_id: str, closed: bool) -> SpannerSessionsError:
    """Return the exception to raise for one of gRPC."""
    return ClientClosed.during_call() if closed else from_grpc(error, method=method, request_id=request_id)


def cancel(call: Any) -> bool:
    """Cancel a call; return whether it was still running, where gRPC tells."""
    if hasattr(call, "cancel"):
        return bool(call.cancel())
    # The contributed instrumentation of OpenTelemetry makes a generator of a stream. Its reader may run it now.
    with contextlib.suppress(ValueError):
        call.close()
    return True


def initial_metadata(call: Any) -> Any:
    """Return the headers of the answer of a call that has ended; none of what an instrumentation made of a stream."""
    return call.initial_metadata() if hasattr(call, "initial_metadata") else ()
