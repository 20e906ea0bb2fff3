"""What the tests of google-cloud-spanner on this library share: its settings, and databases of the emulator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

from spanner_grpc_sessions import MultiplexedSession, PoolOptions, SessionPool, SessionsClient, google_cloud
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.google_cloud import SINGERS, Rig, instance_of

if TYPE_CHECKING:
    from spanner_grpc_sessions.testing import Emulator

Source = Literal["pool", "multiplexed"]
Calls = Literal["own channel", "our channel"]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep google-cloud-spanner on this machine: no metrics to Google, and no question to the metadata server."""
    helpers = pytest.importorskip("google.cloud.spanner_v1._helpers", reason="google-cloud-spanner is not installed")
    monkeypatch.setenv("SPANNER_DISABLE_BUILTIN_METRICS", "true")
    monkeypatch.setattr(helpers, "_cloud_region", "global")


@pytest.fixture(scope="module")
def singers(emulator: Emulator) -> str:
    """The name of a database with a table, for all tests of a file."""
    return emulator.create_database([SINGERS])


@pytest.fixture(params=["pool", "multiplexed"])
def source(request: pytest.FixtureRequest) -> Source:
    """What gives the sessions."""
    source: Source = request.param
    return source


@pytest.fixture(params=["own channel", "our channel"])
def calls(request: pytest.FixtureRequest) -> Calls:
    """Whether google-cloud-spanner makes its calls on a channel of its own, or on the client's."""
    calls: Calls = request.param
    return calls


@pytest.fixture
def rig(
    emulator: Emulator, singers: str, source: Source, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    """A Database of google-cloud-spanner on the emulator; at the end no session is leased."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.grpc_endpoint)
    with SessionsClient() as client, contextlib.ExitStack() as stack:
        pool = stack.enter_context(SessionPool(client, singers, options=PoolOptions(min_size=1, max_size=4)))
        adapter: Any = google_cloud.SessionPool(pool)
        if source == "multiplexed":
            adapter = google_cloud.MultiplexedSession(stack.enter_context(MultiplexedSession(client, singers)))
        database = instance_of(singers).database("db", pool=adapter)
        if calls == "our channel":
            google_cloud.use(database, client)
        yield Rig(database, adapter, pool, client)
        assert pool.stats().leased == 0


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalSpanner]:
    """A server of all tests of a file."""
    with LocalSpanner(tls=False) as server:
        yield server


@pytest.fixture
def plain(shared: LocalSpanner, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSpanner]:
    """That server, where google-cloud-spanner finds it."""
    for name, value in shared.environment().items():
        monkeypatch.setenv(name, value)
    yield shared
    shared.faults.clear()
