"""The decision to repeat: never past the deadline, never sooner than the server asked, and only what is listed."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given, strategies as st

from spanner_grpc_sessions.calls.retry import next_delay
from spanner_grpc_sessions.options import RetryOptions

ATTEMPTS = st.integers(1, 10**9)
SECONDS = st.floats(0, 1e12)
FRACTIONS = st.floats(0, 1)
options_of_all_kinds = st.builds(
    RetryOptions,
    initial_delay=st.one_of(SECONDS, st.integers(0, 10)),
    multiplier=st.one_of(st.floats(1, 1e300), st.integers(1, 10)),
    max_delay=SECONDS,
)


def delay(
    options: RetryOptions | None = None,
    *,
    status: str = "UNAVAILABLE",
    attempt: int = 1,
    remaining: float | None = 1000.0,
    retry_delay: float | None = None,
    fraction: float = 1.0,
) -> float | None:
    """Return what `next_delay` says where the test names only what matters."""
    return next_delay(
        options or RetryOptions(),
        status=status,
        attempt=attempt,
        remaining=remaining,
        retry_delay=retry_delay,
        fraction=fraction,
    )


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.25), (2, 0.325), (3, 0.4225), (19, 28.1138), (20, 32.0), (21, 32.0), (5000, 32.0)]
)
def test_longest_waits_grow_as_published(attempt: int, longest: float) -> None:
    """The longest wait starts at 0.25 s, grows by 1.3 and stops at 32 s."""
    assert delay(attempt=attempt) == pytest.approx(longest, abs=1e-4)


@given(options_of_all_kinds, ATTEMPTS, FRACTIONS)
@example(RetryOptions(initial_delay=0, max_delay=32), 10**9, 1.0)
@example(RetryOptions(multiplier=10), 10**9, 1.0)
def test_jitter_stays_between_zero_and_the_longest_wait(options: RetryOptions, attempt: int, fraction: float) -> None:
    """Whatever the attempt's number, the wait is the fraction of one that never exceeds `max_delay`."""
    longest = delay(options, attempt=attempt, remaining=None)
    drawn = delay(options, attempt=attempt, remaining=None, fraction=fraction)
    assert longest is not None
    assert drawn == fraction * longest
    assert 0 <= drawn <= longest <= options.max_delay


def test_no_initial_delay_is_no_delay_for_ever() -> None:
    """Nothing grows from nothing, not even after thousands of attempts."""
    assert delay(RetryOptions(initial_delay=0), attempt=10**6) == 0.0


@given(options_of_all_kinds, ATTEMPTS, SECONDS, st.one_of(st.none(), SECONDS), FRACTIONS)
def test_no_wait_reaches_the_deadline(
    options: RetryOptions, attempt: int, remaining: float, retry_delay: float | None, fraction: float
) -> None:
    """A wait either ends before the deadline or is not begun."""
    drawn = delay(options, attempt=attempt, remaining=remaining, retry_delay=retry_delay, fraction=fraction)
    assert drawn is None or drawn < remaining


@given(SECONDS, ATTEMPTS, FRACTIONS)
def test_the_servers_wish_is_the_least_wait(retry_delay: float, attempt: int, fraction: float) -> None:
    """RetryInfo is waited for at least, and a longer wait of our own is kept."""
    ours = delay(attempt=attempt, remaining=None, fraction=fraction)
    assert ours is not None
    assert delay(attempt=attempt, remaining=None, retry_delay=retry_delay, fraction=fraction) == max(ours, retry_delay)


@pytest.mark.parametrize(
    ("remaining", "retry_delay", "expected"),
    [
        (10.0, 9.9, 9.9),
        (10.0, 10.0, None),
        (10.0, 11.0, None),
        (10.0, math.inf, None),
        (0.0, None, None),
        (0.05, None, None),
    ],
)
def test_a_wait_that_passes_the_deadline_is_not_begun(
    remaining: float, retry_delay: float | None, expected: float | None
) -> None:
    """At the border: a wait as long as what remains would leave no time for the attempt."""
    assert delay(remaining=remaining, retry_delay=retry_delay) == expected


def test_a_wait_of_ours_that_does_not_fit_ends_the_call() -> None:
    """A drawn wait leaves a twentieth of a second for an attempt, and is not cut to the time left."""
    assert delay(remaining=0.31) == pytest.approx(0.25)
    assert delay(remaining=0.3) is None
    assert delay(attempt=50, remaining=10.0, fraction=0.5) is None
    assert delay(attempt=50, remaining=10.0, fraction=0.25) == pytest.approx(8.0)


def test_attempts_do_not_pile_up_before_the_deadline() -> None:
    """Of the attempts of many calls with equal deadlines, at most a twentieth falls into the last twentieth of it."""
    made, late, draw, timeout = 0, 0, random.Random(20261129), 30.0  # noqa: S311 - not a secret
    for _ in range(2000):
        now, attempt = 0.0, 1
        while (wait := delay(attempt=attempt, remaining=timeout - now, fraction=draw.random())) is not None:
            now, attempt = now + wait, attempt + 1
            late += now > 0.95 * timeout
        made += attempt
    assert late <= made / 20


def test_no_time_left_is_no_next_attempt_even_without_a_wait() -> None:
    """An attempt without wait needs time too."""
    assert delay(fraction=0.0, remaining=0.0) is None


@given(st.text(), ATTEMPTS)
@example("ABORTED", 1)
@example("DEADLINE_EXCEEDED", 1)
@example("UNAUTHENTICATED", 1)
def test_other_statuses_are_not_repeated(status: str, attempt: int) -> None:
    """Only the listed statuses are repeated, whatever delay the server names."""
    expected = status in {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
    assert (delay(status=status, attempt=attempt, retry_delay=0.0, remaining=None) is not None) is expected


def test_none_repeats_nothing() -> None:
    """`RetryOptions.none()` ends every call after its first attempt."""
    assert delay(RetryOptions.none(), retry_delay=1.0) is None
