"""Waiting for what goes on elsewhere, in a thread, a task or a server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["WAIT", "until", "until_async"]

WAIT: Final = 30.0
"""Seconds far above what anything here takes on a busy machine: what does not happen fails its test, in the end."""


def until(true: Callable[[], object]) -> None:
    """Look again and again until something is true.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline, never = time.monotonic() + WAIT, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        never.wait(0.002)


async def until_async(true: Callable[[], object]) -> None:
    """Do the same while the event loop goes on; `true` is called in a thread."""
    await asyncio.to_thread(until, true)
