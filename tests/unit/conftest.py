"""Fixtures of the unit tests: a token source that the test drives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spanner_grpc_sessions.token_source import TokenSource
from tests.unit.token_endpoints import DEADLINE, SECOND, Clock, Endpoint


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
    source = TokenSource(endpoint, clock=clock)
    yield source
    source.close(timeout=0.0)
    for _ in range(3):
        endpoint.answer(SECOND)
    source.close(timeout=DEADLINE)
    assert not any(thread.is_alive() for thread in endpoint.threads)
