"""Options of the session pool and of the multiplexed session, validated when they are made. Pure: no I/O, no gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, short
from spanner_grpc_sessions.options import LONGEST_TIMEOUT

__all__ = ["IDLE_LIMIT", "LIFETIME_LIMIT", "MultiplexedOptions", "PoolOptions"]

IDLE_LIMIT: Final = 3600.0
"""Seconds without use after which the server may drop a session, as the documentation of sessions says."""

LIFETIME_LIMIT: Final = 28 * 86400.0
"""Seconds after its creation when the server may drop a session even in use; the same source."""

_LARGEST_POOL: Final = 10_000
# Below this, a time added to the clock could be lost in the rounding of floats.
_SHORTEST: Final = 0.001
_WEEK: Final = 7 * 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolOptions:
    """How many sessions a pool has, how long they live and who may wait for them. Times are seconds.

    Attributes:
        min_size: sessions to create when the pool opens, and to keep. One by default: a wrong database or a missing
            permission then shows when the pool opens, the first request finds a session, and one costs next to
            nothing.
        max_size: most sessions at any time, from 1 to 10,000. Google recommends at most 100 per channel.
        max_waiting: acquires that may wait at the same time; a further one raises `PoolOverloaded`. None is no limit.
            At least 1: to wait never, acquire with a timeout of 0.
        acquire_timeout: longest wait of an acquire that names no timeout; None is no limit, 0 is no wait. A limit is
            the default, because a caller that acquires while it holds the last session would wait for ever.
        labels: labels of every session, by the rules of the Session resource in the REST reference.
        creator_role: database role of every session.
        keep_alive_after: idle time after which a session is pinged, below the server's limit of an hour. Half an hour
            by default, as Google's Java and Node clients do. Each session takes up to a fifth less, so that sessions
            created together are not pinged together.
        validate_after: time without a sign of life after which an idle session is pinged before it is handed out,
            below an hour. Later than `keep_alive_after` it matters only where pings were late, as on a host that
            gives no CPU between requests. Earlier, it makes acquires wait for pings.
        max_idle: time after which a session beyond `min_size` is deleted that nobody has taken since; None keeps them
            all.
        max_lifetime: age at which a session is replaced, below the server's limit of 28 days; up to a fifth earlier,
            so that sessions created together are not replaced together.
        leak_after: time after which a lease that was not given back is reported; None reports none.
        delete_on_close: delete the sessions when the pool closes. Otherwise the server drops them after an hour.

    Raises:
        InvalidValue: a value is out of its range, or breaks the rules of labels and roles.
        InvalidType: a value of the wrong type.
    """

    min_size: int = 1
    max_size: int = 100
    max_waiting: int | None = None
    acquire_timeout: float | None = 30.0
    # A dict has no hash; options that are equal in all else are seldom many.
    labels: Mapping[str, str] | None = field(default=None, hash=False)
    creator_role: str | None = None
    keep_alive_after: float = 1800.0
    validate_after: float = 3000.0
    max_idle: float | None = 3600.0
    max_lifetime: float = _WEEK
    leak_after: float | None = None
    delete_on_close: bool = True

    def __post_init__(self) -> None:
        _check_whole("max_size", self.max_size, 1, _LARGEST_POOL)
        _check_whole("min_size", self.min_size, 0, _LARGEST_POOL)
        if self.min_size > self.max_size:
            raise InvalidValue(f"min_size must be at most max_size ({self.max_size}), got {self.min_size}")
        if self.max_waiting is not None:
            _check_whole("max_waiting", self.max_waiting, 1, None)
        for name, least, below in (
            ("acquire_timeout", 0.0, LONGEST_TIMEOUT),
            ("keep_alive_after", _SHORTEST, IDLE_LIMIT),
            ("validate_after", _SHORTEST, IDLE_LIMIT),
            ("max_idle", _SHORTEST, LONGEST_TIMEOUT),
            ("max_lifetime", _SHORTEST, LIFETIME_LIMIT),
            ("leak_after", _SHORTEST, LONGEST_TIMEOUT),
        ):
            optional = name in {"acquire_timeout", "max_idle", "leak_after"}
            object.__setattr__(self, name, _seconds(name, getattr(self, name), least, below, optional=optional))
        if not isinstance(self.delete_on_close, bool):
            raise InvalidType(f"delete_on_close must be a bool, got {short(self.delete_on_close)}")
        _check_template(self.labels, self.creator_role)
        if self.labels is not None:
            object.__setattr__(self, "labels", dict(self.labels))


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiplexedOptions:
    """How long a multiplexed session serves. Times are seconds.

    Attributes:
        replace_after: age at which it is replaced, below the server's limit of 28 days. Seven days by default, as
            Google's clients do.
        check_interval: longest time between two looks at its age; ten minutes by default, as Google's clients do. A
            shorter `replace_after` is looked at as often as it takes.
        retry_after: longest time until a replacement that failed is tried again, at least 0.05.
        creator_role: its database role. It has no labels: Spanner refuses them.

    Raises:
        InvalidValue: a value is out of its range, or breaks the rule of roles.
        InvalidType: a value of the wrong type.
    """

    replace_after: float = _WEEK
    check_interval: float = 600.0
    retry_after: float = 15.0
    creator_role: str | None = None

    def __post_init__(self) -> None:
        for name, least, below in (
            ("replace_after", _SHORTEST, LIFETIME_LIMIT),
            ("check_interval", _SHORTEST, LIFETIME_LIMIT),
            ("retry_after", 0.05, LIFETIME_LIMIT),
        ):
            object.__setattr__(self, name, _seconds(name, getattr(self, name), least, below))
        _check_template(None, self.creator_role)


def _seconds(name: str, value: Any, least: float, below: float, *, optional: bool = False) -> float | None:
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(f"{name} must be a number of seconds{' or None' * optional}, got {short(value)}")
    if not least <= value < below:
        raise InvalidValue(f"{name} must be at least {least:g} and below {below:g} seconds, got {short(value)}")
    return float(value)


def _check_whole(name: str, value: Any, least: int, most: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{name} must be an int, got {short(value)}")
    if value < least or (most is not None and value > most):
        limit = "" if most is None else f" and at most {most:,}"
        raise InvalidValue(f"{name} must be at least {least}{limit}, got {short(value)}")


def _check_template(labels: Mapping[str, str] | None, creator_role: str | None) -> None:
    if labels is None and creator_role is None:
        return
    from spanner_grpc_sessions import requests  # noqa: PLC0415 - options without labels and role need no gRPC

    # The request knows the rules: what it refuses is refused now, and not by the first call of the pool.
    requests.create_session("", labels, creator_role, multiplexed=False)
