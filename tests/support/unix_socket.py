"""A Unix socket in front of a server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer

from tests.support.http_proxy import tunnel

__all__ = ["unix_socket"]


@contextmanager
def unix_socket(path: Path, target: str) -> Iterator[None]:
    """Lead each connection to the socket to "127.0.0.1:port"."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            tunnel(self.request, target)

    server = ThreadingUnixStreamServer(str(path), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        # It waits for no connection: those of gRPC end later.
        server.block_on_close = False
        server.server_close()
