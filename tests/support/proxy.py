"""A network between client and server that is as slow and as broken as a test asks: a TCP proxy on loopback."""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from tests.support.colours import LoopThread

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CAN_VANISH", "Proxy"]

CAN_VANISH: Final = sys.platform == "linux"
"""Whether `Proxy.vanish` works here."""

_CHUNK: Final = 65536
# What one direction of a connection holds while it is slow or stalled; then the sender has to wait, as with TCP.
_MOST_CHUNKS: Final = 64
_BACKLOG: Final = 128
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_SO_ATTACH_FILTER: Final = 26  # from Linux's asm-generic/socket.h; Python does not name it
_DROP_ALL: Final = array.array("B", struct.pack("HBBI", 0x06, 0, 0, 0))  # classic BPF: "return 0 bytes"

_Chunks = asyncio.Queue[tuple[float, bytes | OSError]]


class Proxy:
    """Passes bytes between clients and a server. A context manager; works on an event loop in a thread of its own.

    Args:
        target: where the server listens: "127.0.0.1:port".
        delay: seconds that bytes travel, each way. Many are on their way at a time, in order.

    Attributes:
        target: where connections that come from now on are led.
        accepted: how many connections have come so far.
    """

    def __init__(self, target: str, *, delay: float = 0.0) -> None:
        self.target = target
        self.accepted = 0
        self._delay = delay
        self._pause = 0.0
        self._links: set[_Link] = set()
        self._flows = True
        self._accepting: asyncio.Task[None] | None = None
        self._listener = _bound(0)
        self._port: int = self._listener.getsockname()[1]
        self._thread = LoopThread()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """Where clients connect: "127.0.0.1:port"."""
        return f"127.0.0.1:{self._port}"

    def round_trips(self, work: Callable[[], object]) -> float:
        """Return how long `work` took, counted in times there and back."""
        started = time.monotonic()
        work()
        return (time.monotonic() - started) / (2 * self._delay)

    def stall(self) -> None:
        """Let no byte pass in any connection, old or new. Nothing is lost, no end and no reset: all comes late."""
        self._thread.call(self._set_flow, False)

    def resume(self) -> None:
        """Let everything pass that `stall` held back."""
        self._thread.call(self._set_flow, True)

    def freeze(self) -> None:
        """Let no byte pass any more in the connections there are, whatever their ends do; take in what is sent."""
        self._thread.call(self._freeze)

    def vanish(self) -> None:
        """Do as `freeze`, and acknowledge no byte of the clients any more, as if the machine had gone. Linux only."""
        self._thread.call(self._freeze, deaf=True)

    def slow(self, delay: float) -> None:
        """Have bytes that come from now on travel for so many seconds, each way."""
        self._delay = delay
        self._thread.call(self._each, lambda link: link.set_delay(delay))

    def drip(self, pause: float) -> None:
        """Pass bytes one at a time, so many seconds apart, in connections old and new; 0 to pass them as they come."""
        self._pause = pause
        self._thread.call(self._each, lambda link: link.set_pause(pause))

    def corrupt(self) -> None:
        """Change one byte of what next passes in each direction of the connections there are."""
        self._thread.call(self._each, lambda link: link.corrupt())

    def half_close(self) -> None:
        """End the connections there are towards their clients, and go on taking in what these send."""
        self._thread.call(self._each, lambda link: link.half_close())

    def cut(self) -> None:
        """Reset the connections there are, at both ends."""
        self._thread.run(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; those there are go on."""
        self._thread.run(self._refuse())

    def listen(self) -> None:
        """Take connections again, on the same port."""
        self._thread.call(self._listen)

    def close(self) -> None:
        """Reset every connection and end the thread. Idempotent."""
        if self._listener.fileno() != -1:
            self.refuse()
            self.cut()
            self._listener.close()
            self._thread.close()

    def _listen(self) -> None:
        if self._accepting is None:
            self._listener.listen(_BACKLOG)
            self._accepting = asyncio.ensure_future(self._accept())

    async def _refuse(self) -> None:
        if self._accepting is not None:
            await _end(self._accepting)
            self._accepting = None
            self._listener.close()
            # Bound but not listening: the port refuses, and no other process gets it meanwhile.
            self._listener = _bound(self._port)

    async def _accept(self) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._take(client)

    def _take(self, client: socket.socket) -> None:
        self.accepted += 1
        link = _Link(client, self.target, self._delay, self._pause)
        link.set_flow(self._flows)
        self._links.add(link)
        link.task.add_done_callback(lambda _: self._links.discard(link))

    def _set_flow(self, flows: bool) -> None:
        self._flows = flows
        self._each(lambda link: link.set_flow(flows))

    def _freeze(self, *, deaf: bool = False) -> None:
        self._each(lambda link: link.freeze(deaf=deaf))

    def _each(self, act: Callable[[_Link], None]) -> None:
        for link in self._links:
            act(link)

    async def _cut(self) -> None:
        for link in list(self._links):
            await _end(link.task)


class _Link:
    """A client's connection, and the one to the server that continues it."""

    def __init__(self, client: socket.socket, target: str, delay: float, pause: float) -> None:
        self._client = client
        self._target = target
        self._delay = delay
        self._pause = pause
        # The sinks whose next bytes are to be changed, or that are to get no more.
        self._corrupted: set[socket.socket] = set()
        self._ended: set[socket.socket] = set()
        self._server = socket.socket()
        self._flow = asyncio.Event()
        self._frozen = False
        self.task = asyncio.ensure_future(self._run())

    def set_flow(self, flows: bool) -> None:
        if flows and not self._frozen:
            self._flow.set()
        else:
            self._flow.clear()

    def freeze(self, *, deaf: bool) -> None:
        self._frozen = True
        self._flow.clear()
        if deaf:
            # The kernel drops what arrives before TCP sees it.
            program = struct.pack("HP", 1, _DROP_ALL.buffer_info()[0])
            self._client.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def set_delay(self, delay: float) -> None:
        self._delay = delay

    def set_pause(self, pause: float) -> None:
        self._pause = pause

    def corrupt(self) -> None:
        self._corrupted = {self._client, self._server}

    def half_close(self) -> None:
        if self._client not in self._ended:
            self._ended.add(self._client)
            with contextlib.suppress(OSError):  # the client may be gone
                self._client.shutdown(socket.SHUT_WR)

    async def _run(self) -> None:
        with self._client as client, self._server as server:
            client.setblocking(False)
            server.setblocking(False)
            try:
                # Loopback has connected the client at once; over a network that takes a round trip.
                await asyncio.sleep(2 * self._delay)
                host, _, port = self._target.rpartition(":")
                await asyncio.get_running_loop().sock_connect(server, (host, int(port)))
                await _all(*self._carry(client, server), *self._carry(server, client))
            except (OSError, asyncio.CancelledError):
                for end in (client, server):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _carry(self, source: socket.socket, sink: socket.socket) -> list[Coroutine[Any, Any, None]]:
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        under_way = _Chunks(_MOST_CHUNKS)
        return [self._take_in(source, under_way), self._give_out(sink, under_way)]

    async def _take_in(self, source: socket.socket, under_way: _Chunks) -> None:
        chunk: bytes | OSError | None = None
        while chunk is None or (chunk and isinstance(chunk, bytes)):
            chunk = await _receive(source)
            await under_way.put((time.monotonic() + self._delay, chunk))

    async def _give_out(self, sink: socket.socket, under_way: _Chunks) -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - time.monotonic())
            await self._flow.wait()
            if isinstance(chunk, OSError):
                raise chunk
            if sink in self._ended:
                continue
            if not chunk:
                sink.shutdown(socket.SHUT_WR)
                return
            if sink in self._corrupted:
                self._corrupted.discard(sink)
                middle = len(chunk) // 2
                chunk = chunk[:middle] + bytes([chunk[middle] ^ 1]) + chunk[middle + 1 :]
            await self._send(sink, chunk)

    async def _send(self, sink: socket.socket, chunk: bytes) -> None:
        loop, sent = asyncio.get_running_loop(), 0
        while self._pause and sent < len(chunk):
            await loop.sock_sendall(sink, chunk[sent : sent + 1])
            await asyncio.sleep(self._pause)
            sent += 1
        await loop.sock_sendall(sink, chunk[sent:])


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


async def _receive(source: socket.socket) -> bytes | OSError:
    """Return the next bytes, none at the end; or the reset, which travels like any byte."""
    try:
        return await asyncio.get_running_loop().sock_recv(source, _CHUNK)
    except OSError as error:
        return error


async def _all(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines side by side; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
