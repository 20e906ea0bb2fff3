"""An HTTP proxy on loopback: tunnels every CONNECT to one server, whatever host it names, or answers with a status."""

from __future__ import annotations

import base64
import socket
import threading
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HttpProxy", "tunnel"]


@dataclass
class HttpProxy:
    """The proxy. A context manager.

    Attributes:
        target: where tunnels lead: "127.0.0.1:port".
        user: "user:password" that it asks for; None for none.
        status: what it answers instead of a tunnel; None for a tunnel.
        hosts: what CONNECT named so far: "host:port".
    """

    target: str
    user: str | None = None
    status: int | None = None
    hosts: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        proxy = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                proxy._serve(self)

        self._server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, user: str = "") -> str:
        """Return its URL, with "user:password@" or without."""
        return f"http://{user}127.0.0.1:{self._server.server_address[1]}"

    def _serve(self, client: Any) -> None:
        method, host, _ = client.rfile.readline().decode().split()
        headers = {}
        while line := client.rfile.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        assert method == "CONNECT"
        self.hosts.append(host)
        status = self.status or 200
        if self.user is not None:
            expected = f"Basic {base64.b64encode(self.user.encode()).decode()}"
            status = status if headers.get("proxy-authorization") == expected else 407
        client.wfile.write(f"HTTP/1.1 {status} Status\r\n\r\n".encode())
        if status == 200:
            tunnel(client.connection, self.target)


def tunnel(client: socket.socket, target: str) -> None:
    """Connect to "address:port", and carry bytes both ways until both sides have ended."""
    address, _, port = target.rpartition(":")
    with socket.create_connection((address, int(port))) as server:
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()
