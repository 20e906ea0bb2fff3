"""Servers whose name moves to another address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import ClientOptions, client as sync_client, client_async
from spanner_grpc_sessions.service import rpcs
from spanner_grpc_sessions.transport.channel import resolve
from tests.support.colours import Colour
from tests.support.measuring import takes
from tests.support.names import NameServer

_DATABASE = "projects/p/instances/i/databases/d"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")


@contextmanager
def _server(host: str, port: int = 0) -> Iterator[int]:
    """Serve CreateSession, with the address in the name of the session; give the port."""

    def create(request: spanner_pb2.CreateSessionRequest, _: object) -> spanner_pb2.Session:
        return spanner_pb2.Session(name=f"{request.database}/sessions/s{host}")

    rpc = rpcs.CREATE_SESSION
    handler = grpc.unary_unary_rpc_method_handler(
        create, spanner_pb2.CreateSessionRequest.FromString, spanner_pb2.Session.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("google.spanner.v1.Spanner", {rpc.name: handler})]
    )
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    try:
        yield bound
    finally:
        server.stop(None).wait()


def test_name_that_moves_is_followed_within_a_call(colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new address is used before the default timeout of 30 s is over, which is how long gRPC keeps the old one."""
    with NameServer("127.0.0.2") as names:

        def resolved(*arguments: Any) -> Any:
            target = resolve(*arguments)
            return target._replace(address=names.target(target.address))

        for module in (sync_client, client_async):
            monkeypatch.setattr(module, "resolve", resolved)
        with ExitStack() as old:
            port = old.enter_context(_server("127.0.0.2"))
            options = ClientOptions(endpoint=f"spanner.test:{port}", plaintext=True)
            with _server("127.0.0.3", port), colour.client(options=options) as client:
                assert client.create_session(_DATABASE)["name"].endswith("127.0.0.2")
                names.address = "127.0.0.3"
                old.close()
                with takes():
                    assert client.create_session(_DATABASE)["name"].endswith("127.0.0.3")
