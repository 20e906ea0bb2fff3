"""Which sessions of a database a command is about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.options import Timeout
from spanner_grpc_sessions.service.filters import label_filter
from spanner_grpc_sessions.service.types import Session


@dataclass(frozen=True)
class Selection:
    """Sessions with certain labels, of a certain age.

    Attributes:
        filter: `labels.KEY:*` or `labels.KEY:TEXT`, as the server takes it; "" for all. Checked here again, because
            emulators ignore it.
        older_than: the least age in seconds; None for any.

    Raises:
        InvalidValue: the filter is malformed.
    """

    filter: str = ""
    older_than: float | None = None

    def __post_init__(self) -> None:
        label_filter(self.filter)

    def fits(self, session: Session, now: float) -> bool:
        """Return whether a session is one of them at a time in seconds since the epoch."""
        if not label_filter(self.filter)(session.get("labels", {})):
            return False
        return self.older_than is None or now - seconds(session["createTime"]) > self.older_than

    def sessions(
        self, client: SessionsClient, database: str, timeout: Timeout, *, limit: int | None = None
    ) -> Iterator[Session]:
        """Fetch them, page by page."""
        now = time.time()
        size = 0 if limit is None or self != Selection() else limit
        found = 0
        for session in client.iter_sessions(database, page_size=size, filter=self.filter, timeout=timeout):
            if self.fits(session, now):
                yield session
                found += 1
            if found == limit:
                return


def seconds(text: str) -> float:
    """Return the seconds since the epoch of an RFC 3339 text in UTC; digits behind the microseconds are cut."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
