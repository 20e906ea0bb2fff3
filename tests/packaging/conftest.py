"""What users install: the distributions, built from the checkout, and the wheel alone in a fresh environment."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MakeVenv = Callable[..., Path]


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
def make_venv(tmp_path_factory: pytest.TempPathFactory, outer_environment: dict[str, str]) -> MakeVenv:
    """Return a function that installs packages into a fresh environment and returns its interpreter."""

    def make(*requirements: str) -> Path:
        folder = tmp_path_factory.mktemp("venv")
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        subprocess.run(install, env=outer_environment, check=True)
        return python

    return make


@pytest.fixture(scope="session")
def distributions(make_venv: MakeVenv, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build the sdist and the wheel of the checkout as publishers do, and a wheel of the sdist as packagers do."""
    python = make_venv("hatchling>=1.27")
    folder = tmp_path_factory.mktemp("distributions")

    def build(name: str, *command: str | Path) -> Path:
        subprocess.run([python, "-m", *command, folder / name], cwd=ROOT, check=True)
        (result,) = (folder / name).iterdir()
        return result

    sdist = build("sdist", "hatchling", "build", "-t", "sdist", "-d")
    wheel = build("wheel", "hatchling", "build", "-t", "wheel", "-d")
    pip = ("pip", "--quiet", "--disable-pip-version-check")
    return Distributions(
        wheel, sdist, build("wheel-of-sdist", *pip, "wheel", "--no-deps", "--no-build-isolation", sdist, "-w")
    )


@pytest.fixture(scope="session")
def installed(distributions: Distributions, make_venv: MakeVenv, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, and the dependencies it asks for, in the versions that the tests run on."""
    folder = tmp_path_factory.mktemp("outside")
    constraints = tmp_path_factory.mktemp("constraints") / "constraints.txt"
    versions = {found.name: found.version for found in importlib.metadata.distributions()}
    del versions["spanner-grpc-sessions"]
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
    python = make_venv("-c", str(constraints), str(distributions.wheel))
    # Nothing may point back to the checkout, and byte code is used as users use it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return Installed(python, folder, environment)
