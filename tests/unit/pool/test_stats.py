"""Statistics of a pool: frozen numbers, and a histogram whose counts lie where its bounds say."""

from __future__ import annotations

import dataclasses
import json
from bisect import bisect_left

import pytest
from hypothesis import given, strategies as st

from spanner_grpc_sessions.pool.stats import WAIT_BOUNDS, PoolCounters, PoolStats, WaitHistogram


def stats(counters: PoolCounters | None = None) -> PoolStats:
    """Return the statistics of a pool with three sessions, one of them being pinged."""
    return (counters or PoolCounters()).stats(size=3, idle=1, leased=1, waiting=2)


def test_numbers_of_the_moment_and_counters_are_side_by_side() -> None:
    """Statistics hold what they were given, and what was counted."""
    seen = stats(PoolCounters(created=5, deleted=4, pinged=3, lost=2, timeouts=1))
    assert (seen.size, seen.idle, seen.leased, seen.waiting) == (3, 1, 1, 2)
    assert (seen.created, seen.deleted, seen.pinged, seen.lost, seen.timeouts) == (5, 4, 3, 2, 1)


def test_statistics_are_frozen_and_do_not_follow_the_counters() -> None:
    """What was read stays as it was."""
    counters = PoolCounters()
    before = stats(counters)
    counters.created += 1
    counters.wait_seconds.observe(1.0)
    assert before == stats()
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.size = 1  # type: ignore[misc]  # that is the point


def test_asdict_is_json() -> None:
    """`_asdict` gives the fields by name, the histogram as a dict too."""
    seen = stats()._asdict()
    assert list(seen) == [field.name for field in dataclasses.fields(PoolStats)]
    assert json.loads(json.dumps(seen))["wait_seconds"] == {
        "bounds": list(WAIT_BOUNDS),
        "counts": [0] * (len(WAIT_BOUNDS) + 1),
        "sum": 0.0,
    }


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (0.5, 8), (1.0, 9), (30.0, 13), (30.1, 14), (1e9, 14)]
)
def test_a_value_lies_in_the_first_bucket_that_reaches_it(seconds: float, bucket: int) -> None:
    """A value that equals a bound lies below it, and what exceeds all bounds lies in the last bucket."""
    histogram = WaitHistogram()
    histogram.observe(seconds)
    assert [place for place, count in enumerate(histogram.snapshot().counts) if count] == [bucket]


@given(st.lists(st.floats(0, 100)))
def test_no_value_is_lost(values: list[float]) -> None:
    """Counts and sum are those of all values that were observed."""
    histogram = WaitHistogram()
    for value in values:
        histogram.observe(value)
    seen = histogram.snapshot()
    places = [bisect_left(WAIT_BOUNDS, value) for value in values]
    assert seen.counts == tuple(places.count(place) for place in range(len(WAIT_BOUNDS) + 1))
    assert seen.sum == pytest.approx(sum(values))


def test_bounds_rise() -> None:
    """The search in the bounds relies on their order."""
    assert list(WAIT_BOUNDS) == sorted(set(WAIT_BOUNDS))
