"""What a first call costs on a slow line, counted in times there and back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.measuring import least
from tests.support.proxy import Proxy
from tests.support.waiting import WAIT

_DATABASE = "projects/p/instances/i/databases/d"
_DELAY = 0.05
# Round trips: one more than there have to be would be seen, and nothing can take less than they take.
_FIRST, _NOISE = 4.0, 0.8


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
    with (
        Proxy(local.endpoint, delay=_DELAY) as proxy,
        Proxy(local.token_uri.split("/")[2], delay=_DELAY) as tokens,
    ):
        options = local.client_options(endpoint=proxy.endpoint)

        def first_round_trips() -> float:
            credentials = _credentials(local, tokens if asks else None)
            with ExitStack() as stack:

                def open_and_call() -> None:
                    client = stack.enter_context(colour.client(credentials, options=options))
                    if warm_up:
                        client.warm_up()
                    client.create_session(_DATABASE)

                return proxy.round_trips(open_and_call)

        assert _FIRST <= least(lambda: _bare_round_trips(local, proxy), _FIRST + _NOISE) <= _FIRST + _NOISE
        before = proxy.accepted
        assert _FIRST <= least(first_round_trips, _FIRST + _NOISE) <= _FIRST + _NOISE
        assert tokens.accepted == (proxy.accepted - before) * asks


def test_a_later_call_takes_one_round_trip(local: LocalSpanner, colour: Colour) -> None:
    """Connection and token are there."""
    with Proxy(local.endpoint, delay=_DELAY) as proxy:
        with colour.client(local.credentials(), options=local.client_options(endpoint=proxy.endpoint)) as client:
            client.create_session(_DATABASE)
            later = least(lambda: proxy.round_trips(lambda: client.create_session(_DATABASE)), 1 + _NOISE)
    assert 1 <= later <= 1 + _NOISE
