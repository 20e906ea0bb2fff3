"""What a first call costs on a slow line, counted in times there and back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from google.auth.credentials import Credentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.proxy import Proxy

_DATABASE = "projects/p/instances/i/databases/d"
_DELAY = 0.025


def _bare_round_trips(local: LocalSpanner, proxy: Proxy) -> float:
    """Return how many round trips the first call of a bare stub takes, with a token that it has already."""
    token = (("authorization", f"Bearer {local.issue_token()}"),)
    request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
    root = grpc.ssl_channel_credentials(local.root_certificates)
    with grpc.secure_channel(proxy.endpoint, root, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = spanner_pb2_grpc.SpannerStub(channel)
        return proxy.round_trips(lambda: stub.CreateSession(request, timeout=10, metadata=token))


def _round_trips(
    colour: Colour, credentials: Credentials, local: LocalSpanner, proxy: Proxy, *, warm_up: bool
) -> tuple[float, float]:
    """Return how many round trips it takes from opening a client to its first answer; and the second answer."""
    with ExitStack() as stack:
        clients = []

        def first() -> None:
            options = local.client_options(endpoint=proxy.endpoint)
            clients.append(stack.enter_context(colour.client(credentials, options=options)))
            if warm_up:
                clients[0].warm_up()
            clients[0].create_session(_DATABASE)

        return proxy.round_trips(first), proxy.round_trips(lambda: clients[0].create_session(_DATABASE))


def _credentials(local: LocalSpanner, tokens: Proxy | None) -> Any:
    """Return credentials that sign their token themselves, or get it over a proxy."""
    credentials: Any = local.credentials()
    if tokens is None:
        return credentials
    there = local.token_uri.replace(tokens.target, tokens.endpoint)
    return credentials.with_subject("user@example.com").with_token_uri(there)


@pytest.mark.parametrize("warm_up", [False, True], ids=["cold", "warmed up"])
@pytest.mark.parametrize("asks", [False, True], ids=["signs its token", "asks for its token"])
def test_a_first_session_takes_no_more_round_trips_than_the_bare_stubs(
    local: LocalSpanner, colour: Colour, asks: bool, warm_up: bool
) -> None:
    """Four for TCP, TLS, settings and the call, as without a token: it is fetched while the connection is made."""
    token_host = local.token_uri.split("/")[2]
    with Proxy(local.endpoint, delay=_DELAY) as proxy, Proxy(token_host, delay=_DELAY) as tokens:
        bare = min(_bare_round_trips(local, proxy) for _ in range(2))
        # The best of several: the first may have modules to import, and the machine other things to do.
        made = [_credentials(local, tokens if asks else None) for _ in range(4)]
        taken = [_round_trips(colour, credentials, local, proxy, warm_up=warm_up) for credentials in made]
        assert (proxy.accepted, tokens.accepted) == (2 + len(made), len(made) * asks)
    first, second = (min(values) for values in zip(*taken, strict=True))
    assert bare >= 4
    assert 4 <= first <= bare + 0.3
    assert 1 <= second <= 1.3
