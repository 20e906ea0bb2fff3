"""The example of docs/google-cloud-spanner.md, run as a program on the emulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from spanner_grpc_sessions.testing import Emulator

_PAGE = Path(__file__).parents[3] / "docs" / "google-cloud-spanner.md"
_TABLE = "CREATE TABLE Singers (SingerId INT64, Name STRING(MAX)) PRIMARY KEY (SingerId)"


def test_the_example_runs(emulator: Emulator) -> None:
    """As it stands, but for the name of the database, and silently."""
    (program,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    name = emulator.create_database([_TABLE])
    _, project, _, instance, _, database = name.split("/")
    for old, new in (
        ("projects/my-app/instances/prod/databases/orders", name),
        ('Client("my-app").instance("prod")', f'Client("{project}").instance("{instance}")'),
        ('instance.database("orders"', f'instance.database("{database}"'),
    ):
        assert old in program
        program = program.replace(old, new)
    process = subprocess.run(
        # Google's packages warn of the age of what stands beside them.
        [sys.executable, "-W", "ignore::FutureWarning", "-c", program],
        env={**os.environ, "SPANNER_EMULATOR_HOST": emulator.grpc_endpoint},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stderr[-2000:]) == (0, "")
