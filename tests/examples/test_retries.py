"""When an example tries again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from retries import Retries
from spanner_grpc_sessions import Aborted


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one, and jitter at its longest."""
    now = [1000.0]
    monkeypatch.setattr("retries.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("retries.random", SimpleNamespace(uniform=lambda low, high: high))
    return now


def aborted(retry_delay: float | None = None) -> Aborted:
    """Return the error of an attempt."""
    error = Aborted("aborted", method="Commit")
    error.retry_delay = retry_delay
    return error


def test_waits_grow_up_to_a_limit(time: list[float]) -> None:
    """From 20 ms, by a third each time, to 32 s."""
    retries = Retries(1e6)
    waits = [retries.delay(aborted()) for _ in range(40)]
    assert waits[:3] == pytest.approx([0.02, 0.026, 0.0338])
    assert waits[-1] == 32.0


def test_the_server_can_ask_for_more(time: list[float]) -> None:
    """Its RetryInfo is the least wait."""
    assert Retries(30).delay(aborted(1.5)) == 1.5


def test_no_wait_passes_the_deadline(time: list[float]) -> None:
    """The error comes back at once instead."""
    retries, error = Retries(10), aborted(9.0)
    assert retries.left() == 10
    time[0] += 5
    assert retries.left() == 5
    with pytest.raises(Aborted) as caught:
        retries.delay(error)
    assert caught.value is error
    time[0] += 50
    assert retries.left() == 0
