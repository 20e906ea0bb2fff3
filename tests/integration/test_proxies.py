"""Proxies of the environment, over a real one: calls go by it, or the error says why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import (
    AsyncSessionsClient,
    DeadlineExceeded,
    InvalidValue,
    RetryOptions,
    SessionsClient,
    Unavailable,
)
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.http_proxy import HttpProxy
from tests.support.measuring import takes

_DATABASE = "projects/p/instances/i/databases/d"
# It exists behind the proxy alone.
_ENDPOINT = "spanner.test:443"
_AS_LOCALHOST = (("grpc.ssl_target_name_override", "localhost"),)


@contextmanager
def _client(local: LocalSpanner, colour: Colour, **changes: Any) -> Iterator[SessionsClient]:
    options = local.client_options(
        endpoint=_ENDPOINT, channel_options=_AS_LOCALHOST, retry=RetryOptions.none(), **changes
    )
    with colour.client(local.credentials(), options=options) as client:
        yield client


@pytest.mark.parametrize("name", ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"])
def test_calls_go_by_the_proxy(local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every variable that names one, with a user and a password that is decoded."""
    with HttpProxy(local.endpoint, user="me:p@ss:word") as proxy:
        monkeypatch.setenv(name, proxy.url("me:p%40ss%3Aword@"))
        with _client(local, colour) as client:
            client.create_session(_DATABASE)
        assert proxy.hosts == [_ENDPOINT]


def test_proxy_without_a_scheme_is_http(local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for tokens; gRPC by itself would connect directly."""
    with HttpProxy(local.endpoint) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url().removeprefix("http://"))
        with _client(local, colour) as client:
            client.create_session(_DATABASE)


@pytest.mark.parametrize("exempt", ["*", "127.0.0.1", ""])
def test_this_machine_is_never_behind_a_proxy(
    local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    """Whatever the environment says of exceptions."""
    with HttpProxy(local.endpoint) as proxy:
        for name in ("grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.setenv("no_proxy", exempt)
        with colour.client(local.credentials(), options=local.client_options()) as client:
            client.create_session(_DATABASE)
        assert proxy.hosts == []


def test_exception_is_connected_to_directly(
    local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY in capitals, which gRPC does not know."""
    with HttpProxy(local.endpoint) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        monkeypatch.setenv("NO_PROXY", ".test")
        with _client(local, colour) as client, pytest.raises(Unavailable, match=r"spanner\.test"):
            client.create_session(_DATABASE)
        assert proxy.hosts == []


@pytest.mark.parametrize("channels", [1, 2])
def test_option_of_the_channel_wins(
    local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    """A proxy of the client's own; then the environment is not looked at."""
    monkeypatch.setenv("HTTPS_PROXY", "https://p.test")
    with HttpProxy(local.endpoint) as proxy:
        own = (*_AS_LOCALHOST, ("grpc.http_proxy", proxy.url()))
        options = local.client_options(endpoint=_ENDPOINT, channel_options=own, channels=channels)
        with colour.client(local.credentials(), options=options) as client:
            client.warm_up()
            client.create_session(_DATABASE)
        assert proxy.hosts == [_ENDPOINT] * channels


def test_proxy_that_rejects_its_user_ends_calls_at_once(
    local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """407 does not pass; the error has the number and not the password."""
    with HttpProxy(local.endpoint, user="me:other") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("me:secret@"))
        with colour.client(AnonymousCredentials(), options=local.client_options(endpoint=_ENDPOINT)) as client, takes():
            for call in (lambda: client.create_session(_DATABASE), client.warm_up):
                with pytest.raises(Unavailable, match=r"407.*does not accept the user") as error:
                    call()
                assert "secret" not in str(error.value)


def test_proxy_that_refuses_the_host_is_named(
    local: LocalSpanner, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """403 is in the error of a call, and of a warm-up that waits for another answer."""
    with HttpProxy(local.endpoint, status=403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        with _client(local, colour) as client:
            with pytest.raises(Unavailable, match="proxy returned response code 403"):
                client.create_session(_DATABASE)
            with pytest.raises(DeadlineExceeded, match="proxy returned response code 403"):
                client.warm_up(timeout=0.5)


@pytest.mark.parametrize("client_class", [SessionsClient, AsyncSessionsClient])
def test_proxy_that_cannot_be_used_is_refused_when_the_client_is_made(
    client_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than left out, as gRPC does."""
    monkeypatch.setenv("HTTPS_PROXY", "https://me:secret@p.test:1")
    with pytest.raises(InvalidValue, match="HTTPS_PROXY") as error:
        client_class(AnonymousCredentials())
    assert "secret" not in str(error.value)


def test_password_of_the_proxy_is_in_no_repr(local: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the client's nor its connection's."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@p.test:1")
    client: Any = SessionsClient(AnonymousCredentials(), options=local.client_options(endpoint=_ENDPOINT))
    assert "secret" not in repr(client) + repr(client._connection) + repr(client._connection._target)
