"""What users install: the distributions, built from the checkout, and the wheel alone in a fresh environment."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distributions:
    """The files that a release consists of, and the wheel that the sdist builds elsewhere."""

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


@dataclass(frozen=True)
class Installed:
    """A fresh environment that holds the wheel and its dependencies, away from the checkout.

    Attributes:
        python: its interpreter.
        folder: an empty folder to run in.
        environment: the environment variables to run with.
    """

    python: Path
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end and return what it printed."""
        return subprocess.run(
            [self.python.parent / program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="session")
def uv(outer_environment: dict[str, str]) -> Callable[..., None]:
    """Run uv, which builds and installs in a second what pip takes ten for, with the settings of the developer."""

    def run(*arguments: str | Path) -> None:
        subprocess.run([find_uv_bin(), *arguments, "--quiet"], cwd=ROOT, env=outer_environment, check=True)

    return run


@pytest.fixture(scope="session")
def distributions(uv: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build the sdist and the wheel of the checkout as publishers do, and a wheel of the sdist as packagers do."""
    folder = tmp_path_factory.mktemp("distributions")

    def build(name: str, *arguments: str | Path) -> Path:
        uv("build", *arguments, "--out-dir", folder / name)
        (result,) = (path for path in (folder / name).iterdir() if path.name != ".gitignore")
        return result

    sdist = build("sdist", "--sdist")
    return Distributions(build("wheel", "--wheel"), sdist, build("wheel-of-sdist", "--wheel", sdist))


@pytest.fixture(scope="session")
def install(
    distributions: Distributions, uv: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Installed]:
    """Install the wheel with an extra, and the dependencies it asks for, in the versions that the tests run on."""
    constraints = tmp_path_factory.mktemp("constraints") / "constraints.txt"
    versions = {found.name: found.version for found in importlib.metadata.distributions()}
    del versions["spanner-grpc-sessions"]
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
    # Nothing may point back to the checkout, and byte code is used as users use it.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def install(extra: str) -> Installed:
        environment = tmp_path_factory.mktemp("venv") / "venv"
        python = environment / "bin" / "python"
        uv("venv", "--python", sys.executable, environment)
        uv("pip", "install", "--python", python, "--constraints", constraints, f"{distributions.wheel}{extra}")
        return Installed(python, tmp_path_factory.mktemp("outside"), variables)

    return install


@pytest.fixture(scope="session")
def installed(install: Callable[[str], Installed]) -> Installed:
    """The wheel without extras."""
    return install("")


@pytest.fixture(scope="session")
def installed_cli(install: Callable[[str], Installed]) -> Installed:
    """The wheel with the command line."""
    return install("[cli]")
