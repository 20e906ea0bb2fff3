"""The README's examples run as they stand."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from spanner_grpc_sessions import SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.certificates import make_authority
from tests.support.emulator import Emulator

_README = Path(__file__).parents[2] / "README.md"
# The one with stubs of the user's own is run where there are some, in tests/coexistence; that of a service's tests by
# pytest, in tests/testing.
_BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", _README.read_text(encoding="utf-8"), re.DOTALL)
    if "from google.spanner.v1" not in block and "from my_service" not in block
]
_AUTHORITY = make_authority()
_DATABASE = "projects/my-app/instances/prod/databases/orders"


def _compiled(block: str) -> CodeType:
    code: CodeType = compile(block, str(_README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def _run(block: str, names: dict[str, Any]) -> dict[str, Any]:
    result = eval(_compiled(block), names)  # noqa: S307 - our own README
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return names


def test_readme_has_examples() -> None:
    """There is something to run."""
    assert len(_BLOCKS) >= 6


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


@pytest.mark.parametrize("block", _BLOCKS, ids=range(len(_BLOCKS)))
def test_example_runs(block: str, emulator_host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each example runs as it stands, its names too: on the emulator, or with a key file where it names one."""
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
            _run(block, {"client": client, "name": name})
