"""The examples of the README and the documentation run as they stand."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from spanner_grpc_sessions import SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from spanner_grpc_sessions.testing import Emulator
from tests.support.certificates import make_authority

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
# Blocks that need more run elsewhere: stubs of the user's own in tests/coexistence, a service's tests in tests/testing,
# Google's client in tests/integration/google_cloud.
_ELSEWHERE = ("from google.spanner.v1", "from my_service", "from google.cloud import spanner")
_EXAMPLES = [
    (page, block)
    for page in _PAGES
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if not any(line in block for line in _ELSEWHERE)
]
_AUTHORITY = make_authority()
_DATABASE = "projects/my-app/instances/prod/databases/orders"


def _run(page: Path, block: str, names: dict[str, Any]) -> None:
    if "multiprocessing" in block:
        # This process has servers and threads of other tests.
        subprocess.run([sys.executable, "-c", block], check=True, timeout=60)
        return
    code: CodeType = compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # noqa: S307 - our own documentation
    if inspect.iscoroutine(result):
        asyncio.run(result)


def test_there_are_examples() -> None:
    """On the pages that have to have some."""
    assert {"README", "quickstart", "choosing", "from-rest", "asyncio"} <= {page.stem for page, _ in _EXAMPLES}


@pytest.fixture(params=["local", "emulator"])
def emulator_host(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server in plaintext that has the database of the examples."""
    if request.param == "local":
        with LocalSpanner(tls=False) as plain:
            yield plain.endpoint
    else:
        emulator: Emulator = request.getfixturevalue("emulator")
        emulator.have_database(_DATABASE)
        yield emulator.grpc_endpoint


@pytest.mark.parametrize(("page", "block"), _EXAMPLES, ids=lambda part: getattr(part, "stem", ""))
def test_example_runs(
    page: Path, block: str, emulator_host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each example runs as it stands, its names too: on the emulator, or with a key file where it names one."""
    if "from fastapi" in block:
        pytest.importorskip("fastapi")
    assert set(re.findall(r"projects/[^\"/]*/instances/[^\"/]*/databases/[^\"/]*", block)) <= {_DATABASE}
    with LocalSpanner() as secured:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator_host)
        monkeypatch.chdir(tmp_path)
        secured.service_account_file(tmp_path / "key.json")
        certificate, key = _AUTHORITY.issue("client")
        for file, content in (("ca.pem", _AUTHORITY.root), ("client.pem", certificate), ("client.key", key)):
            (tmp_path / file).write_bytes(content)
        with SessionsClient() as client:
            name = client.create_session(_DATABASE)["name"]
            if "SessionNotFound" in block:
                client.delete_session(name)
            _run(page, block, {"client": client, "name": name, "__name__": "example"})


def test_the_figures_of_the_readme_are_those_of_the_stored_run() -> None:
    """A reader can look up each of them."""
    stored = json.loads((_ROOT / "benchmarks/results/latest.json").read_text(encoding="utf-8"))
    found = {target["title"]: target["found"]["median"] for case in stored["cases"] for target in case["targets"]}
    readme = " ".join((_ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"takes {found['one call: over the bare stub with our headers'] - 1:.0%} longer" in readme
    assert f"and {found['one call: over the bare stub'] - 1:.0%} longer than one that sends none" in readme
    over_ours, over_bare = (f"asyncio, 64 in flight: over the bare stub{which}" for which in (" with our headers", ""))
    assert f"in flight, {found[over_ours] - 1:.0%} and {found[over_bare] - 1:.0%}." in readme
    assert f"takes {found['one call: times as fast as gapic with its plugin']:.1f} times as long" in readme
    assert f"and {found['asyncio, 64 in flight: times as fast as gapic']:.1f} times there" in readme
    year, month, day = map(int, stored["date"][:10].split("-"))
    assert f"measured on {date(year, month, day):%-d %B %Y}" in readme
