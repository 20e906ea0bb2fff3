"""What comes before a call of either colour, and waits for nothing: headers, request, limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from spanner_grpc_sessions.calls.headers import Headers, Metadata, RequestIds, check_metadata
from spanner_grpc_sessions.calls.outfit import Outfitter
from spanner_grpc_sessions.errors import InvalidType
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, RetryOptions, Timeout, check_timeout
from spanner_grpc_sessions.service.rpcs import Method
from spanner_grpc_sessions.transport.connection import Connection
from spanner_grpc_sessions.transport.connection_async import AsyncConnection

__all__ = ["CallSetup"]

C = TypeVar("C", bound=Connection | AsyncConnection)


class CallSetup(Generic[C]):
    """The part of a call path that is the same in both colours.

    Args:
        connection: to make the calls on.
        options: of the client.
    """

    def __init__(self, connection: C, options: ClientOptions) -> None:
        self._connection: C = connection
        self._tokens = connection.tokens
        self._calls = connection.calls
        self._options = options
        self._headers = Headers(
            leader_aware_routing=options.leader_aware_routing, end_to_end_tracing=options.end_to_end_tracing
        )
        self._request_ids = RequestIds()
        self._observer = options.observer
        self._address = connection.address

    def outfitter(self, report: Callable[[RpcError, str], None] | None = None) -> Outfitter:
        """Return what gives the calls of foreign stubs the same headers and numbers.

        Args:
            report: is told every failure of a call, and the name of the resource that it was about.
        """
        return Outfitter(self._headers, self._request_ids, report)

    def _ready(
        self,
        method: Method,
        name: str,
        arguments: tuple[Any, ...],
        timeout: Timeout,
        retry: RetryOptions | None,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> tuple[Metadata, Any, float | None]:
        headers = self._headers.of(method, name)
        request = method.build(name, *arguments)
        if method.writes is not None and method.writes(request):
            headers = self._headers.to_leader(headers)
        if retry is not None and not isinstance(retry, RetryOptions):
            raise InvalidType(f"retry must be RetryOptions or None, got {short(retry)}")
        if metadata:
            headers += check_metadata(metadata)
        return headers, request, method.timeout if timeout is DEFAULT else check_timeout(timeout)
