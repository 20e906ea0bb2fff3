"""When a multiplexed session is replaced, and when a replacement that failed is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final
from weakref import WeakSet

from spanner_grpc_sessions.errors import PoolError, PoolTimeout, checks
from spanner_grpc_sessions.errors.origin import lacks_method
from spanner_grpc_sessions.errors.rpc import Unimplemented
from spanner_grpc_sessions.observers import Observer, PoolCounts, PoolInfo, PoolWatch
from spanner_grpc_sessions.runtime.backoff import backoff
from spanner_grpc_sessions.service.limits import LIFETIME_LIMIT
from spanner_grpc_sessions.service.types import Session

_NOW: Final = -inf
# Below this, a time added to the clock could be lost in the rounding of floats.
_MIN_SECONDS: Final = 0.001
_MIN_RETRY: Final = 0.05
_FIRST_RETRY: Final = 0.25
_LAST_RETRY: Final = 4.0
# The part of its time by which a session may be replaced earlier. A fleet that is deployed at once creates all of its
# sessions within moments, and would replace them within moments; with a fifth, still six times as densely as later on.
_SPREAD: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class MultiplexedOptions:
    """How long a multiplexed session is used. Times are seconds.

    Attributes:
        replace_after: the age at which it is replaced, below the server's limit of 28 days, or up to half of it
            earlier, so that processes that were started together do not replace theirs together. Seven days by
            default, as in Google's clients.
        check_interval: the longest time between two checks of its age; ten minutes by default, as in Google's clients.
            A shorter `replace_after` is checked as often as it needs.
        retry_after: the longest time until a failed replacement is tried again, at least 0.05.
        creator_role: its database role. It has no labels: Spanner refuses them.

    Raises:
        InvalidValue: a value is out of range, or breaks the rule of roles.
        InvalidType: a value has the wrong type.
    """

    replace_after: float = 7 * 86400.0
    check_interval: float = 600.0
    retry_after: float = 15.0
    creator_role: str | None = None

    def __post_init__(self) -> None:
        for name, low in (
            ("replace_after", _MIN_SECONDS),
            ("check_interval", _MIN_SECONDS),
            ("retry_after", _MIN_RETRY),
        ):
            object.__setattr__(self, name, checks.number(name, getattr(self, name), low, LIFETIME_LIMIT, below=True))
        if self.creator_role is not None:
            checks.header_text("creator_role", self.creator_role)


class Waiter:
    """A caller that waits for a session."""

    __slots__ = ("__weakref__",)


class Rotation:
    """The age of one session after the other, in seconds of a clock that each event is told.

    An event that an operator must know of returns a line for the log, the first time; otherwise an empty one.

    Attributes:
        due: when to replace the current one: never, before there is one.
        waiting: callers that wait for a session; one that was interrupted is forgotten by itself.
    """

    def __init__(self, options: MultiplexedOptions) -> None:
        self.due: float = inf
        self.waiting: WeakSet[Waiter] = WeakSet()
        self._exists = self._lost = self._database_is_gone = False
        self._options = options
        self._failures = 0

    def created(self, now: float, draw: float) -> str:
        """Note that there is a new session; `draw`, from 0 to below 1, spreads its replacement."""
        replaced, self._lost = self._lost, False
        self._exists, self._database_is_gone = True, False
        self._failures = 0
        self.due = now + self._options.replace_after * (1 - _SPREAD * draw)
        return "the lost multiplexed session was replaced" if replaced else ""

    def lost(self) -> str:
        """Note that the server has lost the session: replace it now, or at the next attempt if one has failed."""
        if not self._failures:
            self.due = _NOW
        known, self._lost = self._lost, True
        return "" if known else "the multiplexed session was lost"

    def database_gone(self, error: Exception) -> str:
        """Note that a call on the session found no database."""
        known, self._database_is_gone = self._database_is_gone, True
        return "" if known else f"the database is gone: {error}"

    def counts(self) -> PoolCounts:
        """Return what observers see of it."""
        return PoolCounts(idle=0, used=int(self._exists), waiting=len(self.waiting))

    def failed(self, now: float, draw: float) -> None:
        """Note that a replacement failed; `draw`, from 0 to below 1, spreads the next attempt."""
        self._failures += 1
        if self.due != inf:
            pause = backoff(self._failures, _FIRST_RETRY, _LAST_RETRY) * (0.5 + 0.5 * draw)
            self.due = now + max(min(pause, self._options.retry_after), _MIN_RETRY)

    def next_look(self, now: float) -> float:
        """Return when to look at it again, at the latest."""
        return min(self.due, now + self._options.check_interval)


def watch_rotation(rotation: Rotation, observer: Observer | None, address: str, database: str) -> PoolWatch:
    """Return what tells the observer of a client of a multiplexed session."""
    pool = PoolInfo(database, address, multiplexed=True, min_size=0, max_size=1, counts=rotation.counts)
    return PoolWatch(observer, pool)


def check_multiplexed(session: Session, database: str, *, on_emulator: bool) -> str:
    """Return a line for the log, or raise `PoolError`, if a session is a regular one, for one caller at a time.

    The emulator before 1.5.29 creates those, and allows one transaction at a time anyway.
    """
    if session.get("multiplexed"):
        return ""
    if not on_emulator:
        raise PoolError(f"the server of {database} created a regular session, not a multiplexed one: use a SessionPool")
    return "the emulator created a regular session, not a multiplexed one: transactions on it may end each other"


def timed_out(database: str, timeout: float | None, failure: BaseException | None) -> PoolTimeout:
    """Return the error of a wait that ended without a session, caused by the newest failure of its creation."""
    why = "" if failure is None else f"; it could not be created: {failure}"
    error = PoolTimeout(f"no multiplexed session of {database} within {timeout:g} s{why}")
    error.__cause__ = failure
    return error


def creation_failure(error: BaseException, database: str) -> Exception:
    """Return what callers that wait for a session get when its creation fails."""
    if isinstance(error, Unimplemented) and not lacks_method(error):
        return PoolError(f"the server of {database} has no multiplexed sessions: use a SessionPool")
    if isinstance(error, Exception):
        return error
    return PoolError(f"the creation of a multiplexed session of {database} was interrupted")
