"""What the tests of the local server share: a bare stub, and failures taken apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions.local import Fault, Faults, LocalSpanner, TokenFault

DATABASE = "projects/p/instances/i/databases/d"
TIMEOUT = 20.0
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Failure:
    """A failed call: canonical status, message, the details of its google.rpc.Status, and all its trailers."""

    status: str
    message: str
    details: tuple[Any, ...]
    trailers: Mapping[str, str | bytes]

    @property
    def reason(self) -> str:
        """The reason in the ErrorInfo."""
        return next(str(detail.reason) for detail in self.details if isinstance(detail, error_details_pb2.ErrorInfo))


def failure(call: Callable[[], object]) -> Failure:
    """Run a call that must fail."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    error = cast("grpc.Call", raised.value)
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    return Failure(error.code().name, error.details(), tuple(map(_unpack, status.details)), trailers)


def _unpack(detail: Any) -> Any:
    message = getattr(error_details_pb2, detail.TypeName().rpartition(".")[2])()
    assert detail.Unpack(message)
    return message


class WatchedFaults(Faults):
    """Faults that tell a test when a call, or a token request, has come to meet them."""

    def __init__(self) -> None:
        super().__init__()
        self.met = threading.Semaphore(0)

    def take(self, method: str) -> Fault | None:
        """Tell that a call is here."""
        fault = super().take(method)
        self.met.release()
        return fault

    def take_token(self) -> TokenFault | None:
        """Tell that a token request is here."""
        fault = super().take_token()
        self.met.release()
        return fault


class Wire:
    """A bare stub on a channel of its own, that sends a token of the server with every call."""

    def __init__(self, spanner: LocalSpanner, endpoint: str | None = None) -> None:
        address = endpoint or spanner.endpoint
        root = spanner.root_certificates
        self.channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(root)) if root else grpc.insecure_channel(address)
        )
        self.stub = spanner_pb2_grpc.SpannerStub(self.channel)
        self.metadata: Metadata = bearer(spanner.issue_token()) if root else ()

    def create(self, database: str = DATABASE, metadata: Metadata | None = None, **session: Any) -> spanner_pb2.Session:
        """Create a session with the given fields."""
        request = spanner_pb2.CreateSessionRequest(database=database, session=spanner_pb2.Session(**session))
        return self.stub.CreateSession(request, timeout=TIMEOUT, metadata=self._metadata(metadata))

    def get(self, name: str, metadata: Metadata | None = None) -> spanner_pb2.Session:
        """Get a session."""
        request = spanner_pb2.GetSessionRequest(name=name)
        return self.stub.GetSession(request, timeout=TIMEOUT, metadata=self._metadata(metadata))

    def call(self, method: str, request: Any, **keywords: Any) -> Any:
        """Call any unary RPC."""
        return getattr(self.stub, method)(request, **{"timeout": TIMEOUT, "metadata": self.metadata, **keywords})

    def _metadata(self, metadata: Metadata | None) -> Metadata:
        return self.metadata if metadata is None else metadata


def bearer(token: str) -> Metadata:
    """Return metadata that carries a token."""
    return (("authorization", f"Bearer {token}"),)
