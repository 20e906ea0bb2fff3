"""`import spanner_grpc_sessions` costs next to nothing and does nothing: services import it at every start."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.packaging.conftest import Installed

IMPORT = "import spanner_grpc_sessions"

# Audit hooks see what no module can hide. The import machinery itself reads files, which is not the package's doing.
AUDITED_IMPORT = f"""
import json, sys, threading

WATCHED = ("open", "os.", "socket.", "subprocess.", "_thread.", "_posixsubprocess.", "tempfile.", "urllib.", "ctypes.")
events = []

def hook(event, arguments):
    if event.startswith(WATCHED) and "importlib" not in sys._getframe(1).f_code.co_filename:
        events.append(f"{{event}} {{arguments}}")

sys.addaudithook(hook)
{IMPORT}
print(json.dumps({{"events": events, "threads": threading.active_count(), "modules": sorted(sys.modules)}}))
"""


@pytest.fixture(scope="module")
def audit(installed: Installed) -> dict[str, object]:
    """What happened in a process that only imports the package."""
    process = installed.run("python", "-I", "-c", AUDITED_IMPORT)
    assert process.returncode == 0, process.stderr
    result: dict[str, object] = json.loads(process.stdout)
    return result


def test_import_does_no_io_and_starts_no_thread(audit: dict[str, object]) -> None:
    """No file, no socket, no process, no thread."""
    assert (audit["events"], audit["threads"]) == ([], 1)


@pytest.mark.parametrize("heavy", ["grpc", "google.auth", "google.protobuf", "asyncio", "requests"])
def test_import_leaves_the_heavy_ones_for_the_first_use(audit: dict[str, object], heavy: str) -> None:
    """What takes long to import is imported when it is needed."""
    modules = audit["modules"]
    assert isinstance(modules, list)
    assert heavy not in modules


def test_import_costs_less_than_that_of_json(installed: Installed) -> None:
    """The least of several processes, in processor time; json takes 8 ms where bare Python takes 11."""
    ours, json_s = ([_processor_seconds(installed, code) for _ in range(7)] for code in (IMPORT, "import json"))
    assert min(ours) < min(json_s)


def _processor_seconds(installed: Installed, code: str) -> float:
    process = subprocess.Popen([installed.python, "-I", "-c", code], cwd=installed.folder, env=installed.environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime
