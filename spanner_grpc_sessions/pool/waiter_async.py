"""An acquire that waits in its task for an answer."""

from __future__ import annotations

import asyncio
from math import inf

from spanner_grpc_sessions.pool.core import SessionRecord
from spanner_grpc_sessions.runtime.clock import Clock

__all__ = ["Waiter", "answer_of"]

Waiter = asyncio.Future[SessionRecord | Exception | None]
"""What the answer is laid down in."""


async def answer_of(waiter: Waiter, clock: Clock, until: float) -> SessionRecord | Exception | None:
    """Return what a waiter is answered; None if there is no answer at that time."""
    if waiter.done() or until <= clock.now():
        return waiter.result() if waiter.done() else None
    # `asyncio.wait_for` of Python 3.11 drops a cancellation that comes together with the answer.
    alarm = None if until == inf else clock.alarm(until, _give_up, waiter)
    try:
        return await waiter
    finally:
        if alarm is not None:
            alarm.cancel()


def _give_up(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
