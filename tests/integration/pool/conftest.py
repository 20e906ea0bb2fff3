"""What the tests of pools share: a plaintext server for each file, and a rig on it in each colour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Colour
from tests.support.pools import Rig, rig_of


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalSpanner]:
    """A server of all tests of a file: they would spend their time in starting one each."""
    with LocalSpanner(tls=False) as server:
        yield server


@pytest.fixture
def plain(shared: LocalSpanner) -> Iterator[LocalSpanner]:
    """That server, without what the last test wanted of it."""
    yield shared
    shared.faults.clear()


@pytest.fixture
def rig(plain: LocalSpanner, colour: Colour) -> Iterator[Rig]:
    """A client of each colour, for pools that live by a clock."""
    with rig_of(colour, AnonymousCredentials(), plain.client_options(), plain) as rig:
        yield rig
