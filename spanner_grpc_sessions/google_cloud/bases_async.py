"""The classes of google-cloud-spanner's asyncio that ours inherit from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Google's decorators make Any of its asyncio classes. Of the sync ones, which it generates from them, the names are
    # the same, and nothing that they take or return has a type.
    from google.cloud.spanner_v1.pool import AbstractSessionPool
    from google.cloud.spanner_v1.session import Session
else:
    from google.cloud.spanner_v1._async.pool import AbstractSessionPool
    from google.cloud.spanner_v1._async.session import Session

__all__ = ["AbstractSessionPool", "Session"]
