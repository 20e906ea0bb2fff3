"""The wheel and the sdist hold what they should, and nothing else."""

from __future__ import annotations

import email
import re
import tarfile
import zipfile
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest

from spanner_grpc_sessions._version import __version__
from tests.packaging.conftest import Distributions

PACKAGES = {"spanner_grpc_sessions", "spanner_grpc_sessions_pb"}
DIST_INFO = f"spanner_grpc_sessions-{__version__}.dist-info"


def contents(wheel: Path) -> dict[str, int]:
    """Return the checksum of each file in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


@pytest.fixture
def metadata(distributions: Distributions) -> Message:
    """The wheel's METADATA."""
    with zipfile.ZipFile(distributions.wheel) as archive:
        return email.message_from_bytes(archive.read(f"{DIST_INFO}/METADATA"))


def test_wheel_has_exactly_two_packages(distributions: Distributions) -> None:
    """Neither `tests` nor `generated` nor `google` becomes a top-level name on a user's machine."""
    assert {PurePosixPath(name).parts[0] for name in contents(distributions.wheel)} == {*PACKAGES, DIST_INFO}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_package_is_typed_and_whole(distributions: Distributions, package: str) -> None:
    """Each package says that it is typed, and every module of the checkout is in the wheel."""
    source = {"spanner_grpc_sessions_pb": Path("generated")}.get(package, Path())
    root = Path(__file__).parents[2] / source
    modules = {str(file.relative_to(root)) for file in (root / package).rglob("*.py*") if file.suffix != ".pyc"}
    assert {f"{package}/py.typed", *modules} == {
        name for name in contents(distributions.wheel) if name.startswith(f"{package}/")
    }


def test_wheel_names_its_version(distributions: Distributions, metadata: Message) -> None:
    """The version in the file name and in the metadata is that of the source."""
    assert distributions.wheel.name == f"spanner_grpc_sessions-{__version__}-py3-none-any.whl"
    assert (metadata["Name"], metadata["Version"]) == ("spanner-grpc-sessions", __version__)


def test_wheel_asks_for_four_packages(metadata: Message) -> None:
    """Run time needs exactly these; what develops and tests the library is an extra."""
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert {re.split(r"[<>=~!; ]", text)[0] for text in required} == {
        "grpcio",
        "protobuf",
        "googleapis-common-protos",
        "google-auth[cryptography,requests]",
    }


def test_sdist_builds_the_same_wheel(distributions: Distributions) -> None:
    """A packager who builds from the sdist gets the wheel that we publish, to the byte."""
    assert contents(distributions.wheel_of_sdist) == contents(distributions.wheel)  # names the file that differs
    assert distributions.wheel_of_sdist.read_bytes() == distributions.wheel.read_bytes()


@pytest.mark.parametrize("path", ["protos/google/spanner/v1/spanner.proto", "tests/conftest.py", "Makefile", "LICENSE"])
def test_sdist_has_the_sources(distributions: Distributions, path: str) -> None:
    """The stubs can be compiled and the tests run from the sdist."""
    with tarfile.open(distributions.sdist) as archive:
        assert f"spanner_grpc_sessions-{__version__}/{path}" in archive.getnames()
