"""Servers that cannot be reached: every way to wait for one says why, and none goes on where no attempt can succeed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import RefreshError

from spanner_grpc_sessions import (
    ClientOptions,
    CredentialsError,
    DeadlineExceeded,
    PoolTimeout,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.runtime.clock import CLOCK
from tests.support.certificates import make_authority
from tests.support.colours import Colour
from tests.support.measuring import takes
from tests.support.pools import multiplexed_of, pool_of, rig_of

_DATABASE = "projects/p/instances/i/databases/d"
_ANONYMOUS = AnonymousCredentials()
_REFUSED = "127.0.0.1:1"

# What may be wrong with the certificate of a server, and what the errors say of it.
_REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "another authority": ({"root_certificates": make_authority().root}, r"CERTIFICATE_VERIFY_FAILED.*not trusted"),
    "another host": ({"channel_options": (("grpc.ssl_target_name_override", "h.test"),)}, "certificate.*another host"),
}
each_rejected = pytest.mark.parametrize(("changes", "match"), _REJECTED.values(), ids=_REJECTED)


@contextmanager
def _client(local: LocalSpanner, colour: Colour, **changes: Any) -> Iterator[SessionsClient]:
    with colour.client(local.credentials(), options=local.client_options(**changes)) as client:
        yield client


@each_rejected
def test_call_to_a_server_that_is_not_trusted_ends_at_once(
    local: LocalSpanner, colour: Colour, changes: dict[str, Any], match: str
) -> None:
    """It is not repeated for the 30 s of its timeout; the error is UNAVAILABLE and explains itself."""
    with _client(local, colour, **changes) as client, takes(), pytest.raises(Unavailable, match=match):
        client.create_session(_DATABASE)


@each_rejected
@pytest.mark.parametrize("channels", [1, 2])
def test_warm_up_at_a_server_that_is_not_trusted_ends_at_once(
    local: LocalSpanner, colour: Colour, changes: dict[str, Any], match: str, channels: int
) -> None:
    """It says so too, and does not use up its timeout."""
    with _client(local, colour, channels=channels, **changes) as client, takes():
        with pytest.raises(Unavailable, match=rf"warm_up.*no connection to {local.endpoint}: .*{match}"):
            client.warm_up()


@each_rejected
@pytest.mark.parametrize("use", ["wait", "open", "acquire"])
def test_pool_of_a_server_that_is_not_trusted_ends_at_once(
    local: LocalSpanner, colour: Colour, changes: dict[str, Any], match: str, use: str
) -> None:
    """Each way to wait for a session raises what a call raises."""
    with rig_of(colour, local.credentials(), local.client_options(**changes), local) as rig:
        pool = rig.pool(clock=CLOCK, min_size=1)
        with takes(), pytest.raises(Unavailable, match=match):
            getattr(pool, use)()


@each_rejected
def test_multiplexed_session_of_a_server_that_is_not_trusted_ends_at_once(
    local: LocalSpanner, colour: Colour, changes: dict[str, Any], match: str
) -> None:
    """So does the multiplexed session."""
    with _client(local, colour, **changes) as client:
        session = multiplexed_of(client, _DATABASE)
        with takes(), pytest.raises(Unavailable, match=match):
            session.open()
        session.close()


@pytest.mark.parametrize(
    ("endpoint", "match"),
    [(_REFUSED, "Connection refused"), ("no-such-host.invalid:1", r"[Rr]esol.*no-such-host\.invalid")],
    ids=["refused", "unknown name"],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_warm_up_says_why_it_found_no_connection(colour: Colour, endpoint: str, match: str, channels: int) -> None:
    """At its timeout, because such a failure may pass, in gRPC's words."""
    options = ClientOptions(endpoint=endpoint, plaintext=True, channels=channels)
    with colour.client(_ANONYMOUS, options=options) as client, takes(0.5):
        with pytest.raises(DeadlineExceeded, match=f"no connection to {endpoint} in time: .*{match}"):
            client.warm_up(timeout=0.5)


def test_warm_up_at_a_silent_server_says_that_it_did_not_answer(local: LocalSpanner, colour: Colour) -> None:
    """There is no failure that gRPC could tell."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        with _client(local, colour, endpoint=endpoint) as client:
            with pytest.raises(DeadlineExceeded, match=f"no connection to {endpoint} in time: it did not answer"):
                client.warm_up(timeout=0.3)


def test_warm_up_finds_a_server_that_comes_late(colour: Colour) -> None:
    """It asks why a connection failed, and goes on."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    options = ClientOptions(endpoint=f"127.0.0.1:{port}", plaintext=True)
    with colour.client(_ANONYMOUS, options=options) as client:
        with pytest.raises(DeadlineExceeded, match="Connection refused"):
            client.warm_up(timeout=0.2)
        with LocalSpanner(tls=False, port=port) as server:
            client.warm_up()
            assert server.calls == []
            client.create_session(_DATABASE)


class _WithoutToken(Credentials):
    """Credentials that cannot be had."""

    def refresh(self, request: Any) -> None:
        raise RefreshError("no token for you")


@pytest.mark.parametrize("use", ["wait", "open", "acquire"])
def test_pool_without_a_token_says_so_at_once(local: LocalSpanner, colour: Colour, use: str) -> None:
    """It is the error of the credentials, and not a timeout."""
    credentials = _WithoutToken()  # type: ignore[no-untyped-call]  # google.auth is typed in part only
    with rig_of(colour, credentials, local.client_options(), local) as rig:
        pool = rig.pool(clock=CLOCK, min_size=1)
        with takes(), pytest.raises(CredentialsError, match="no token for you"):
            getattr(pool, use)()


@pytest.mark.parametrize("use", ["wait", "acquire"])
def test_pool_timeout_says_why_and_has_the_numbers(colour: Colour, use: str) -> None:
    """The newest failure of a create is its cause, and in its text."""
    with colour.client(_ANONYMOUS, options=ClientOptions(endpoint=_REFUSED, plaintext=True)) as client:
        pool = pool_of(client, _DATABASE, min_size=1, max_size=8)
        with pytest.raises(PoolTimeout, match=r"within 0\.5 s: 0 of 8 sessions: 0 leased.*refused") as caught:
            getattr(pool, use)(timeout=0.5)
        assert isinstance(caught.value.__cause__, Unavailable)
        assert str(caught.value.__cause__) in str(caught.value)
        pool.close()


def test_pool_timeout_of_a_full_pool_has_the_numbers(local: LocalSpanner, colour: Colour) -> None:
    """They tell leaked leases from too small a pool; no failure is named where there is none."""
    with rig_of(colour, local.credentials(), local.client_options(), local) as rig:
        pool = rig.pool(min_size=2, max_size=2)
        leases = [pool.acquire() for _ in range(2)]
        waiting = rig.wait_in_line(pool, 3)
        with pytest.raises(PoolTimeout) as caught:
            pool.acquire(timeout=0)
        assert str(caught.value) == (
            f"no session of {rig.database} became available within 0 s: 2 of 2 sessions: 2 leased, 0 idle, 3 waiting"
        )
        for lease in leases:
            pool.release(lease)
        for each in waiting:
            pool.release(each.result())
