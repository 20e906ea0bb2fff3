"""The example of docs/grpc-first.md with stubs of the user's own: rows are written and read on the emulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from spanner_grpc_sessions.testing import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "grpc-first.md"
TABLE = "CREATE TABLE Singers (SingerId INT64, Name STRING(MAX)) PRIMARY KEY (SingerId)"


def test_rows_go_through_a_stub_of_the_users_own(emulator: Emulator, plain_stubs: Path) -> None:
    """What plain protoc makes of google.spanner.v1 works on the client's channel: a commit, and a streamed query."""
    (block,) = re.findall(r"```python\n([^`]*from google\.spanner\.v1 import.*?)```", PAGE.read_text(), re.DOTALL)
    program = block.replace("projects/my-app/instances/prod/databases/orders", emulator.create_database([TABLE]))
    process = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(plain_stubs), "SPANNER_EMULATOR_HOST": emulator.grpc_endpoint},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert process.stdout == "['1', 'Ada']\n"
