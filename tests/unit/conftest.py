"""Fixtures of the unit tests: a token source that the test drives, and a service account of this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account

from spanner_grpc_sessions.auth.token_source import TokenSource
from tests.unit.auth.token_endpoints import DEADLINE, SECOND, Clock, Endpoint


@pytest.fixture
def clock() -> Clock:
    """A clock that shows 0."""
    return Clock()


@pytest.fixture
def endpoint() -> Endpoint:
    """An endpoint that has no answers yet."""
    return Endpoint()


@pytest.fixture
def source(endpoint: Endpoint, clock: Clock) -> Iterator[TokenSource]:
    """A source over the endpoint and the clock, closed in the end, its thread gone."""
    source = TokenSource(endpoint, clock=clock, timer=lambda: 0.0, draw=lambda: 0.0)
    yield source
    source.close(timeout=0.0)
    for _ in range(3):
        endpoint.answer(SECOND)
    source.close(timeout=DEADLINE)
    assert not any(thread.is_alive() for thread in endpoint.threads)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """A key of this run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def info(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """What a service account's key file holds."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "tester@p.iam.gserviceaccount.com",
        # Port 1 has no listener: a request for a token there raises a TransportError.
        "token_uri": "http://127.0.0.1:1/token",
    }


@pytest.fixture
def account(info: Mapping[str, str]) -> Any:
    """The credentials of a service account, without scopes."""
    return service_account.Credentials.from_service_account_info(info)
