"""The examples as programs, as their README shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spanner_grpc_sessions.testing import Emulator
from tests.support.processes import require_an_end

TRANSFERS = "left after a transfer on a session of the pool: 90\nleft after a transfer on the multiplexed one: 80\n"
ROWS = "['ada', 'Ada', ['jazz', 'soul']]\n['ben', 'Ben', []]\n['ada']\n"


def test_the_programs_run(
    emulator: Emulator, tables: list[str], examples: Path, request: pytest.FixtureRequest
) -> None:
    """Each prints what it did, without a warning; those of one colour share a database."""
    require_an_end()
    databases = {"": emulator.create_database(tables), "_async": emulator.create_database(tables)}
    printed = {}
    for names in (("transactions", "mutations"), ("queries",)):
        running = {
            name + colour: _start(examples / f"{name}{colour}.py", database, emulator)
            for name in names
            for colour, database in databases.items()
        }
        for process in running.values():
            request.addfinalizer(process.kill)
        for name, process in running.items():
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, ""), name
            printed[name] = output
    for colour in databases:
        assert printed["transactions" + colour] == TRANSFERS
        assert [line[:6] for line in printed["mutations" + colour].splitlines()] == ["Ada: 2", "Ben: 2"]
        assert printed["queries" + colour] == ROWS


def test_the_readme_names_all_examples(examples: Path) -> None:
    """And none that is not there."""
    text = (examples / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in examples.glob("*.py")} == {
        word for line in text.splitlines() for word in line.split("`") if word.endswith(".py") and " " not in word
    }


def _start(program: Path, database: str, emulator: Emulator) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "always", program, database],
        env={**os.environ, "SPANNER_EMULATOR_HOST": emulator.grpc_endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
