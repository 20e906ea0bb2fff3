"""The emulator of the tests: see `spanner_grpc_sessions.testing`."""

from __future__ import annotations

from spanner_grpc_sessions.testing.emulator import Emulator, EmulatorUnavailable, OwnEmulator, running_emulator

__all__ = ["Emulator", "EmulatorUnavailable", "OwnEmulator", "running_emulator"]
