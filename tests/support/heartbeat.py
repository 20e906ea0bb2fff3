"""The heartbeat of an event loop: how long it was kept from going on."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Heartbeat"]

_INTERVAL: Final = 0.001


class Heartbeat:
    """Notes the largest gap between the beats of the running loop in its block.

    The garbage collector rests in the block: its pauses grow with all that the process has, and nothing here can
    spread them.

    Attributes:
        worked: the seconds of the largest gap in which the loop's thread worked. A busy machine does not add to them.
        passed: the seconds of the largest gap, the wait for a core and for Python's lock included.
    """

    def __init__(self) -> None:
        self.worked = self.passed = 0.0

    def __repr__(self) -> str:
        return f"<{self.worked * 1000:.1f} ms worked, {self.passed * 1000:.1f} ms passed>"

    async def __aenter__(self) -> Self:
        gc.collect()
        gc.disable()
        self._task = asyncio.ensure_future(self._beat())
        await asyncio.sleep(2 * _INTERVAL)
        self.worked = self.passed = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        # One more beat, for what happened since the last one.
        await asyncio.sleep(2 * _INTERVAL)
        self._task.cancel()
        await asyncio.wait([self._task])
        gc.enable()

    async def _beat(self) -> None:
        while True:
            worked, passed = time.thread_time(), time.monotonic()
            await asyncio.sleep(_INTERVAL)
            self.worked = max(self.worked, time.thread_time() - worked)
            self.passed = max(self.passed, time.monotonic() - passed - _INTERVAL)
