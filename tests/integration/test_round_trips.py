"""What a first call costs on a slow line, counted in times there and back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from google.auth.credentials import Credentials
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.measuring import least
from tests.support.proxy import Proxy
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_DELAY = 0.025
# Round trips: one more than there have to be would be seen, and nothing can take less than they take.
_FIRST, _LATER, _NOISE = 4.0, 1.0, 0.5


def _bare_round_trips(local: LocalSpanner, proxy: Proxy) -> float:
    """Return how many round trips the first call of a bare stub takes, with a token that it has already."""
    token = (("authorization", f"Bearer {local.issue_token()}"),)
    request = spanner_pb2.CreateSessionRequest(database=_DATABASE)
    root = grpc.ssl_channel_credentials(local.root_certificates)
    with grpc.secure_channel(proxy.endpoint, root, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = spanner_pb2_grpc.SpannerStub(channel)
        return proxy.round_trips(lambda: stub.CreateSession(request, timeout=WAIT, metadata=token))


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
    clients: list[SessionsClient] = []
    with (
        ExitStack() as stack,
        Proxy(local.endpoint, delay=_DELAY) as proxy,
        Proxy(local.token_uri.split("/")[2], delay=_DELAY) as tokens,
    ):

        def open_and_call() -> None:
            credentials, options = made.pop(), local.client_options(endpoint=proxy.endpoint)
            clients.append(stack.enter_context(colour.client(credentials, options=options)))
            if warm_up:
                clients[-1].warm_up()
            clients[-1].create_session(_DATABASE)

        def first_round_trips() -> float:
            made.append(_credentials(local, tokens if asks else None))
            return proxy.round_trips(open_and_call)

        made: list[Credentials] = []
        bare = least(lambda: _bare_round_trips(local, proxy), _FIRST + _NOISE)
        bare_ones = proxy.accepted
        first = least(first_round_trips, _FIRST + _NOISE)
        later = least(lambda: proxy.round_trips(lambda: clients[-1].create_session(_DATABASE)), _LATER + _NOISE)
        assert proxy.accepted == bare_ones + len(clients)
        assert tokens.accepted == len(clients) * asks
    assert _FIRST <= bare <= _FIRST + _NOISE
    assert _FIRST <= first <= _FIRST + _NOISE
    assert _LATER <= later <= _LATER + _NOISE
