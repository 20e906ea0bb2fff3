"""A service in virtual time: no seed breaks an invariant, each repeats exactly, and each fault is found."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spanner_grpc_sessions.calls import call_async
from spanner_grpc_sessions.pool import runner_async
from spanner_grpc_sessions.runtime import deadline
from spanner_grpc_sessions.runtime.clock import CLOCK, Clock
from tests.simulation.faults import FAULTS, put_in
from tests.simulation.run import Failure, simulate

# By hand: SEEDS=1000 DAYS=30, or `make simulate`.
_SEEDS = int(os.environ.get("SEEDS", "100"))
_DAYS = float(os.environ.get("DAYS", "0.25"))
_AT_A_TIME = 20
# Seeds within which each fault is found, in runs of so many days. Most are found by the first one or two.
_ENOUGH = 50
_DAY_OF_FAULTS = 0.5


@pytest.mark.parametrize("first", range(0, _SEEDS, _AT_A_TIME))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    """Whatever happens to server, network, token endpoint, clock and process."""
    for seed in range(first, min(first + _AT_A_TIME, _SEEDS)):
        simulate(seed, _DAYS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    """And the failure names the command that repeats it."""
    with put_in(name):
        seed, failure = next((seed, found) for seed in range(_ENOUGH) if (found := _failure(seed, name)))
    assert failure.startswith(f"python -m tests.simulation seed {seed} --days {_DAY_OF_FAULTS:g} --fault {name}\n")


def test_a_seed_repeats_in_another_process() -> None:
    """To the last event, though sets and dicts of objects are in another order there."""
    program = "from tests.simulation.run import simulate; print([simulate(seed, 0.25).digest for seed in range(5)])"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert answer == f"{[simulate(seed, 0.25).digest for seed in range(5)]}\n"


def test_nothing_of_a_simulation_stays() -> None:
    """The library has its clocks back."""
    before = [dict(vars(module)) for module in (call_async, deadline, runner_async)]
    simulate(0, 0.01)
    assert [dict(vars(module)) for module in (call_async, deadline, runner_async)] == before
    assert abs(CLOCK.now() - Clock().now()) < 60.0


def _failure(seed: int, fault: str) -> str | None:
    try:
        simulate(seed, _DAY_OF_FAULTS, fault)
    except Failure as failure:
        return str(failure)
    return None
