"""What a call costs over the bare stub: time and CPU, sync and asyncio, against a server with a fixed answer.

All ways of calling run in one process, in blocks of 20 calls whose order is drawn anew each round, so that a machine
that speeds up or slows down does so for all. Absolute times mean little; the ratios to the first row do. The first
row stands twice: how far the second is from 1 is the noise.

    python benchmarks/call.py [--rounds N] [--most RATIO]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.auth.transport import grpc as google_grpc
from google.auth.transport import requests as google_requests
from google.oauth2 import service_account
from google.protobuf import json_format

from spanner_grpc_sessions import AsyncSessionsClient, ClientOptions, SessionsClient
from spanner_grpc_sessions.stubs import spanner_pb2, spanner_pb2_grpc

DATABASE = "projects/p/instances/i/databases/d"
REQUEST = spanner_pb2.CreateSessionRequest(database=DATABASE)
BLOCK = 20
IN_FLIGHT = 64


@dataclass
class Variant:
    """One way of making the call, and what was measured of it."""

    name: str
    call: Callable[[], Any]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@contextlib.contextmanager
def fixed_server() -> Iterator[dict[str, Any]]:
    """Start the server in a process of its own, so that it takes no time of the client's interpreter."""
    program = [sys.executable, str(Path(__file__).with_name("fixed_server.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def account(server: dict[str, Any]) -> Any:
    """Return credentials that sign their own tokens, with the scope of Spanner's data."""
    credentials = service_account.Credentials.from_service_account_info(
        server["account"], scopes=["https://www.googleapis.com/auth/spanner.data"]
    )
    return credentials.with_always_use_jwt_access(True)


def plugin_credentials(server: dict[str, Any], root: grpc.ChannelCredentials) -> grpc.ChannelCredentials:
    """Return channel credentials with google-auth's own plugin, as Google's clients use it."""
    plugin = google_grpc.AuthMetadataPlugin(account(server), google_requests.Request())
    return grpc.composite_channel_credentials(root, grpc.metadata_call_credentials(plugin))


def sync_variants(server: dict[str, Any], stack: contextlib.ExitStack) -> list[Variant]:
    """Return the ways of calling from a thread."""
    address, root_bytes = f"127.0.0.1:{server['port']}", server["root"].encode()
    root = grpc.ssl_channel_credentials(root_bytes)
    bare = spanner_pb2_grpc.SpannerStub(stack.enter_context(grpc.secure_channel(address, root))).CreateSession
    plugin = spanner_pb2_grpc.SpannerStub(
        stack.enter_context(grpc.secure_channel(address, plugin_credentials(server, root)))
    ).CreateSession
    options = ClientOptions(endpoint=address, root_certificates=root_bytes)
    client = stack.enter_context(SessionsClient(account(server), options=options))
    variants = [
        Variant("bare stub, TLS, no token, message", lambda: bare(REQUEST)),
        Variant("the same again (noise)", lambda: bare(REQUEST)),
        Variant("bare stub + json_format dict", lambda: json_format.MessageToDict(bare(REQUEST))),
        Variant("this library: token, headers, deadline, dict", lambda: client.create_session(DATABASE)),
        Variant("bare stub + google-auth plugin + dict", lambda: json_format.MessageToDict(plugin(REQUEST))),
    ]
    with contextlib.suppress(ImportError):
        variants.append(Variant("google-cloud-spanner (gapic) + dict", gapic_call(address, server, root)))
    return variants


def gapic_call(address: str, server: dict[str, Any], root: grpc.ChannelCredentials) -> Callable[[], Any]:
    """Return the call through google-cloud-spanner's generated client."""
    from google.cloud.spanner_v1 import Session
    from google.cloud.spanner_v1.services.spanner import SpannerClient
    from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport

    channel = grpc.secure_channel(address, plugin_credentials(server, root))
    gapic = SpannerClient(transport=SpannerGrpcTransport(channel=channel))
    return lambda: Session.to_dict(gapic.create_session(database=DATABASE))


def async_variants(server: dict[str, Any]) -> tuple[list[Variant], list[Any]]:
    """Return the ways of calling from asyncio, and what to close afterwards."""
    address, root_bytes = f"127.0.0.1:{server['port']}", server["root"].encode()
    root = grpc.ssl_channel_credentials(root_bytes)
    channel = grpc.aio.secure_channel(address, root)
    bare = spanner_pb2_grpc.SpannerStub(channel).CreateSession
    plugin_channel = grpc.aio.secure_channel(address, plugin_credentials(server, root))
    plugin = spanner_pb2_grpc.SpannerStub(plugin_channel).CreateSession
    options = ClientOptions(endpoint=address, root_certificates=root_bytes)
    client = AsyncSessionsClient(account(server), options=options)

    async def with_plugin() -> Any:
        return json_format.MessageToDict(await plugin(REQUEST))

    variants = [
        Variant("bare aio stub, TLS, no token, message", lambda: bare(REQUEST)),
        Variant("the same again (noise)", lambda: bare(REQUEST)),
        Variant("this library: token, headers, deadline, dict", lambda: client.create_session(DATABASE)),
        Variant("bare aio stub + google-auth plugin + dict", with_plugin),
    ]
    return variants, [channel, plugin_channel, client]


def run_blocks(variants: list[Variant], rounds: int) -> None:
    """Time single calls, one after the other."""
    for variant in variants:
        for _ in range(BLOCK):
            variant.call()
    for _ in range(rounds):
        for variant in random.sample(variants, len(variants)):
            cpu = time.process_time()
            for _ in range(BLOCK):
                start = time.perf_counter()
                variant.call()
                variant.seconds.append(time.perf_counter() - start)
            variant.cpu.append((time.process_time() - cpu) / BLOCK)


async def run_async_blocks(server: dict[str, Any], rounds: int) -> list[Variant]:
    """Time blocks of calls with 64 in flight; a call's time is its share of the block."""
    variants, closing = async_variants(server)
    try:
        for round_ in range(rounds + 1):
            for variant in random.sample(variants, len(variants)):
                cpu, start = time.process_time(), time.perf_counter()
                await _in_flight(variant.call, IN_FLIGHT * 4)
                if round_:
                    variant.seconds.append((time.perf_counter() - start) / (IN_FLIGHT * 4))
                    variant.cpu.append((time.process_time() - cpu) / (IN_FLIGHT * 4))
    finally:
        for closable in closing:
            await closable.close()
    return variants


async def _in_flight(call: Callable[[], Awaitable[Any]], count: int) -> None:
    async def worker() -> None:
        for _ in range(count // IN_FLIGHT):
            await call()

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def report(title: str, variants: list[Variant]) -> None:
    """Print a row per variant."""
    print(f"\n{title}\n{'':47}{'median µs':>10}{'ratio':>8}{'CPU':>8}{'p99':>8}")
    base = variants[0]
    for variant in variants:
        median = statistics.median(variant.seconds)
        ratio = median / statistics.median(base.seconds)
        cpu = statistics.median(variant.cpu) / statistics.median(base.cpu)
        p99 = _percentile(variant.seconds) / _percentile(base.seconds)
        print(f"{variant.name:47}{median * 1e6:10.0f}{ratio:8.2f}{cpu:8.2f}{p99:8.2f}")


def _percentile(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


def main() -> int:
    """Measure and report; fail when this library costs more than `--most` times the bare stub."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=150, help="blocks of 20 calls for each way (default: 150)")
    parser.add_argument("--most", type=float, help="exit with 1 if the sync ratio of this library is above it")
    arguments = parser.parse_args()
    with fixed_server() as server, contextlib.ExitStack() as stack:
        variants = sync_variants(server, stack)
        run_blocks(variants, arguments.rounds)
        report("CreateSession, one call after the other", variants)
        async_results = asyncio.run(run_async_blocks(server, max(arguments.rounds // 5, 5)))
        report(f"CreateSession, asyncio, {IN_FLIGHT} in flight", async_results)
    ours = next(variant for variant in variants if variant.name.startswith("this library"))
    ratio = statistics.median(ours.seconds) / statistics.median(variants[0].seconds)
    return int(arguments.most is not None and ratio > arguments.most)


if __name__ == "__main__":
    sys.exit(main())
