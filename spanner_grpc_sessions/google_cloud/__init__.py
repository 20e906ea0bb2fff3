"""google-cloud-spanner on this library's sessions and connections. Loads nothing of it before a name is used.

For example::

    from spanner_grpc_sessions import SessionPool, SessionsClient, google_cloud

    with SessionsClient() as client, SessionPool(client, name) as pool:
        database = spanner.Client().instance("prod").database("orders", pool=google_cloud.SessionPool(pool))
        google_cloud.use(database, client)

`SessionPool` and `MultiplexedSession` are what google-cloud-spanner takes as `pool=`; `use` puts the data calls of a
`Database` on a client's connections. Each has its twin for google-cloud-spanner's asyncio. google-cloud-spanner is not
a dependency of this library: where it is missing or does not fit, the first use of a name raises `ImportError`, which
says which version is installed and what is needed. The pools and the client stay yours: nothing here closes them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spanner_grpc_sessions.google_cloud.channel import use as use
    from spanner_grpc_sessions.google_cloud.pool import (
        MultiplexedSession as MultiplexedSession,
        SessionPool as SessionPool,
    )
    from spanner_grpc_sessions.google_cloud.pool_async import (
        AsyncMultiplexedSession as AsyncMultiplexedSession,
        AsyncSessionPool as AsyncSessionPool,
    )

__all__ = ["AsyncMultiplexedSession", "AsyncSessionPool", "MultiplexedSession", "SessionPool", "use"]

_MODULE_OF: Final = {
    "AsyncMultiplexedSession": "pool_async",
    "AsyncSessionPool": "pool_async",
    "MultiplexedSession": "pool",
    "SessionPool": "pool",
    "use": "channel",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spanner_grpc_sessions.google_cloud.fit import check_fit  # noqa: PLC0415 - looks for google-cloud-spanner

    check_fit(asynchronous=name.startswith("Async"))
    value: object = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
