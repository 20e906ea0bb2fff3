"""TLS in front of a plaintext server on loopback, which may ask clients for a certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from spanner_grpc_sessions.local.certificates import make_certificates
from tests.support.certificates import Authority
from tests.support.colours import LoopThread

__all__ = ["TlsFront", "tls_front"]


@dataclass
class TlsFront:
    """Where clients connect instead.

    Attributes:
        endpoint: "127.0.0.1:port".
        root: the authority of its certificate, in PEM.
        clients: the common names in the certificates that connections showed, None for none.
    """

    endpoint: str
    root: bytes
    clients: list[str | None] = field(default_factory=list)


@contextmanager
def tls_front(target: str, authority: Authority | None = None, protocol: str = "h2") -> Iterator[TlsFront]:
    """Serve TLS before "host:port"; with an authority, for clients with a certificate of it alone."""
    certificates = make_certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([protocol])
    with TemporaryDirectory() as folder:
        file = Path(folder, "server.pem")
        file.write_bytes(certificates.server + certificates.server_key)
        context.load_cert_chain(file)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.root.decode())
    front = TlsFront("", certificates.root)
    host, _, port = target.rpartition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert") or {}
        names = dict(pair for part in certificate.get("subject", ()) for pair in part)
        front.clients.append(names.get("commonName"))
        behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
        tasks.update(map(asyncio.ensure_future, (_copy(reader, behind_writer), _copy(behind_reader, writer))))

    async def stop() -> None:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = LoopThread()
    server = thread.run(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    front.endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield front
    finally:
        thread.run(stop())
        thread.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
