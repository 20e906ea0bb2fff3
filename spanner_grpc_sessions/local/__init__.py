"""A Cloud Spanner for tests: a real gRPC server on this machine that knows sessions and transactions, and no SQL.

    from spanner_grpc_sessions import SessionsClient
    from spanner_grpc_sessions.local import LocalSpanner

    with LocalSpanner() as spanner:
        with SessionsClient(spanner.credentials(), options=spanner.client_options()) as client:
            client.create_session("projects/my-app/instances/prod/databases/orders")

It keeps sessions in memory, checks tokens as Spanner does, answers statements as it is told (`spanner.answer`), and
fails on request (`spanner.faults`). It never imports the client, and contacts no other machine.
"""

from spanner_grpc_sessions.local.calls import Call
from spanner_grpc_sessions.local.faults import Fault, Faults, TokenFault
from spanner_grpc_sessions.local.server import LocalSpanner, NotRunning

__all__ = ["Call", "Fault", "Faults", "LocalSpanner", "NotRunning", "TokenFault"]
