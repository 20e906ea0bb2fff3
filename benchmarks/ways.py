"""The ways of making one call, side by side: the bare stub, this library, and Google's own clients."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from google.auth.transport import grpc as google_grpc, requests as google_requests
from google.cloud.spanner_v1 import Session
from google.cloud.spanner_v1.services.spanner import SpannerAsyncClient, SpannerClient, transports
from google.oauth2 import service_account
from google.protobuf import json_format
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

from spanner_grpc_sessions import AsyncSessionsClient, ClientOptions, SessionsClient
from spanner_grpc_sessions.calls.headers import REQUEST_ID, AsyncMetadata, Metadata
from spanner_grpc_sessions.observers import CallInfo
from spanner_grpc_sessions.service.rpcs import CREATE_SESSION

__all__ = [
    "BARE",
    "FLOOR",
    "GOOGLE",
    "OURS",
    "STUB",
    "WATCHED",
    "Server",
    "Way",
    "async_ways",
    "fixed_server",
    "sync_ways",
]

BARE: Final = "bare stub, TLS, no token, message"
AGAIN: Final = "the same again (noise)"
FLOOR: Final = "bare stub with our headers and deadline"
OURS: Final = "this library: token, headers, deadline, dict"
STUB: Final = "stub on client.channel(): token, headers, deadline"
WATCHED: Final = "the same, with an observer that does nothing"
PLUGIN: Final = "bare stub + google-auth plugin + dict"
GOOGLE: Final = "google-cloud-spanner (gapic) + dict"

DATABASE: Final = "projects/p/instances/i/databases/d"
REQUEST: Final = spanner_pb2.CreateSessionRequest(database=DATABASE)
OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)
"""Channels with equal options share a connection otherwise: one that is used more often, and faster for it."""


class Idle:
    """An observer that does nothing."""

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], None]:  # noqa: ARG002 - an observer
        """Return no headers."""
        return (), None

    def end(self, call: CallInfo, mark: None) -> None:
        """Record nothing."""


@dataclass
class Way:
    """One way of making the call, and what was measured of it: seconds of wall clock and CPU, each of one call."""

    name: str
    call: Callable[[], Any]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The seconds of a call."""
        return statistics.median(self.seconds)

    @property
    def median_cpu(self) -> float:
        """The seconds of CPU that this process spends on a call."""
        return statistics.median(self.cpu)

    @property
    def p99(self) -> float:
        """The seconds that one call in a hundred exceeds."""
        return statistics.quantiles(self.seconds, n=100)[-1]


@dataclass(frozen=True)
class Server:
    """The server in its own process, and how to reach it."""

    address: str
    root: bytes
    account: dict[str, str] = field(repr=False)

    @property
    def tls(self) -> grpc.ChannelCredentials:
        """Channel credentials without a token."""
        return grpc.ssl_channel_credentials(self.root)

    @property
    def tls_and_plugin(self) -> grpc.ChannelCredentials:
        """Channel credentials with google-auth's own plugin, as Google's clients use it."""
        plugin = google_grpc.AuthMetadataPlugin(self.credentials(), google_requests.Request())
        return grpc.composite_channel_credentials(self.tls, grpc.metadata_call_credentials(plugin))

    @property
    def options(self) -> ClientOptions:
        """Options of this library's clients."""
        return ClientOptions(endpoint=self.address, root_certificates=self.root)

    @property
    def watched(self) -> ClientOptions:
        """The same with an observer."""
        return dataclasses.replace(self.options, observer=Idle())

    def credentials(self) -> Any:
        """Return credentials that sign their own tokens, with the scope of Spanner's data."""
        credentials = service_account.Credentials.from_service_account_info(
            self.account, scopes=["https://www.googleapis.com/auth/spanner.data"]
        )
        return credentials.with_always_use_jwt_access(True)


@contextlib.contextmanager
def fixed_server(answer: bytes | None = None) -> Iterator[Server]:
    """Start the server in a process of its own, so that it takes no time of the client's interpreter.

    Args:
        answer: the serialized answer to every call; None for a session.
    """
    program = [sys.executable, str(Path(__file__).with_name("fixed_server.py"))]
    if answer is not None:
        program.append(answer.hex())
    # Leaving closes the pipes, which ends the server, and waits for it.
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        started = json.loads(process.stdout.readline())
        yield Server(f"127.0.0.1:{started['port']}", started["root"].encode(), started["account"])


def headers_of(client: SessionsClient | AsyncSessionsClient) -> Metadata:
    """Return the headers of a call of a client, which has a token by now."""
    caller = client._caller  # noqa: SLF001 - what a call costs without this library is to be known
    headers, _ = caller.preparation.prepare(CREATE_SESSION, DATABASE, REQUEST, None, ())
    token = caller.connection.tokens.current() or ()
    return (*headers, *token, (REQUEST_ID, f"{caller.preparation.next_number(1)}1"))


def sync_ways(server: Server, stack: contextlib.ExitStack) -> list[Way]:
    """Return the ways of calling from a thread. The stack closes what they hold."""

    def channel(credentials: grpc.ChannelCredentials) -> grpc.Channel:
        return stack.enter_context(grpc.secure_channel(server.address, credentials, OWN_CONNECTION))

    def stub(credentials: grpc.ChannelCredentials) -> Callable[..., Any]:
        return spanner_pb2_grpc.SpannerStub(channel(credentials)).CreateSession

    bare, again, to_dict, plugin = stub(server.tls), stub(server.tls), stub(server.tls), stub(server.tls_and_plugin)
    client = stack.enter_context(SessionsClient(server.credentials(), options=server.options))
    watched = stack.enter_context(SessionsClient(server.credentials(), options=server.watched))
    on_channel, on_watched = client.stub.CreateSession, watched.stub.CreateSession
    client.create_session(DATABASE)
    floor, headers = stub(server.tls), headers_of(client)
    gapic = SpannerClient(transport=transports.SpannerGrpcTransport(channel=channel(server.tls_and_plugin)))
    return [
        Way(BARE, lambda: bare(REQUEST)),
        Way(AGAIN, lambda: again(REQUEST)),
        Way(FLOOR, lambda: floor(REQUEST, timeout=30.0, metadata=headers)),
        Way("bare stub + json_format dict", lambda: json_format.MessageToDict(to_dict(REQUEST))),
        Way(OURS, lambda: client.create_session(DATABASE)),
        Way(STUB, lambda: on_channel(REQUEST)),
        Way(WATCHED, lambda: on_watched(REQUEST)),
        Way(PLUGIN, lambda: json_format.MessageToDict(plugin(REQUEST))),
        Way(GOOGLE, lambda: Session.to_dict(gapic.create_session(database=DATABASE))),
    ]


async def async_ways(server: Server, stack: contextlib.AsyncExitStack) -> list[Way]:
    """Return the ways of calling from asyncio. The stack closes what they hold."""

    async def channel(credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        made = grpc.aio.secure_channel(server.address, credentials, OWN_CONNECTION)
        return await stack.enter_async_context(made)

    async def stub(credentials: grpc.ChannelCredentials) -> Callable[..., Any]:
        return spanner_pb2_grpc.SpannerStub(await channel(credentials)).CreateSession

    bare, again, plugin = await stub(server.tls), await stub(server.tls), await stub(server.tls_and_plugin)
    client = await stack.enter_async_context(AsyncSessionsClient(server.credentials(), options=server.options))
    watched = await stack.enter_async_context(AsyncSessionsClient(server.credentials(), options=server.watched))
    on_channel, on_watched = client.stub.CreateSession, watched.stub.CreateSession
    await client.create_session(DATABASE)
    # With a tuple, the bare stub would take half as long again.
    floor, headers = await stub(server.tls), AsyncMetadata(headers_of(client))
    transport = transports.SpannerGrpcAsyncIOTransport(channel=await channel(server.tls_and_plugin))
    gapic = SpannerAsyncClient(transport=transport)

    async def with_plugin() -> Any:
        return json_format.MessageToDict(await plugin(REQUEST))

    async def with_gapic() -> Any:
        return Session.to_dict(await gapic.create_session(database=DATABASE))

    return [
        Way(BARE, lambda: bare(REQUEST)),
        Way(AGAIN, lambda: again(REQUEST)),
        Way(FLOOR, lambda: floor(REQUEST, timeout=30.0, metadata=headers)),
        Way(OURS, lambda: client.create_session(DATABASE)),
        Way(STUB, lambda: on_channel(REQUEST)),
        Way(WATCHED, lambda: on_watched(REQUEST)),
        Way(PLUGIN, with_plugin),
        Way(GOOGLE, with_gapic),
    ]
