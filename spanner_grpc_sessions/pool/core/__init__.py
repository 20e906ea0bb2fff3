"""The session pool without threads, tasks and calls: all that it decides, as a state machine. Pure: no I/O.

`machine` has the events and the contract with the runners that carry out the effects; the other modules are its parts.
"""

from spanner_grpc_sessions.pool.core.effects import Create, Delete, Deliver, Effect, Fail, Ping, WakeAt
from spanner_grpc_sessions.pool.core.machine import PoolCore
from spanner_grpc_sessions.pool.core.record import SessionRecord

__all__ = ["Create", "Delete", "Deliver", "Effect", "Fail", "Ping", "PoolCore", "SessionRecord", "WakeAt"]
