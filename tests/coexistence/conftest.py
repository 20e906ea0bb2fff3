"""Stubs that are not ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUB_COMPILER = ROOT / ".venv-stubs" / "bin" / "python"


@pytest.fixture(scope="session")
def plain_stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what protoc makes of protos/ when the package is not renamed."""
    if not STUB_COMPILER.exists():
        pytest.skip("no stub compiler: `make test` installs it")
    folder = tmp_path_factory.mktemp("plain-stubs")
    include = subprocess.check_output(
        [STUB_COMPILER, "-c", "import google.rpc; print(google.rpc.__path__[0] + '/../..', end='')"], text=True
    )
    options = [f"-I{ROOT / 'protos'}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    protos = sorted(ROOT.glob("protos/google/spanner/v1/*.proto"))
    subprocess.run([STUB_COMPILER, "-m", "grpc_tools.protoc", *options, *protos], check=True)
    return folder
