"""Fixtures of all tests: the servers, the two colours, a clean environment, and the closing report."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from spanner_grpc_sessions.testing import Emulator, EmulatorUnavailable, running_emulator
from tests.support.colours import COLOURS, Colour
from tests.support.keys import share_keys
from tests.support.servers import EmulatorServer, LocalServer, Server

if TYPE_CHECKING:
    from spanner_grpc_sessions import SessionsClient
    from spanner_grpc_sessions.local import LocalSpanner

_OUTER_ENVIRONMENT = dict(os.environ)
_FOREIGN_SETTINGS = re.compile(
    r"SPANNER_|GOOGLE_|GCLOUD_|GCE_|CLOUDSDK_|(HTTPS?|ALL|NO|GRPC|NO_GRPC)_PROXY$", re.IGNORECASE
)
_Servers = dict[str, list[str]]
_SERVERS = pytest.StashKey[_Servers]()

# A slow machine must not fail a property, and a CI run must be repeatable.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the hypothesis profile, and have programs under test get their signals.

    A run in the background, or under nohup, ignores some, and its children would too.
    """
    for ignored, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, default)
    hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
    config.stash[_SERVERS] = {}


@pytest.fixture(scope="session", autouse=True)
def _neutral_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the developer's settings, credentials and proxies; keep google-auth from probing the metadata server."""
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(_FOREIGN_SETTINGS.match, _OUTER_ENVIRONMENT):
            patch.delenv(name)
        patch.setenv("CLOUDSDK_CONFIG", str(tmp_path_factory.mktemp("no-gcloud-settings")))
        patch.setenv("NO_GCE_CHECK", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_keys() -> Iterator[None]:
    """Spare each server an RSA key of its own."""
    with pytest.MonkeyPatch.context() as patch:
        share_keys(patch)
        yield


@pytest.fixture(scope="session")
def outer_environment() -> dict[str, str]:
    """The environment that pytest was started in: for finding the emulator, and for package installers."""
    return dict(_OUTER_ENVIRONMENT)


@pytest.fixture(scope="session")
def report_server(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Give a function that notes (server or peer, what it is) for the last lines of the run."""
    servers = request.config.stash[_SERVERS]
    return lambda name, what: _note(servers, {name: [what]})


@pytest.fixture(scope="session")
def emulator(outer_environment: dict[str, str], report_server: Callable[[str, str], None]) -> Iterator[Emulator]:
    """Google's emulator, one for each process of the run; skips where there is none."""
    try:
        with running_emulator(outer_environment) as emulator:
            report_server(
                "emulator", f"{emulator.version}, gRPC {emulator.grpc_endpoint}, REST {emulator.rest_endpoint}"
            )
            yield emulator
    except EmulatorUnavailable as reason:
        report_server("emulator", str(reason))
        pytest.skip(str(reason))


@pytest.fixture
def local(report_server: Callable[[str, str], None]) -> Iterator[LocalSpanner]:
    """A LocalSpanner of the test's own, with TLS and OAuth."""
    from spanner_grpc_sessions.local import LocalSpanner

    report_server("LocalSpanner", "in the test process, one per test, TLS and OAuth")
    with LocalSpanner() as server:
        yield server


@pytest.fixture(params=["local", "emulator"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    if request.param == "local":
        return LocalServer(request.getfixturevalue("local"))
    return EmulatorServer(request.getfixturevalue("emulator"))


@pytest.fixture(params=COLOURS, ids=lambda colour: colour.name)
def colour(request: pytest.FixtureRequest) -> Colour:
    """Each colour in turn."""
    result: Colour = request.param
    return result


@pytest.fixture
def client(server: Server, colour: Colour) -> Iterator[SessionsClient]:
    """An open client of each colour on each server, with the face of `SessionsClient`."""
    with colour.client(server.credentials(), options=server.options()) as client:
        yield client


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt: a shell starts what runs in its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what a worker of pytest-xdist has noted to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = session.config.stash[_SERVERS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Note what a worker has noted; one that crashed has sent nothing."""
    _note(node.config.stash[_SERVERS], getattr(node, "workeroutput", {}).get("servers", {}))


def _note(servers: _Servers, more: _Servers) -> None:
    for name, texts in more.items():
        known = servers.setdefault(name, [])
        known += [text for text in texts if text not in known]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say at the very end which servers stood behind the results, and what was skipped and why."""
    yield
    terminalreporter.section("servers and skips")
    servers = terminalreporter.config.stash[_SERVERS]
    for name in ("LocalSpanner", "emulator", *sorted(servers.keys() - {"LocalSpanner", "emulator"})):
        for what in servers.get(name, ["not asked for"]):
            terminalreporter.line(f"{name}: {what}")
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.line(f"skipped: {len(skipped)}")
    for reason, count in Counter(map(_skip_reason, skipped)).most_common():
        terminalreporter.line(f"{count:6} {reason}")


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if not isinstance(report.longrepr, tuple):
        return str(report.longrepr)
    return report.longrepr[2].removeprefix("Skipped: ")
