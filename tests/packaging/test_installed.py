"""The wheel alone, in a fresh environment, away from the checkout, does what it promises."""

from __future__ import annotations

import json

import pytest

from spanner_grpc_sessions._version import __version__
from tests.packaging.conftest import Installed

DATABASE = "projects/p/instances/i/databases/d"


def test_package_comes_from_the_environment(installed: Installed) -> None:
    """The checkout is out of reach, or the other tests here would prove nothing."""
    code = "import spanner_grpc_sessions as ours; print(ours.__file__, ours.__version__)"
    file, version = installed.run("python", "-c", code).stdout.split()
    assert file.startswith(str(installed.python.parents[1]))
    assert version == __version__


def test_dependencies_are_complete(installed: Installed) -> None:
    """Every module imports, the embedded server's too, but those for an extra, google-cloud-spanner or pytest."""
    code = """
import importlib, pkgutil, spanner_grpc_sessions as ours
others = {"__main__", "cli", "google_cloud", "plugin", "telemetry"}
for module in pkgutil.walk_packages(ours.__path__, "spanner_grpc_sessions."):
    if not others & set(module.name.split(".")):
        importlib.import_module(module.name)
"""
    process = installed.run("python", "-W", "error", "-c", code)
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.parametrize("command", [("spanner-sessions", "--help"), ("python", "-m", "spanner_grpc_sessions", "list")])
def test_command_without_its_extra_says_how_to_get_it(installed: Installed, command: tuple[str, ...]) -> None:
    """In one line, without a traceback."""
    process = installed.run(*command)
    assert (process.returncode, process.stdout) == (1, "")
    (line,) = process.stderr.splitlines()
    assert line.endswith("pip install 'spanner-grpc-sessions[cli]'")


def test_command_shows_its_help(installed_cli: Installed) -> None:
    """`spanner-sessions --help` is on the path and names the commands."""
    process = installed_cli.run("spanner-sessions", "--help")
    assert process.returncode == 0, process.stderr
    commands = ("create", "get", "list", "delete", "ping", "serve", "doctor")
    assert all(command in process.stdout for command in commands)


def test_command_creates_a_session_on_a_local_server(installed_cli: Installed) -> None:
    """`spanner-sessions create … --local` prints the REST Session as one JSON object, and nothing else on stdout."""
    process = installed_cli.run("spanner-sessions", "create", DATABASE, "--label", "team=checkout", "--local")
    assert process.returncode == 0, process.stderr
    session = json.loads(process.stdout)
    assert session["name"].startswith(f"{DATABASE}/sessions/")
    assert session["labels"] == {"team": "checkout"}
    assert session.keys() == {"name", "labels", "createTime", "approximateLastUseTime"}
