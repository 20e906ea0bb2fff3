"""Run as a program: import several copies of google.spanner.v1 into this one process, and use each of them.

    python process.py ours google plain

Imports the parties in the order given, then lets each build a Session, write it, read what every other one wrote, and
call a server through a stub of its own. Prints one JSON object (see `report`). It never asserts: the test does.
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

DATABASE = "projects/p/instances/i/databases/d"
NAME = f"{DATABASE}/sessions/s"
LABELS = {"team": "checkout"}
SECONDS = 1_700_000_000


@dataclass(frozen=True)
class Party:
    """One copy of the messages and stubs.

    Attributes:
        build: makes a Session out of fields.
        write: serialises a Session.
        read: parses one.
        create_session: calls CreateSession on a gRPC channel, with a stub of this party.
    """

    build: Callable[..., Any]
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    create_session: Callable[[Any], Any]


def ours() -> Party:
    """Return this library's stubs, imported as users import them."""
    importlib.import_module("spanner_grpc_sessions")
    return _protoc_party("spanner_grpc_sessions_pb.")


def plain() -> Party:
    """Return what protoc makes of the same files when nothing is renamed."""
    return _protoc_party("google.spanner.v1.")


def google() -> Party:
    """Return the stubs of google-cloud-spanner."""
    spanner_v1: Any = importlib.import_module("google.cloud.spanner_v1")
    transports: Any = importlib.import_module("google.cloud.spanner_v1.services.spanner.transports")
    client_class = importlib.import_module("google.cloud.spanner_v1.services.spanner").SpannerClient

    def create_session(channel: Any) -> Any:
        client = client_class(transport=transports.SpannerGrpcTransport(channel=channel))
        return client.create_session(database=DATABASE)

    session = spanner_v1.Session
    return Party(session, session.serialize, session.deserialize, create_session)


def _protoc_party(package: str) -> Party:
    messages = importlib.import_module(f"{package}spanner_pb2")
    services = importlib.import_module(f"{package}spanner_pb2_grpc")

    def create_session(channel: Any) -> Any:
        return services.SpannerStub(channel).CreateSession(messages.CreateSessionRequest(database=DATABASE))

    session = messages.Session
    return Party(session, session.SerializeToString, session.FromString, create_session)


def import_party(name: str) -> Party | str:
    """Import one party; return the error if protobuf refuses it."""
    try:
        return {"ours": ours, "google": google, "plain": plain}[name]()
    except TypeError as error:  # what protobuf raises when two files claim one name
        return str(error)


def report(order: list[str]) -> dict[str, Any]:
    """Use every party, and return what came of it.

    Returns:
        `protobuf`: the implementation at work; `refused`: the errors by party; `written`: serialised sessions (hex);
        `read`: for "a<b" the fields that a read of what b wrote; `created`: the names that the stubs got; `on ours`:
        the same through a channel of our client; `pickled`: whether our message came back from a pickle.
    """
    imported = {name: import_party(name) for name in order}
    parties = {name: party for name, party in imported.items() if isinstance(party, Party)}
    timestamp = importlib.import_module("google.protobuf.timestamp_pb2").Timestamp(seconds=SECONDS)
    sessions = {
        name: party.build(name=NAME, labels=LABELS, create_time=timestamp, multiplexed=True)
        for name, party in parties.items()
    }
    written = {name: parties[name].write(session) for name, session in sessions.items()}
    return {
        "protobuf": importlib.import_module("google.protobuf.internal.api_implementation").Type(),
        "refused": {name: error for name, error in imported.items() if isinstance(error, str)},
        "written": {name: data.hex() for name, data in written.items()},
        "read": {
            f"{reader}<{writer}": _fields(party.read(data))
            for reader, party in parties.items()
            for writer, data in written.items()
        },
        **_created(parties, written),
        "pickled": "ours" in sessions and pickle.loads(pickle.dumps(sessions["ours"])) == sessions["ours"],  # noqa: S301 - made here
    }


def _fields(session: Any) -> list[Any]:
    # proto-plus gives a datetime where protoc gives a Timestamp.
    time = session.create_time
    seconds = time.timestamp() if hasattr(time, "timestamp") else time.seconds
    return [session.name, dict(session.labels), seconds, session.multiplexed]


def _created(parties: dict[str, Party], written: dict[str, bytes]) -> dict[str, dict[str, str]]:
    """Let every stub call one server, which answers in bytes, so that it favours none of them."""
    grpc: Any = importlib.import_module("grpc")
    answer = next(iter(written.values()))
    create = grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("google.spanner.v1.Spanner", {"CreateSession": create})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            created = {name: party.create_session(channel).name for name, party in parties.items()}
        return {"created": created, "on ours": _on_our_channel(parties, port) if "ours" in parties else {}}
    finally:
        server.stop(None).wait()


def _on_our_channel(parties: dict[str, Party], port: int) -> dict[str, str]:
    package: Any = importlib.import_module("spanner_grpc_sessions")
    options = package.ClientOptions(endpoint=f"127.0.0.1:{port}", plaintext=True)
    with package.SessionsClient(options=options) as client:
        return {name: party.create_session(client.channel()).name for name, party in parties.items()}


if __name__ == "__main__":
    json.dump(report(sys.argv[1:]), sys.stdout)
