"""The data calls of google-cloud-spanner's `Database` on a client's connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from google.cloud.spanner_v1.database import Database
from google.cloud.spanner_v1.services.spanner import SpannerClient
from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.errors import InvalidType, checks
from spanner_grpc_sessions.google_cloud.fit import check_fit
from spanner_grpc_sessions.google_cloud.pool import Adapter

if TYPE_CHECKING:
    from google.cloud.spanner_v1._async.database import Database as AsyncDatabase

__all__ = ["use"]

# ruff: noqa: SLF001 - one library; and what google-cloud-spanner has no public name for, `fit` looks for


@overload
def use(database: Database, client: SessionsClient) -> Database: ...


@overload
def use(database: AsyncDatabase, client: AsyncSessionsClient) -> AsyncDatabase: ...


def use(database: Any, client: SessionsClient | AsyncSessionsClient) -> Any:
    """Put the data calls of a `Database` on a client's connections, with its tokens; return the `Database`.

    These are all calls of google.spanner.v1: sessions, queries, reads, transactions. Calls of the admin services, like
    `reload` and `update_ddl`, stay where they are. Google's retries, headers, timeouts and exceptions stay too. Call it
    before the first data call; those that went before keep Google's own connection open.

    If the pool of the `Database` is an adapter of this package, it learns of each lost session from the calls.

    Args:
        database: of google-cloud-spanner; of its asyncio form beside an `AsyncSessionsClient`.
        client: connects to where the database is, an emulator for example. Close it when the `Database` is done.

    Raises:
        InvalidType: an argument has the wrong type, or one is of the sync form and the other of asyncio.
    """
    if isinstance(client, AsyncSessionsClient):
        check_fit(asynchronous=True)
        return _use_async(database, client)
    if not isinstance(client, SessionsClient):
        raise InvalidType(f"client must be a SessionsClient or an AsyncSessionsClient, got {type(client).__name__}")
    checks.instance("database beside a SessionsClient", database, Database)
    return _put(database, client, Adapter, SpannerGrpcTransport, SpannerClient)


def _use_async(database: Any, client: AsyncSessionsClient) -> Any:
    # Google's asyncio form is loaded for those alone who use it.
    from google.cloud.spanner_v1._async.database import Database as AsyncDatabase  # noqa: PLC0415
    from google.cloud.spanner_v1.services.spanner import SpannerAsyncClient  # noqa: PLC0415
    from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcAsyncIOTransport  # noqa: PLC0415

    from spanner_grpc_sessions.google_cloud.pool_async import AsyncAdapter  # noqa: PLC0415

    checks.instance("database beside an AsyncSessionsClient", database, AsyncDatabase)
    return _put(database, client, AsyncAdapter, SpannerGrpcAsyncIOTransport, SpannerAsyncClient)


def _put(database: Any, client: Any, adapter: type[Any], transport: type[Any], api: type[Any]) -> Any:
    pool = database._pool
    channel = client._caller.channel(pool.report if isinstance(pool, adapter) else None)
    info = database._instance._client._client_info
    database._spanner_api = api(client_info=info, transport=transport(channel=channel, client_info=info))
    return database
