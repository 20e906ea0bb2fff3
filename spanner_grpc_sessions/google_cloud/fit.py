"""Whether the google-cloud-spanner that is installed has what this package builds on."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from typing import Final

_TRIED: Final = "3.71.0"
# The first that passes the tests.
_LEAST: Final = (3, 64)
# Modules below google.cloud.spanner_v1, and what is used of them beyond their public names.
_USED: Final = (
    ("database", "Database._spanner_api"),
    ("database", "Database.sessions_manager"),
    ("database_sessions_manager", "DatabaseSessionsManager.get_session"),
    ("database_sessions_manager", "DatabaseSessionsManager.put_session"),
    ("database_sessions_manager", "DatabaseSessionsManager._use_multiplexed"),
    ("pool", "AbstractSessionPool._new_session"),
    ("session", "Session.is_multiplexed"),
)
_PACKAGE: Final = "google.cloud.spanner_v1"


def check_fit(*, asynchronous: bool) -> None:
    """Import what is used of google-cloud-spanner.

    Args:
        asynchronous: look at what it has for asyncio.

    Raises:
        ImportError: it is not installed, or the version that is installed does not fit.
    """
    try:
        version = importlib.metadata.version("google-cloud-spanner")
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(
            "spanner_grpc_sessions.google_cloud needs google-cloud-spanner: pip install google-cloud-spanner"
        ) from error
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _LEAST:
        least = ".".join(map(str, _LEAST))
        raise ImportError(
            f"spanner_grpc_sessions.google_cloud needs google-cloud-spanner {least} or newer; {version} is installed"
        )
    for module, path in _USED:
        missing, cause = _missing(f"{_PACKAGE}._async.{module}" if asynchronous else f"{_PACKAGE}.{module}", path)
        if missing:
            raise ImportError(
                f"google-cloud-spanner {version} does not fit spanner_grpc_sessions.google_cloud: it has no {missing}. "
                f"The newest version that was tried is {_TRIED}"
            ) from cause


def _missing(module: str, path: str) -> tuple[str, ImportError | None]:
    """Return what there is not, and why it could not be imported; nothing if all is there."""
    try:
        value: object = importlib.import_module(module)
    except ImportError as error:
        return module, error
    for name in path.split("."):
        if not hasattr(value, name):
            return f"{module}.{path}", None
        value = getattr(value, name)
    return "", None
