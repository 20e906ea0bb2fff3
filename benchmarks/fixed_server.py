"""A gRPC server that answers every call with the same bytes: it takes time, but never more or less of it.

Run as a program it serves until its standard input closes, and prints one line of JSON: its port, its root
certificate, and a service-account key that no real Google account knows.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from spanner_grpc_sessions.local.certificates import make_certificates
from spanner_grpc_sessions.stubs import spanner_pb2


def fixed_answer() -> bytes:
    """Return a session with two labels, as bytes."""
    session = spanner_pb2.Session(
        name="projects/p/instances/i/databases/d/sessions/AKtxcXnV0Xl8_lVmOVPVQeNnTIYvyoZ6gPXt9qcmXBNvQcf3S1CZ8w",
        labels={"env": "prod", "team": "checkout"},
    )
    session.create_time.FromNanoseconds(1_790_000_000_123_456_000)
    session.approximate_last_use_time.FromNanoseconds(1_790_000_000_123_457_000)
    return session.SerializeToString()


class _AnyMethod(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        answer = fixed_answer()
        self._handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)  # noqa: ARG005

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ARG002
        return self._handler


def _account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "client_email": "bench@example.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "token_uri": "http://127.0.0.1:1/token",
    }


def main() -> None:
    """Serve until standard input closes."""
    certificates = make_certificates()
    server = grpc.server(ThreadPoolExecutor(8), handlers=[_AnyMethod()], options=[("grpc.so_reuseport", 0)])
    credentials = grpc.ssl_server_credentials([(certificates.server_key, certificates.server)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    print(json.dumps({"port": port, "root": certificates.root.decode(), "account": _account()}), flush=True)
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
