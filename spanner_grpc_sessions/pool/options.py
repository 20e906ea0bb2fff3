"""Options of the session pool, validated when they are created. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from spanner_grpc_sessions.errors import InvalidValue, checks
from spanner_grpc_sessions.options import MAX_TIMEOUT
from spanner_grpc_sessions.service.limits import IDLE_LIMIT, LIFETIME_LIMIT

_MAX_POOL: Final = 10_000
# Below this, a time added to the clock could be lost in the rounding of floats.
_MIN_SECONDS: Final = 0.001
_WEEK: Final = 7 * 86400.0
_OPTIONAL: Final = frozenset({"acquire_timeout", "leak_after", "max_idle", "max_waiting"})


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolOptions:
    """How many sessions a pool has, how long they live and who may wait for them. Times are seconds.

    Attributes:
        min_size: sessions to create when the pool opens, and to keep. One by default: a wrong database or a missing
            permission then shows when the pool opens, the first request finds a session, and one session costs next
            to nothing.
        max_size: the largest number of sessions at any time, from 1 to 10,000. Google recommends at most 100 per
            channel.
        max_waiting: acquires that may wait at the same time; one more raises `PoolOverloaded`. None is no limit. At
            least 1: to never wait, acquire with a timeout of 0.
        acquire_timeout: the longest wait of an acquire without a timeout of its own; None is no limit, 0 is no wait.
            There is a limit by default, because a caller that acquires while it holds the last session would never
            get one.
        labels: labels of every session, by the rules of the Session resource in the REST reference.
        creator_role: database role of every session.
        keep_alive_after: idle time after which a session is pinged, below the server's limit of an hour. Half an hour
            by default, as in Google's Java and Node clients. Each session takes up to half less, so that sessions that
            were created together, also by other processes, are not pinged together.
        validate_after: time without a sign of life after which an idle session is pinged before it is handed out,
            below an hour. It is `keep_alive_after` at most: then pings were late, as on a host that gets no CPU between
            requests. Shorter, it makes acquires wait for pings.
        max_idle: idle time after which a session beyond `min_size` is deleted; None keeps them all.
        max_lifetime: the age at which a session is replaced, below the server's limit of 28 days; up to a fifth
            earlier, so that sessions that were created together are not replaced together.
        leak_after: time after which a lease that was not released is reported; None reports none. The session of a
            lease that was dropped is deleted after this report.
        delete_on_close: delete the sessions when the pool closes. Otherwise the server drops them after an hour.

    Raises:
        InvalidValue: a value is out of range, or breaks the rules of labels and roles.
        InvalidType: a value has the wrong type.
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
        for name, least, most in (("max_size", 1, _MAX_POOL), ("min_size", 0, _MAX_POOL), ("max_waiting", 1, None)):
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                object.__setattr__(self, name, checks.whole(name, value, least, most))
        if self.min_size > self.max_size:
            raise InvalidValue(f"min_size must be at most max_size ({self.max_size}), got {self.min_size}")
        for name, low, high in (
            ("acquire_timeout", 0.0, MAX_TIMEOUT),
            ("keep_alive_after", _MIN_SECONDS, IDLE_LIMIT),
            ("validate_after", _MIN_SECONDS, IDLE_LIMIT),
            ("max_idle", _MIN_SECONDS, MAX_TIMEOUT),
            ("max_lifetime", _MIN_SECONDS, LIFETIME_LIMIT),
            ("leak_after", _MIN_SECONDS, MAX_TIMEOUT),
        ):
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                object.__setattr__(self, name, checks.number(name, value, low, high, below=True))
        checks.boolean("delete_on_close", self.delete_on_close)
        _check_template(self.labels, self.creator_role)
        if self.labels is not None:
            object.__setattr__(self, "labels", _Labels(self.labels))


class _Labels(Mapping[str, str]):
    """Labels that do not change any more. Unlike `types.MappingProxyType` they can be copied and pickled."""

    __slots__ = ("_labels",)

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)

    def __getitem__(self, key: str) -> str:
        return self._labels[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        return repr(self._labels)


def _check_template(labels: Mapping[str, str] | None, creator_role: str | None) -> None:
    if labels is None and creator_role is None:
        return
    from spanner_grpc_sessions.service import requests  # noqa: PLC0415 - options without labels and role need no gRPC

    # The request knows the rules: what it refuses is refused now, and not by the first call of the pool.
    requests.session_template(labels, creator_role)
