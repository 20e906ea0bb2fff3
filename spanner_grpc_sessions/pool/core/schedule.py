"""What is due next among the sessions of a pool, found without a look at all of them. Pure: no clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from spanner_grpc_sessions.pool.core.record import SessionRecord

# Sessions that one event looks at: the lock is held no longer for a larger pool, and the others follow soon.
MAX_LOOKS: Final = 250
_MIN_GARBAGE: Final = 100


class Schedule:
    """Sessions in the order of a time at which something is due for each.

    The fast path moves that time on without a word. So the time of an entry is a lower bound: when it has come, the
    session is asked, and perhaps planned again.
    """

    def __init__(self, due: Callable[[SessionRecord], float]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, SessionRecord]] = []
        # The time of each session's entry. What else the heap has was removed, or replaced by an earlier entry.
        self._planned: dict[SessionRecord, float] = {}
        self._serial = itertools.count()

    def add(self, record: SessionRecord, when: float | None = None) -> float:
        """Plan a session, if it is not planned for an earlier time; return the time, infinite if nothing changed."""
        if when is None:
            when = self._due(record)
        if when >= self._planned.get(record, inf):
            return inf
        self._planned[record] = when
        heappush(self._heap, (when, next(self._serial), record))
        return when

    def remove(self, record: SessionRecord) -> None:
        """Forget a session."""
        self._planned.pop(record, None)
        if len(self._heap) > 2 * len(self._planned) + _MIN_GARBAGE:
            self.rebuild()

    def references(self, record: SessionRecord) -> int:
        """Return how many references to a session it has."""
        return (record in self._planned) + sum(entry[2] is record for entry in self._heap)

    def rebuild(self) -> None:
        """Plan all sessions by the times at which something is due now."""
        self._planned = {record: self._due(record) for record in self._planned}
        self._heap = [(when, next(self._serial), record) for record, when in self._planned.items()]
        heapify(self._heap)

    def next_due(self) -> float:
        """Return when the first session is to be looked at; infinite without one."""
        heap = self._heap
        while heap and self._planned.get(heap[0][2]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else inf

    def pop_due(self, now: float) -> Iterator[SessionRecord]:
        """Yield sessions that are due, and forget each; where they are many, only some of them."""
        for _ in range(MAX_LOOKS):
            if self.next_due() > now:
                return
            record = heappop(self._heap)[2]
            del self._planned[record]
            if self._due(record) > now:
                self.add(record)
            else:
                yield record
