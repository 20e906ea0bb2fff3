"""What is added to the calls of a stub that somebody else made: headers, deadline, and errors of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc

from spanner_grpc_sessions.calls.headers import REQUEST_ID, Headers, Metadata, RequestIds, check_metadata
from spanner_grpc_sessions.errors import CredentialsError, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError, from_grpc
from spanner_grpc_sessions.options import check_timeout
from spanner_grpc_sessions.service.rpcs import RPC_BY_PATH

__all__ = ["Outfit", "Outfitter"]

_NOT_THE_CALLERS: Final = frozenset({"authorization", REQUEST_ID})
_PLUGIN_FAILED: Final = "Getting metadata from plugin failed with error: "


class Outfitter:
    """What all stubs on a client's channel share.

    Args:
        headers: that do not change from call to call.
        request_ids: that number the calls.
        report: is told every failure of a call, and the name of the resource that the call was about; None for nobody.
    """

    def __init__(
        self, headers: Headers, request_ids: RequestIds, report: Callable[[RpcError, str], None] | None = None
    ) -> None:
        self.headers = headers
        self.request_ids = request_ids
        self.report = report

    def rpc(self, path: str) -> Outfit:
        """Return what the calls of one RPC get."""
        return Outfit(self, path)


class Outfit:
    """What the calls of one RPC get, whoever made its stub and its messages.

    Args:
        shared: with the other RPCs.
        path: of the RPC on the wire. One that is not of google.spanner.v1 gets token and deadline, but no routing.
    """

    def __init__(self, shared: Outfitter, path: str) -> None:
        self._shared = shared
        self._rpc = RPC_BY_PATH.get(path)
        self._name = path.rpartition("/")[2]

    def timeout(self, given: float | None) -> float | None:
        """Return the seconds that a call may take: what was given, or what Google publishes for the RPC.

        Raises:
            InvalidValue, InvalidType: it is no number of seconds.
        """
        if given is None:
            return None if self._rpc is None else self._rpc.timeout
        return check_timeout(given)

    def request_id(self) -> str:
        """Return the number of a new call."""
        return f"{self._shared.request_ids.next()}1"

    def headers(self, request: Any, given: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
        """Return the headers of a call, but for its token and its number.

        Args:
            request: a message of any class that has the fields of the RPC's request.
            given: the caller's own. Routing headers among them, which Google's clients send, take the place of ours.

        Raises:
            InvalidName: the request names no database or session.
            InvalidValue, InvalidType: `given` cannot be sent, or sets what only the client may.
        """
        headers = self._routing(request)
        if given:
            own = check_metadata(given, _NOT_THE_CALLERS)
            keys = {key for key, _ in own}
            headers = (*(pair for pair in headers if pair[0] not in keys), *own)
        return headers

    def failure(self, error: grpc.RpcError, request_id: str, request: Any) -> SpannerSessionsError:
        """Return our exception for one that gRPC raised when it sent a request."""
        failure = from_grpc(error, method=self._name, request_id=request_id)
        if failure.message.startswith(_PLUGIN_FAILED):
            # gRPC calls it an unavailable server; what failed is the fetching of a token.
            return CredentialsError(failure.message.removeprefix(_PLUGIN_FAILED))
        if self._shared.report is not None:
            self._shared.report(failure, "" if self._rpc is None else getattr(request, self._rpc.routing_field))
        return failure

    def _routing(self, request: Any) -> Metadata:
        rpc, headers = self._rpc, self._shared.headers
        if rpc is None:
            return headers.common
        routing = headers.of(rpc, getattr(request, rpc.routing_field))
        if rpc.writes is not None and rpc.writes(_message(request)):
            routing = headers.to_leader(routing)
        return routing


def _message(request: Any) -> Any:
    # google-cloud-spanner wraps its messages: their classes know how to take the wrapping off.
    return request if hasattr(request, "WhichOneof") else type(request).pb(request)
