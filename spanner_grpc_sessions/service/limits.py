"""Limits of Spanner sessions, as its documentation of sessions and of the REST resource `Session` gives them. Pure."""

from __future__ import annotations

from typing import Final

# Seconds without use after which the server may drop a session.
IDLE_LIMIT: Final = 3600.0

# Seconds after its creation at which the server may drop a session even in use.
LIFETIME_LIMIT: Final = 28 * 86400.0

# Sessions that one BatchCreateSessions creates at most, as Google's clients assume.
MAX_BATCH: Final = 100

# Labels of one session.
MAX_LABELS: Final = 64
