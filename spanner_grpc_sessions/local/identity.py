"""What makes a local server the same one after a restart: its keys, certificates and addresses."""

from __future__ import annotations

from dataclasses import dataclass

from spanner_grpc_sessions.errors import SpannerSessionsError
from spanner_grpc_sessions.local.account import ServiceAccount
from spanner_grpc_sessions.local.certificates import Certificates, make_certificates
from spanner_grpc_sessions.local.faults import Faults
from spanner_grpc_sessions.local.gate import Gate
from spanner_grpc_sessions.local.token_endpoint import TokenEndpoint
from spanner_grpc_sessions.local.tokens import Authority

__all__ = ["Identity", "NotRunning"]


class NotRunning(SpannerSessionsError, RuntimeError):
    """The local server was asked for something that exists only once it has started."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a server the same one after a restart."""

    account: ServiceAccount
    authority: Authority
    certificates: Certificates
    tokens: TokenEndpoint

    @classmethod
    def make(cls, faults: Faults, gate: Gate, token_lifetime: float) -> Identity:
        """Make keys and certificates, in memory only."""
        account = ServiceAccount()
        authority = Authority(account)
        return cls(account, authority, make_certificates(), TokenEndpoint(authority, faults, gate, token_lifetime))
