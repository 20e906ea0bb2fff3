"""The classes of google-cloud-spanner's asyncio that ours inherit from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # To type checkers Google's asyncio classes are Any, because of how they are decorated. The sync ones are generated
    # from them: they have the same names, and no annotations that could contradict a coroutine.
    from google.cloud.spanner_v1.pool import AbstractSessionPool
    from google.cloud.spanner_v1.session import Session
else:
    from google.cloud.spanner_v1._async.pool import AbstractSessionPool
    from google.cloud.spanner_v1._async.session import Session

__all__ = ["AbstractSessionPool", "Session"]
