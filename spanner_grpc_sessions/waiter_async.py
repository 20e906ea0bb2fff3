"""An acquire that waits in its task for an answer."""

from __future__ import annotations

import asyncio

from spanner_grpc_sessions.pool_core import SessionRecord

__all__ = ["Waiter", "answer_of"]

Waiter = asyncio.Future[SessionRecord | Exception | None]
"""What the answer is laid down in."""


async def answer_of(waiter: Waiter, timeout: float | None) -> SessionRecord | Exception | None:
    """Return what a waiter is answered; None if that takes too long."""
    if waiter.done() or timeout == 0:
        return waiter.result() if waiter.done() else None
    # `asyncio.wait_for` of Python 3.11 drops a cancellation that comes together with the answer.
    loop = asyncio.get_running_loop()
    timer = None if timeout is None else loop.call_later(timeout, _give_up, waiter)
    try:
        return await waiter
    finally:
        if timer is not None:
            timer.cancel()


def _give_up(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
