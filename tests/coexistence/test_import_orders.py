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
from typing import Any, NamedTuple

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


class Imported(NamedTuple):
    """What a process reports that imported the parties in an order, under a protobuf implementation."""

    order: tuple[str, ...]
    implementation: str
    report: dict[str, Any]

    @property
    def present(self) -> set[str]:
        """The parties that could be imported."""
        refused: dict[str, str] = self.report["refused"]
        return set(self.order) - refused.keys()


# Of the module, so that pytest runs the tests of one process side by side, in one worker.
@pytest.fixture(
    scope="module",
    params=itertools.product(WITH_US, IMPLEMENTATIONS),
    ids=lambda param: "-".join((*param[0], param[1])),
)
def imported(request: pytest.FixtureRequest, run: Run) -> Imported:
    """A process that uses our stubs."""
    order, implementation = request.param
    return Imported(order, implementation, run(order, implementation))


def test_exactly_those_are_refused_that_are_refused_without_us(run: Run, imported: Imported) -> None:
    """Every order of imports works, and no library fails to import because of ours."""
    others = tuple(party for party in imported.order if party != "ours")
    clashes = run(others, imported.implementation)["refused"] if len(others) > 1 else {}
    assert imported.report["refused"].keys() == clashes.keys()


def test_all_stubs_read_what_any_of_them_wrote(imported: Imported) -> None:
    """A Session, with a plain Timestamp in it, has the same bytes and fields for all writers and readers."""
    report = imported.report
    assert report["protobuf"] == imported.implementation
    assert report["written"].keys() == imported.present
    assert len(set(report["written"].values())) == 1
    assert report["read"] == {
        f"{reader}<{writer}": [NAME, LABELS, SECONDS, True]
        for reader, writer in itertools.product(imported.present, repeat=2)
    }


def test_every_stub_calls_and_our_messages_pickle(imported: Imported) -> None:
    """Each party's own stub calls CreateSession, on gRPC's channel and on our client's; our message pickles."""
    report = imported.report
    assert report["created"] == dict.fromkeys(imported.present, NAME)
    assert report["on ours"] == report["created"]
    assert report["pickled"]


@pytest.mark.parametrize("order", WITHOUT_US, ids="-".join)
def test_others_refuse_each_other_without_us(run: Run, order: tuple[str, ...]) -> None:
    """The control: without us, the second of google-cloud-spanner and plain stubs cannot be imported."""
    refused = run(order, "upb")["refused"]
    assert list(refused) == [order[1]]
    assert "duplicate symbol 'google.spanner.v1." in refused[order[1]]
