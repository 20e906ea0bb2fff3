"""A web service that reads and writes singers, with FastAPI.

python docs/examples/fastapi_service.py projects/my-app/instances/prod/databases/orders

Writes take a session of the pool, reads share the multiplexed one. SIGTERM or Ctrl-C ends the service: requests in
flight are answered, then the sessions of the pool are deleted.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from spanner_grpc_sessions_pb import type_pb2

from mutations import insert_or_update
from mutations_async import write
from queries_async import stream_rows
from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    AsyncSessionsClient,
    PoolError,
    PoolOptions,
    PoolOverloaded,
    PoolTimeout,
    RpcError,
)

POOL = PoolOptions(min_size=4, max_size=100, max_waiting=1000, acquire_timeout=5.0, labels={"service": "singers"})
INT64 = type_pb2.Type(code=type_pb2.INT64)

router = APIRouter()


class NewSinger(BaseModel):
    """A singer as callers send it."""

    name: str
    genres: list[str] = []


class Singer(NewSinger):
    """A singer as the service answers it."""

    id: str


@dataclass(frozen=True)
class Sessions:
    """The sessions of the service's database."""

    pool: AsyncSessionPool
    multiplexed: AsyncMultiplexedSession


def sessions(request: Request) -> Sessions:
    """Return what `create_app` opened."""
    opened: Sessions = request.app.state.sessions
    return opened


Opened = Annotated[Sessions, Depends(sessions)]


@router.post("/singers", status_code=201)
async def create_singer(singer: NewSinger, opened: Opened) -> Singer:
    """Write a singer, with a random id, which spreads the rows over the servers of the table."""
    created = Singer(id=str(uuid.uuid4()), **singer.model_dump())
    row = {"SingerId": created.id, "Name": created.name, "Genres": created.genres}
    async with opened.pool.session() as lease:
        await write(lease, [insert_or_update("Singers", row)])
    return created


@router.get("/singers")
async def list_singers(opened: Opened, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Singer]:
    """Read the first singers by name."""
    sql = "SELECT SingerId, Name, Genres FROM Singers ORDER BY Name LIMIT @limit"
    rows = stream_rows(opened.multiplexed, sql, {"limit": str(limit)}, {"limit": INT64}, timeout=30.0)
    return [to_singer(row) async for row in rows]


@router.get("/singers/{singer_id}")
async def get_singer(singer_id: str, opened: Opened) -> Singer:
    """Read one singer."""
    sql = "SELECT SingerId, Name, Genres FROM Singers WHERE SingerId = @id"
    rows = [row async for row in stream_rows(opened.multiplexed, sql, {"id": singer_id}, timeout=30.0)]
    if not rows:
        raise HTTPException(404, f"there is no singer {singer_id}")
    return to_singer(rows[0])


def to_singer(row: list[Any]) -> Singer:
    """Return the singer of a row of the table."""
    return Singer(id=row[0], name=row[1], genres=row[2] or [])


@router.get("/healthz")
async def health(opened: Opened) -> dict[str, Any]:
    """Show what the pool is doing."""
    return opened.pool.stats()._asdict()


async def answer_busy(_request: Request, error: PoolError) -> JSONResponse:
    """Ask the caller to try again in a second: all sessions are in use."""
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})


async def answer_as_rest(_request: Request, error: RpcError) -> JSONResponse:
    """Answer with the error of Spanner's REST API. It names databases and tables: show less to callers outside."""
    body = error.to_rest()
    return JSONResponse(body, body["error"]["code"])


def create_app(database: str, options: PoolOptions = POOL) -> FastAPI:
    """Return the service of a database; it connects when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            AsyncSessionsClient() as client,
            AsyncSessionPool(client, database, options=options) as pool,
            AsyncMultiplexedSession(client, database) as multiplexed,
        ):
            app.state.sessions = Sessions(pool, multiplexed)
            yield

    app = FastAPI(
        title="Singers",
        lifespan=lifespan,
        exception_handlers={PoolTimeout: answer_busy, PoolOverloaded: answer_busy, RpcError: answer_as_rest},
    )
    app.include_router(router)
    return app


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Serve the singers of a Spanner database.")
    parser.add_argument("database", help="projects/{project}/instances/{instance}/databases/{database}")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.database), host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
