"""What the cases of one process share: servers, an event loop, and what has to be closed at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.case import Unavailable
from benchmarks.servers import Process, Server, fixed_server, local_server
from spanner_grpc_sessions.testing import Emulator, EmulatorUnavailable, running_emulator

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


class Environment(contextlib.ExitStack):
    """Starts what a case asks for, and closes it when the case is over.

    Attributes:
        loop: where the coroutines of the case run, while the case waits for them.
        missing: ways that this machine cannot run, with the reasons.
        language: what the server with a fixed answer is written in, once there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[str, str] = {}
        self.language: str | None = None
        self._servers: list[Process] = []
        self._local: str | None = None
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        asyncio.set_event_loop(self.loop)
        self.callback(self.loop.close)
        return self

    def fixed(self, answer: bytes | None = None) -> Server:
        """Start a server that answers all calls alike."""
        server = self.enter_context(fixed_server(answer))
        self._servers.append(server.process)
        self.language = server.language
        return server

    def local(self) -> str:
        """Return the address of a LocalSpanner, the same one at each time."""
        if self._local is None:
            self._local, process = self.enter_context(local_server())
            self._servers.append(process)
        return self._local

    def emulator(self) -> Emulator:
        """Return Google's emulator, started if need be.

        Raises:
            Unavailable: there is none.
        """
        try:
            return self.enter_context(running_emulator(os.environ))
        except EmulatorUnavailable as error:
            raise Unavailable(str(error)) from None

    def server_cpu(self) -> float | None:
        """Return the seconds of CPU that the servers have taken so far; None if that cannot be told."""
        taken = [process.cpu() for process in self._servers]
        known = [seconds for seconds in taken if seconds is not None]
        return sum(known) if known and len(known) == len(taken) else None

    def threads(self, number: int) -> ThreadPoolExecutor:
        """Return so many threads."""
        return self.enter_context(ThreadPoolExecutor(number))

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Run a coroutine on the loop to its end."""
        return self.loop.run_until_complete(awaitable)

    def gather(self, work: Callable[[], Coroutine[Any, Any, object]], tasks: int) -> None:
        """Run a coroutine function in so many tasks at a time, and wait for all."""

        async def all_of_them() -> None:
            await asyncio.gather(*(work() for _ in range(tasks)))

        self.wait_for(all_of_them())

    def enter_async(self, manager: contextlib.AbstractAsyncContextManager[_T]) -> _T:
        """Enter an asynchronous context manager; it is left at the end."""
        entered = self.wait_for(manager.__aenter__())
        self.callback(lambda: self.wait_for(manager.__aexit__(None, None, None)))
        return entered
