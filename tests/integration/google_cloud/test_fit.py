"""What is loaded when, and what a google-cloud-spanner that does not fit is told."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys

import pytest

from spanner_grpc_sessions import google_cloud
from spanner_grpc_sessions.google_cloud.fit import check_fit

_LOADS = """
import sys, threading
from spanner_grpc_sessions import google_cloud
google_cloud.__all__, dir(google_cloud)
assert not {name for name in sys.modules if name.startswith(("google", "grpc"))}
google_cloud.use, google_cloud.SessionPool, google_cloud.MultiplexedSession
assert "google.cloud.spanner_v1" in sys.modules
google_cloud.AsyncSessionPool
assert threading.active_count() == 1
"""


def test_nothing_is_loaded_before_a_name_is_used() -> None:
    """Neither google-cloud-spanner nor gRPC; and loading it starts no thread."""
    run = subprocess.run([sys.executable, "-c", _LOADS], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_version_that_is_installed_fits(asynchronous: bool) -> None:
    """It is the one that the tests run with."""
    check_fit(asynchronous=asynchronous)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        google_cloud.nothing  # noqa: B018 - it raises


def test_a_version_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too old with what is needed; a newer one with what it lacks, and the newest that was tried."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.63.0")
    with pytest.raises(ImportError, match=r"needs google-cloud-spanner 3\.64 or newer; 3\.63\.0 is installed"):
        check_fit(asynchronous=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "10.0.0rc1")
    check_fit(asynchronous=False)
    database = importlib.import_module("google.cloud.spanner_v1.database")
    monkeypatch.delattr(database.Database, "sessions_manager")
    with pytest.raises(
        ImportError, match=r"10\.0\.0rc1 does not fit .*database\.Database\.sessions_manager\. .* 3\.71"
    ):
        check_fit(asynchronous=False)


def test_a_module_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """google-cloud-spanner calls its form for asyncio experimental."""
    monkeypatch.setitem(sys.modules, "google.cloud.spanner_v1._async.database", None)
    with pytest.raises(ImportError, match=r"has no google\.cloud\.spanner_v1\._async\.database") as raised:
        check_fit(asynchronous=True)
    assert raised.value.__cause__ is not None


def test_without_google_cloud_spanner_the_first_use_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to install it."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.delitem(vars(google_cloud), "use", raising=False)
    with pytest.raises(ImportError, match="pip install google-cloud-spanner"):
        google_cloud.use  # noqa: B018 - it raises
