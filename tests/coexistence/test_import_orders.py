"""Our stubs live in one process with google-cloud-spanner and with plain protoc stubs, in any order of imports.

Each order runs in a process of its own, once per protobuf implementation. google-cloud-spanner and plain stubs refuse
each other, because both register the names of google.spanner.v1 in protobuf's one pool. The tests show that they do so
without us, and that our presence neither causes nor suffers from it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.coexistence.process import LABELS, NAME, SECONDS

IMPLEMENTATIONS = ("upb", "python")
WITH_US = [
    order for count in (2, 3) for order in itertools.permutations(("ours", "google", "plain"), count) if "ours" in order
]
WITHOUT_US = [("google", "plain"), ("plain", "google")]

Run = Callable[[tuple[str, ...], str], dict[str, Any]]


@pytest.fixture(scope="session")
def google_version(report_server: Callable[[str, str], None]) -> str:
    """The version of google-cloud-spanner; skips where it is not installed."""
    try:
        version = importlib.metadata.version("google-cloud-spanner")
    except importlib.metadata.PackageNotFoundError:
        report_server("google-cloud-spanner", "not installed")
        pytest.skip("google-cloud-spanner is not installed")
    report_server("google-cloud-spanner", version)
    return version


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest, plain_stubs: Path) -> Run:
    """Return the report of a process that imported the parties in an order, under a protobuf implementation."""

    @functools.cache
    def run_process(order: tuple[str, ...], implementation: str) -> dict[str, Any]:
        if "google" in order:
            request.getfixturevalue("google_version")
        process = subprocess.run(
            [sys.executable, Path(__file__).with_name("process.py"), *order],
            env={
                **os.environ,
                "PYTHONPATH": str(plain_stubs),
                "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert process.returncode == 0, process.stderr[-2000:]
        report: dict[str, Any] = json.loads(process.stdout)
        return report

    return run_process


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("order", WITH_US, ids="-".join)
class TestWithUs:
    """What holds in a process that uses our stubs."""

    def test_exactly_those_are_refused_that_are_refused_without_us(
        self, run: Run, order: tuple[str, ...], implementation: str
    ) -> None:
        """Every order of imports works, and no library fails to import because of ours."""
        others = tuple(party for party in order if party != "ours")
        clashes = run(others, implementation)["refused"] if len(others) > 1 else {}
        assert run(order, implementation)["refused"].keys() == clashes.keys()

    def test_all_stubs_read_what_any_of_them_wrote(self, run: Run, order: tuple[str, ...], implementation: str) -> None:
        """A Session, with a plain Timestamp in it, has the same bytes and fields for all writers and readers."""
        report = run(order, implementation)
        present = set(order) - report["refused"].keys()
        assert report["protobuf"] == implementation
        assert report["written"].keys() == present
        assert len(set(report["written"].values())) == 1
        assert report["read"] == {
            f"{reader}<{writer}": [NAME, LABELS, SECONDS, True]
            for reader, writer in itertools.product(present, repeat=2)
        }

    def test_every_stub_calls_and_our_messages_pickle(
        self, run: Run, order: tuple[str, ...], implementation: str
    ) -> None:
        """Each party's own stub calls CreateSession, on gRPC's channel and on our client's; our message pickles."""
        report = run(order, implementation)
        assert report["created"] == dict.fromkeys(set(order) - report["refused"].keys(), NAME)
        assert report["on ours"] == report["created"]
        assert report["pickled"]


@pytest.mark.parametrize("order", WITHOUT_US, ids="-".join)
def test_others_refuse_each_other_without_us(run: Run, order: tuple[str, ...]) -> None:
    """The control: without us, the second of google-cloud-spanner and plain stubs cannot be imported."""
    refused = run(order, "upb")["refused"]
    assert list(refused) == [order[1]]
    assert "duplicate symbol 'google.spanner.v1." in refused[order[1]]
