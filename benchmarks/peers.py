"""The ways of making one call, side by side: the bare stub, this library, and Google's own clients."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf import json_format
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from benchmarks.environment import Environment
from benchmarks.groups import OURS
from benchmarks.servers import DATABASE, Server
from spanner_grpc_sessions import AsyncSessionsClient, SessionsClient
from spanner_grpc_sessions.calls.headers import REQUEST_ID, AsyncMetadata, Metadata
from spanner_grpc_sessions.observers import CallInfo
from spanner_grpc_sessions.service.rpcs import CREATE_SESSION

__all__ = [
    "AGAIN", "BARE", "DICT", "FLOOR", "GOOGLE", "OURS", "OWN_CONNECTION", "PLUGIN", "REQUEST", "STUB", "WATCHED",
    "async_calls", "bare_stub", "gapic_call", "sync_calls",
]  # fmt: skip

BARE: Final = "bare stub"
AGAIN: Final = "bare stub again (noise)"
FLOOR: Final = "bare stub, our headers and deadline"
DICT: Final = "bare stub, json_format"
STUB: Final = "stub on our channel"
WATCHED: Final = "stub on our channel, observed"
PLUGIN: Final = "stub, google-auth plugin, json_format"
GOOGLE: Final = "google-cloud-spanner (gapic)"

REQUEST: Final = spanner_pb2.CreateSessionRequest(database=DATABASE)
OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)
"""Channels with equal options share a connection otherwise: one that is used more often, and faster for it."""

Call = Callable[[], Any]
AsyncCall = Callable[[], Awaitable[Any]]


class _Idle:
    """An observer that does nothing."""

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], None]:  # noqa: ARG002 - an observer
        """Return no headers."""
        return (), None

    def end(self, call: CallInfo, mark: None) -> None:
        """Record nothing."""


def _headers(client: SessionsClient | AsyncSessionsClient) -> Metadata:
    """Return the headers of a call of a client, which has a token by now."""
    caller = client._caller  # noqa: SLF001 - what a call costs without this library is to be known
    headers, _ = caller.preparation.prepare(CREATE_SESSION, DATABASE, REQUEST, None, ())
    token = caller.connection.tokens.current() or ()
    return (*headers, *token, (REQUEST_ID, f"{caller.preparation.next_number(1)}1"))


def bare_stub(server: Server, environment: Environment, credentials: grpc.ChannelCredentials | None = None) -> Any:
    """Return a stub on a channel of its own; by default without a token."""
    channel = grpc.secure_channel(server.address, credentials or server.tls, OWN_CONNECTION)
    return spanner_pb2_grpc.SpannerStub(environment.enter_context(channel))


def gapic_call(server: Server, environment: Environment, credentials: Any = None) -> Call:
    """Return the call of google-cloud-spanner's generated client, with google-auth's plugin."""
    from google.cloud.spanner_v1 import Session
    from google.cloud.spanner_v1.services.spanner import SpannerClient, transports

    tls = server.with_plugin(credentials or server.credentials())
    channel = environment.enter_context(grpc.secure_channel(server.address, tls, OWN_CONNECTION))
    gapic = SpannerClient(transport=transports.SpannerGrpcTransport(channel=channel))
    return lambda: Session.to_dict(gapic.create_session(database=DATABASE))


def sync_calls(server: Server, environment: Environment) -> dict[str, Call]:
    """Return the ways of calling from a thread."""
    bare, again, to_dict, floor = (bare_stub(server, environment).CreateSession for _ in range(4))
    plugin = bare_stub(server, environment, server.tls_and_plugin).CreateSession
    client = environment.enter_context(SessionsClient(server.credentials(), options=server.options))
    observed = dataclasses.replace(server.options, observer=_Idle())
    watched = environment.enter_context(SessionsClient(server.credentials(), options=observed))
    on_channel, on_watched = client.stub.CreateSession, watched.stub.CreateSession
    client.create_session(DATABASE)
    headers = _headers(client)
    return {
        BARE: lambda: bare(REQUEST),
        AGAIN: lambda: again(REQUEST),
        FLOOR: lambda: floor(REQUEST, timeout=30.0, metadata=headers),
        DICT: lambda: json_format.MessageToDict(to_dict(REQUEST)),
        STUB: lambda: on_channel(REQUEST),
        WATCHED: lambda: on_watched(REQUEST),
        OURS: lambda: client.create_session(DATABASE),
        PLUGIN: lambda: json_format.MessageToDict(plugin(REQUEST)),
        GOOGLE: gapic_call(server, environment),
    }


def _async_channel(server: Server, environment: Environment, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
    async def make() -> grpc.aio.Channel:
        return grpc.aio.secure_channel(server.address, credentials, OWN_CONNECTION)

    return environment.enter_async(environment.wait_for(make()))


def _async_gapic_call(server: Server, environment: Environment) -> AsyncCall:
    from google.cloud.spanner_v1 import Session
    from google.cloud.spanner_v1.services.spanner import SpannerAsyncClient, transports

    channel = _async_channel(server, environment, server.tls_and_plugin)
    gapic = SpannerAsyncClient(transport=transports.SpannerGrpcAsyncIOTransport(channel=channel))

    async def call() -> Any:
        return Session.to_dict(await gapic.create_session(database=DATABASE))

    return call


def async_calls(server: Server, environment: Environment) -> dict[str, AsyncCall]:
    """Return the ways of calling from asyncio."""

    def stub(credentials: grpc.ChannelCredentials) -> Any:
        return spanner_pb2_grpc.SpannerStub(_async_channel(server, environment, credentials)).CreateSession

    bare, again, floor, plugin = stub(server.tls), stub(server.tls), stub(server.tls), stub(server.tls_and_plugin)
    client = environment.enter_async(AsyncSessionsClient(server.credentials(), options=server.options))
    on_channel = client.stub.CreateSession
    environment.wait_for(client.create_session(DATABASE))
    # With a tuple, the bare stub would take half as long again.
    headers = AsyncMetadata(_headers(client))

    async def with_plugin() -> Any:
        return json_format.MessageToDict(await plugin(REQUEST))

    return {
        BARE: lambda: bare(REQUEST),
        AGAIN: lambda: again(REQUEST),
        FLOOR: lambda: floor(REQUEST, timeout=30.0, metadata=headers),
        STUB: lambda: on_channel(REQUEST),
        OURS: lambda: client.create_session(DATABASE),
        PLUGIN: with_plugin,
        GOOGLE: _async_gapic_call(server, environment),
    }
