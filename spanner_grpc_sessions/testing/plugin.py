"""The pytest plugin. pytest imports it at each start, so what it needs is imported by the fixtures that need it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from spanner_grpc_sessions import AsyncSessionsClient, ClientOptions, PoolOptions, SessionPool, SessionsClient
    from spanner_grpc_sessions.testing.emulator import Emulator
    from spanner_grpc_sessions.testing.local import ClockedSpanner

# ruff: noqa: PLC0415 - see above

_DATABASE: Final = "projects/test-project/instances/test-instance/databases/test-database"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--spanner`."""
    parser.getgroup("spanner").addoption(
        "--spanner",
        choices=("local", "emulator"),
        default="local",
        help="what spanner_client and spanner_pool connect to: a LocalSpanner, or Google's emulator (default: local). "
        "Tests that use local_spanner connect to it always.",
    )


@pytest.fixture
def local_spanner() -> Iterator[ClockedSpanner]:
    """A `LocalSpanner` of the test's own, in plaintext. Its `advance` moves the clock of `spanner_pool` too."""
    from spanner_grpc_sessions.testing.local import ClockedSpanner

    with ClockedSpanner(tls=False) as spanner:
        yield spanner


@pytest.fixture(scope="session")
def spanner_emulator() -> Iterator[Emulator]:
    """Google's emulator: the one that `SPANNER_EMULATOR_HOST` names, or one of the Google Cloud CLI, started once."""
    from spanner_grpc_sessions.testing.emulator import EmulatorUnavailable, running_emulator

    try:
        with running_emulator(os.environ) as emulator:
            yield emulator
    except EmulatorUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def spanner_database(request: pytest.FixtureRequest) -> str:
    """The name of a database for `spanner_client`: of the test's own, and empty."""
    if _is_local(request):
        return _DATABASE
    emulator: Emulator = request.getfixturevalue("spanner_emulator")
    return emulator.create_database()


@pytest.fixture
def spanner_client(request: pytest.FixtureRequest) -> Iterator[SessionsClient]:
    """An open client of the server that `--spanner` names."""
    from spanner_grpc_sessions import SessionsClient

    with SessionsClient(_no_credentials(), options=_options(request)) as client:
        yield client


@pytest.fixture
def async_spanner_client(request: pytest.FixtureRequest) -> AsyncSessionsClient:
    """A client for asyncio of the server that `--spanner` names. Enter it in the test: `async with` closes it there."""
    from spanner_grpc_sessions import AsyncSessionsClient

    return AsyncSessionsClient(_no_credentials(), options=_options(request))


@pytest.fixture
def spanner_pool_options() -> PoolOptions:
    """The options of `spanner_pool`: one session at first, and at most 10. Define a fixture of this name for others."""
    from spanner_grpc_sessions import PoolOptions

    return PoolOptions(min_size=1, max_size=10)


@pytest.fixture
def spanner_pool(
    request: pytest.FixtureRequest,
    spanner_client: SessionsClient,
    spanner_database: str,
    spanner_pool_options: PoolOptions,
) -> Iterator[SessionPool]:
    """A session pool of `spanner_client`. `local_spanner.advance` moves its clock."""
    from spanner_grpc_sessions import SessionPool

    options: dict[str, Any] = {"options": spanner_pool_options}
    if _is_local(request):
        options["clock"] = request.getfixturevalue("local_spanner").pool_clock
    with SessionPool(spanner_client, spanner_database, **options) as pool:
        yield pool


def _is_local(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--spanner") == "local" or "local_spanner" in request.fixturenames


def _options(request: pytest.FixtureRequest) -> ClientOptions:
    from spanner_grpc_sessions import ClientOptions

    if _is_local(request):
        spanner: ClockedSpanner = request.getfixturevalue("local_spanner")
        return spanner.client_options()
    emulator: Emulator = request.getfixturevalue("spanner_emulator")
    return ClientOptions(endpoint=emulator.grpc_endpoint, plaintext=True)


def _no_credentials() -> Credentials:
    from google.auth.credentials import AnonymousCredentials

    return AnonymousCredentials()
