"""The examples as modules, as they see each other, and databases with their tables."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from spanner_grpc_sessions.testing import Emulator

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
sys.path.append(str(EXAMPLES))


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the examples."""
    return EXAMPLES


@pytest.fixture(scope="session")
def tables() -> list[str]:
    """The DDL that the README of the examples asks for."""
    (block,) = re.findall(r"```sql\n(.*?)```", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [statement.strip() for statement in block.split(";")]


@pytest.fixture
def database(emulator: Emulator, tables: list[str]) -> str:
    """A database of the emulator, of the test's own, with the tables."""
    return emulator.create_database(tables)


@pytest.fixture(params=["pool", "multiplexed"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of session in turn."""
    result: str = request.param
    return result
