"""Credentials of a process of a fleet: a refresh is counted, and gives a token of an hour if the endpoint is up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from google.auth.credentials import Credentials
from google.auth.exceptions import TransportError

if TYPE_CHECKING:
    from tests.simulation.fleet.model import Fleet

_LIFETIME: Final = 3600.0


class FleetCredentials(Credentials):
    """Credentials of a service account whose tokens come from an endpoint."""

    def __init__(self, fleet: Fleet, clock: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth is typed in part only
        self._fleet = fleet
        self._clock = clock

    def refresh(self, request: object) -> None:
        """Ask for the next token."""
        self._fleet.count("tokens")
        if not self._fleet.tokens_up:
            raise TransportError("the token endpoint cannot be reached")
        self.token = "token"  # noqa: S105 - of nobody
        self.expiry = datetime.fromtimestamp(self._clock() + _LIFETIME, tz=timezone.utc).replace(tzinfo=None)
