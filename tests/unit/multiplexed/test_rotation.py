"""When a multiplexed session is replaced."""

from __future__ import annotations

from spanner_grpc_sessions.multiplexed.rotation import MultiplexedOptions, Rotation


def test_processes_that_start_together_replace_their_sessions_one_after_the_other() -> None:
    """Each draws the time, of which it takes up to half off, for each session anew."""
    rotation, times = Rotation(MultiplexedOptions(replace_after=1000.0)), []
    for draw in (0.0, 0.5, 1.0):
        rotation.created(50.0, draw)
        times.append(rotation.due)
    assert times == [1050.0, 800.0, 550.0]
