"""One behaviour, one test, both colours: the asynchronous client behind the blocking face of its twin.

A test written against `Colour.client(…)` calls `client.create_session(…)` and gets a dict, whether the client is
`SessionsClient` or `AsyncSessionsClient`. The async client lives on an event loop that runs in a thread of its own,
as in a service, so what it does in the background goes on while the test does something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncIterable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import grpc
from spanner_grpc_sessions_pb import spanner_pb2_grpc

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from typing_extensions import Self

    from spanner_grpc_sessions import SessionsClient
    from spanner_grpc_sessions.options import ClientOptions

__all__ = ["ASYNC", "COLOURS", "SYNC", "Blocking", "Colour", "LoopThread"]

# Far above what any call takes: a coroutine that never ends fails its test instead of stopping the run.
HANG_TIMEOUT = 60.0


class LoopThread:
    """An event loop running in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-event-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and return its result, or raise what it raised."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(HANG_TIMEOUT)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `function` on the loop's thread, await what it returns if it can be awaited."""
        return self.run(_call(function, args, kwargs))

    def close(self) -> None:
        """Stop the loop.

        Raises:
            AssertionError: tasks were still running: they were not ended by the test.
        """
        left_behind = self.run(_other_tasks())
        if not left_behind:
            self.run(self.loop.shutdown_asyncgens())
            self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(HANG_TIMEOUT)
        self.loop.close()
        assert not left_behind, f"tasks left running on the event loop: {left_behind}"


async def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = function(*args, **kwargs)
    return await value if inspect.isawaitable(value) else value


async def _other_tasks() -> list[str]:
    """Cancel every task but this one; return what they were."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    # Those of gRPC, which is written in Cython, end by themselves, soon after their call.
    if of_grpc := {task for task in tasks if "_cython" in repr(task.get_coro())}:
        ended, _ = await asyncio.wait(of_grpc, timeout=HANG_TIMEOUT / 2)
        tasks -= ended
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [repr(task.get_coro()) for task in tasks]


class Blocking:
    """The blocking face of an asynchronous object: coroutines are waited for, async iterators become iterators.

    Methods, stubs and channels are reached through the same face; every other value is given as it is.
    """

    def __init__(self, target: Any, thread: LoopThread) -> None:
        self._target = target
        self._thread = thread

    def __repr__(self) -> str:
        return f"<blocking {self._target!r}>"

    def __getattr__(self, name: str) -> Any:
        return self._wrap(getattr(self._target, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the target on its loop and wait for the result."""
        return self._wrap(self._thread.call(self._target, *args, **kwargs))

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, AsyncIterable):
            return BlockingIterator(value, self._thread)
        if callable(value) or isinstance(value, grpc.aio.Channel | spanner_pb2_grpc.SpannerStub):
            return Blocking(value, self._thread)
        return value


class BlockingIterator(Blocking, Iterator[Any]):
    """The blocking face of an asynchronous iterator, which may have methods besides."""

    def __init__(self, items: AsyncIterable[Any], thread: LoopThread) -> None:
        super().__init__(thread.call(aiter, items), thread)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self._thread.call(anext, self._target)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, as `close` of a generator does."""
        self._thread.call(self._target.aclose)


@dataclass(frozen=True)
class Colour:
    """A way to write the caller: with threads ("sync") or with asyncio ("async")."""

    name: Literal["sync", "async"]

    def client(
        self, credentials: Credentials | None = None, *, options: ClientOptions | None = None
    ) -> AbstractContextManager[SessionsClient]:
        """Return an open client of this colour, to be used as `SessionsClient`; it is closed at the end."""
        if self.name == "async":
            return _async_client(credentials, options)
        from spanner_grpc_sessions import SessionsClient

        return SessionsClient(credentials, options=options)


@contextmanager
def _async_client(credentials: Credentials | None, options: ClientOptions | None) -> Iterator[SessionsClient]:
    from spanner_grpc_sessions import AsyncSessionsClient

    with contextlib.closing(LoopThread()) as thread:
        client = Blocking(thread.call(AsyncSessionsClient, credentials, options=options), thread)
        client.open()
        try:
            # The two classes have the same methods with the same parameters, which a test of its own proves.
            yield cast("SessionsClient", client)
        finally:
            client.close()


SYNC, ASYNC = Colour("sync"), Colour("async")
COLOURS = (SYNC, ASYNC)
