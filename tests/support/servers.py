"""The two servers that a test can run over: ours, embedded in the test process, and Google's emulator."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from spanner_grpc_sessions.local import LocalSpanner
    from spanner_grpc_sessions.options import ClientOptions
    from spanner_grpc_sessions.testing import Emulator

__all__ = ["EmulatorServer", "LocalServer", "Server", "arrived"]


class Server(Protocol):
    """What a test may ask of a server, whichever it is."""

    @property
    def kind(self) -> Literal["local", "emulator"]:
        """Which of the two it is."""

    @property
    def missing_database(self) -> str:
        """The well-formed name of a database that does not exist."""

    def options(self) -> ClientOptions:
        """Return what a client needs to connect."""

    def credentials(self) -> Credentials | None:
        """Return credentials that the server accepts; None where it asks for none."""

    def new_database(self) -> str:
        """Return the name of an existing, empty database that no other test uses."""


@dataclass(frozen=True)
class LocalServer:
    """LocalSpanner, with TLS and OAuth."""

    local: LocalSpanner
    kind: Literal["local"] = field(default="local", init=False)
    missing_database: str = field(default="projects/p/instances/i/databases/missing", init=False)

    def __post_init__(self) -> None:
        # Here any well-formed database exists until it is dropped.
        self.local.drop_database(self.missing_database)

    def options(self) -> ClientOptions:
        """Return its endpoint and the authority that signed its certificate."""
        return self.local.client_options()

    def credentials(self) -> Credentials:
        """Return credentials that get their tokens from its token endpoint."""
        return self.local.credentials()

    def new_database(self) -> str:
        """Return a fresh name."""
        return f"projects/p/instances/i/databases/d-{uuid.uuid4().hex[:16]}"


@dataclass(frozen=True)
class EmulatorServer:
    """The emulator: plaintext, and no credentials."""

    emulator: Emulator
    kind: Literal["emulator"] = field(default="emulator", init=False)
    missing_database: str = field(default="projects/p/instances/missing/databases/missing", init=False)

    def options(self) -> ClientOptions:
        """Return its endpoint, in plaintext."""
        from spanner_grpc_sessions.options import ClientOptions

        return ClientOptions(endpoint=self.emulator.grpc_endpoint, plaintext=True)

    def credentials(self) -> None:
        """Return nothing: the emulator ignores credentials."""

    def new_database(self) -> str:
        """Create a database over REST."""
        return self.emulator.create_database()


def arrived(local: LocalSpanner, method: str) -> int:
    """Return how many calls of a method have come to the server."""
    return sum(call.method == method for call in local.calls)
