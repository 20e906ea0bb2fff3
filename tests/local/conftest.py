"""Local servers for the tests: with TLS and tokens, and plain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spanner_grpc_sessions.local import LocalSpanner
from tests.local.wire import Wire


@pytest.fixture
def spanner() -> Iterator[LocalSpanner]:
    """A running server with TLS."""
    with LocalSpanner() as server:
        yield server


@pytest.fixture
def wire(spanner: LocalSpanner) -> Iterator[Wire]:
    """A bare stub to it."""
    wire = Wire(spanner)
    with wire.channel:
        yield wire


@pytest.fixture
def plain() -> Iterator[LocalSpanner]:
    """A running server without TLS, whose clock moves only when it is told to."""
    with LocalSpanner(tls=False, clock=lambda: 1_800_000_000.25) as server:
        yield server


@pytest.fixture
def plain_wire(plain: LocalSpanner) -> Iterator[Wire]:
    """A bare stub to it."""
    wire = Wire(plain)
    with wire.channel:
        yield wire
