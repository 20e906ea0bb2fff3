"""The fast path of the pool core with real threads."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from spanner_grpc_sessions.pool.core import PoolCore
from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver
from spanner_grpc_sessions.pool.core.record import SessionRecord
from spanner_grpc_sessions.pool.options import PoolOptions

NUMBERS = itertools.count()


class Crossing(deque[SessionRecord]):
    """Idle sessions at which threads change places: right before and after the steps of the fast path."""

    def append(self, record: SessionRecord) -> None:
        """Append, and let another thread go on before this one checks whether callers wait."""
        time.sleep(0)
        super().append(record)
        time.sleep(0)

    def pop(self) -> SessionRecord:  # type: ignore[override]  # the fast path gives no index
        """Take, and let another thread go on before this one says that the session is leased."""
        record = super().pop()
        time.sleep(0)
        return record


@dataclass(eq=False)
class Lease:
    """A caller's hold on a session, and the waiter that it was before."""

    record: SessionRecord | None = None
    handed: threading.Event = field(default_factory=threading.Event)


class Runner:
    """The least runner: the fast path as the core's documentation says, and a server that answers at once."""

    def __init__(self, **options: Any) -> None:
        self.core = PoolCore(PoolOptions(**options))
        self.core.idle = self.core._sessions.idle = Crossing()
        self.lock = threading.Lock()
        self.tell("tick")

    def tell(self, event: str, *values: Any, draws: tuple[float, ...] = ()) -> None:
        """Tell the core of an event, and do what it wants."""
        with self.lock:
            effects = getattr(self.core, event)(*values, time.monotonic(), *draws)
        for effect in effects:
            match effect:
                case Create(count):
                    self.tell("created", count, [(f"s{next(NUMBERS)}", None) for _ in range(count)], draws=(0.5,))
                case Deliver(lease, record):
                    lease.record = record
                    lease.handed.set()
                case Delete(record):
                    self.tell("deleted", record)

    def acquire(self) -> Lease:
        """Lease a session."""
        core, lease = self.core, Lease()
        try:
            record = core.idle.pop()
        except IndexError:
            pass
        else:
            now = time.monotonic()
            if now < record.valid_until:
                record.last_used_at = now
                record.holder = lease
                lease.record = record
                return lease
            core.idle.append(record)
        self.tell("acquire", lease)
        assert lease.handed.wait(20), "a waiter was forgotten"
        core.accepted(lease, time.monotonic())
        return lease

    def release(self, lease: Lease) -> None:
        """Give it back."""
        core, record = self.core, lease.record
        assert record is not None
        assert record.holder is lease
        if core.contended or record.discarded:
            self.tell("give_back", record)
        else:
            record.holder = None
            core.idle.append(record)
            if core.contended:
                self.tell("serve_waiters")


@pytest.mark.parametrize(("size", "max_size"), [(2, 1), (8, 3)])
def test_threads_share_the_sessions_but_no_session(size: int, max_size: int) -> None:
    """More threads than sessions, which live short: no thread is forgotten, and no two share a session."""
    runner = Runner(min_size=1, max_size=max_size, max_lifetime=0.01)
    holders: dict[SessionRecord | None, Lease] = {}
    together = threading.Barrier(size)

    def work() -> None:
        for _ in range(300):
            # In rounds, because otherwise the next acquire would repair what a release left undone.
            together.wait(20)
            lease = runner.acquire()
            assert holders.setdefault(lease.record, lease) is lease
            time.sleep(0)
            del holders[lease.record]
            runner.release(lease)

    with ThreadPoolExecutor(size) as threads:
        for done in [threads.submit(work) for _ in range(size)]:
            done.result(60)
    stats = runner.core.stats()
    assert (stats.leased, stats.waiting) == (0, 0)
    assert stats.idle == stats.size <= max_size
    assert stats.deleted > 0
    assert sum(stats.wait_seconds.counts) > 0
    runner.tell("close")
    assert runner.core.closed
