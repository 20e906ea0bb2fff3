"""For the tests of services: a pytest plugin, Google's emulator as a server, and a clock that tests move.

pytest finds the plugin by itself where the library is installed. Its fixtures:

- `local_spanner`: a `LocalSpanner` of the test's own, in plaintext; its `advance` moves the clock of pools too.
- `spanner_client`, `async_spanner_client`, `spanner_pool`: connected to it, or to the emulator by `--spanner=emulator`.
- `spanner_database`: the name of a database, which is new on the emulator.
- `spanner_emulator`: Google's emulator, started once; tests are skipped where there is none.

It never changes the environment, and contacts no other machine.
"""

from spanner_grpc_sessions.testing.clock import MovableClock
from spanner_grpc_sessions.testing.emulator import Emulator, EmulatorUnavailable, OwnEmulator, running_emulator

__all__ = ["Emulator", "EmulatorUnavailable", "MovableClock", "OwnEmulator", "running_emulator"]
