"""The pytest plugin, as the tests of a service use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from spanner_grpc_sessions.testing import Emulator

pytest_plugins = ["pytester"]

SERVICE = """
import asyncio

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import PoolOptions


def test_a_client(spanner_client, spanner_database):
    session = spanner_client.create_session(spanner_database)
    assert spanner_client.get_session(session["name"])["name"] == session["name"]


def test_a_client_for_asyncio(async_spanner_client, spanner_database):
    async def main():
        async with async_spanner_client as client:
            return await client.create_session(spanner_database)

    assert asyncio.run(main())["name"].startswith(spanner_database)


def test_a_pool(spanner_pool):
    with spanner_pool.session() as lease:
        request = spanner_pb2.ExecuteSqlRequest(session=lease.name, sql="SELECT 1")
        assert lease.stub.ExecuteSql(request).rows[0][0] == "1"
"""
LOCAL = """
import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import PoolOptions


@pytest.fixture
def spanner_pool_options():
    return PoolOptions(min_size=2, max_size=2)


def test_rows(local_spanner, spanner_pool):
    local_spanner.answer("SELECT name FROM Users", columns={"name": "STRING"}, rows=[["Ada"]])
    with spanner_pool.session() as lease:
        request = spanner_pb2.ExecuteSqlRequest(session=lease.name, sql="SELECT name FROM Users")
        assert list(lease.stub.ExecuteSql(request).rows[0]) == ["Ada"]


def test_an_hour_passes_for_server_and_pool(local_spanner, spanner_pool):
    before = {session["name"] for session in local_spanner.sessions}
    assert len(before) == 2
    local_spanner.advance(3601)
    with spanner_pool.session() as lease:
        assert lease.name not in before
"""

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run the tests of the service in a process of their own."""
    pytester.makepyfile(test_service=SERVICE, test_local=LOCAL)
    return lambda *arguments: pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs", *arguments)


def test_a_service_is_tested_over_a_local_server(run: Callable[..., pytest.RunResult]) -> None:
    """Without a word about it."""
    run().assert_outcomes(passed=5)


def test_the_test_of_the_page_runs(pytester: pytest.Pytester) -> None:
    """As it stands, and so does the service."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (service,) = (block for block in blocks if block.startswith("# my_service.py"))
    (test,) = (block for block in blocks if "from my_service" in block)
    pytester.makepyfile(my_service=service, test_service=test)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_emulator_takes_its_place(
    run: Callable[..., pytest.RunResult], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an option; a test that tells the local server answers stays with it."""
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator.grpc_endpoint)
    monkeypatch.setenv("SPANNER_EMULATOR_REST_HOST", emulator.rest_endpoint)
    run("--spanner=emulator").assert_outcomes(passed=5)
    assert emulator.rest("GET", "/v1/projects/test-project/instances")[1]["instances"]


def test_without_an_emulator_tests_are_skipped_with_a_word(
    run: Callable[..., pytest.RunResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They say what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("--spanner=emulator")
    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.fnmatch_lines(["*no Cloud Spanner emulator*gcloud not installed*"])
