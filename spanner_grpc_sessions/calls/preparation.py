"""What every call is sent with, the client's own or a stub's: headers, a time limit, a number; and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Final

import grpc
import grpc.aio

from spanner_grpc_sessions.calls.headers import REQUEST_ID, RESERVED, Headers, Metadata, RequestIds, check_metadata
from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError, from_grpc
from spanner_grpc_sessions.options import DEFAULT, CallMetadata, ClientOptions, Timeout, check_timeout
from spanner_grpc_sessions.service.rpcs import Rpc, rpc_of

_RESERVED_OF_STUBS: Final = frozenset({"authorization", REQUEST_ID})
_PLUGIN_FAILED: Final = "Getting metadata from plugin failed with error: "

# Is told each failure of a stub's call, and the name of the database or session that the call was about.
Report = Callable[[RpcError, str], None]


class Preparation:
    """Prepares the calls of one client.

    Attributes:
        next_number: returns the request id of a new call, without the number of the attempt.
    """

    def __init__(self, options: ClientOptions) -> None:
        self._headers = Headers(
            leader_aware_routing=options.leader_aware_routing, end_to_end_tracing=options.end_to_end_tracing
        )
        self.next_number = RequestIds().next

    def prepare(
        self,
        rpc: Rpc,
        name: str,
        request: Any,
        timeout: Timeout,
        metadata: CallMetadata | None,
        reserved: Container[str] = RESERVED,
    ) -> tuple[Metadata, float | None]:
        """Return the headers of a call, but for its token and number, and the seconds that it may take."""
        headers = self._headers.of(rpc, name)
        if rpc.writes is not None and rpc.writes(request):
            headers = self._headers.to_leader(headers)
        if metadata:
            own = check_metadata(metadata, reserved)
            keys = {key for key, _ in own}
            headers = (*(pair for pair in headers if pair[0] not in keys), *own)
        return headers, rpc.timeout if timeout is DEFAULT else check_timeout(timeout)


class StubCalls:
    """Prepares the calls of one RPC of a stub, whose messages may be of any class with the fields of ours."""

    def __init__(self, preparation: Preparation, path: str, report: Report | None) -> None:
        self._preparation = preparation
        self._rpc = rpc_of(path)
        self._report = report

    def prepare(
        self, request: Any, timeout: float | None, metadata: CallMetadata | None
    ) -> tuple[Metadata, float | None, str]:
        """Return the headers of a call, but for its token and number, the seconds that it may take, and its number.

        Routing headers in `metadata`, which Google's clients send, take the place of ours.
        """
        message = request if self._rpc.writes is None else _message(request)
        limit: Timeout = DEFAULT if timeout is None else timeout
        headers, left = self._preparation.prepare(
            self._rpc, self._name(request), message, limit, metadata, _RESERVED_OF_STUBS
        )
        return headers, left, f"{self._preparation.next_number()}1"

    def failure(self, error: grpc.RpcError, request_id: str, request: Any, *, closed: bool) -> SpannerSessionsError:
        """Return the exception to raise for one of gRPC; report it."""
        failure = failure_of(error, method=self._rpc.name, request_id=request_id, closed=closed)
        if isinstance(failure, RpcError) and failure.message.startswith(_PLUGIN_FAILED):
            # gRPC reports an unavailable server, but it was the token that could not be fetched.
            return CredentialsError(failure.message.removeprefix(_PLUGIN_FAILED))
        if isinstance(failure, RpcError) and self._report is not None:
            self._report(failure, self._name(request))
        return failure

    def _name(self, request: Any) -> str:
        name: str = "" if self._rpc.on is None else getattr(request, self._rpc.on)
        return name


def failure_of(error: grpc.RpcError, *, method: str, request_id: str, closed: bool) -> SpannerSessionsError:
    """Return the exception to raise for one of gRPC."""
    return ClientClosed.during_call() if closed else from_grpc(error, method=method, request_id=request_id)


def unreadable_answer() -> grpc.RpcError:
    """Return what gRPC raises for an answer that it cannot deserialize; in asyncio it answers None instead."""
    nothing = grpc.aio.Metadata()
    details = "Exception deserializing response!"
    return grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details=details)


def _message(request: Any) -> Any:
    # google-cloud-spanner wraps its messages, and their class unwraps them.
    return request if hasattr(request, "WhichOneof") else type(request).pb(request)
