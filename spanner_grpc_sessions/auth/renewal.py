"""The token of a process and when to ask for another one: takes the time, and waits for nothing. Pure.

Two clocks count: `now` is the wall clock, by which credentials expire, and `ticks` those of a clock that cannot be set.
"""

from __future__ import annotations

from typing import Final

from spanner_grpc_sessions.auth.token import NEVER, NO_TOKEN, Token, TokenHeaders
from spanner_grpc_sessions.runtime.backoff import backoff

_FIRST_RETRY: Final = 0.5
_LAST_RETRY: Final = 30.0
_BETWEEN_REJECTIONS: Final = 10.0
# Seconds by which the wall clock may fall behind before it counts as set back.
_TOLERANCE: Final = 1.0


class Renewal:
    """Keeps a token and decides. For one thread at a time.

    Attributes:
        token: what calls carry.
        renew_at: when to ask for another one, by the wall clock.
        rejected: what the server rejected; serves if no other token can be had.
        fraction: a number from 0 to 1, one in each process: processes that fetched or inherited a token together renew
            it one after the other.
    """

    def __init__(self, fraction: float) -> None:
        self.token: Token = NO_TOKEN
        self.rejected: Token = NO_TOKEN
        self.renew_at: float = NEVER
        self.fraction = fraction
        self._failures = 0
        self._rejected_at = -NEVER
        # What was fetched, and what both clocks showed then.
        self._fetched, self._fetched_at = NO_TOKEN, (0.0, 0.0)
        # Of a token that the credentials take for younger than it is: they know the wall clock only.
        self._misdated: TokenHeaders = ()

    @property
    def unwanted(self) -> TokenHeaders:
        """The headers that the next token must not have, though the credentials may hold them for good."""
        return self.rejected.headers or self._misdated

    def take(self, token: Token, now: float, ticks: float) -> None:
        """Take a token that was fetched."""
        self.rejected, self._misdated = NO_TOKEN, ()
        if token.valid_until - now > _FIRST_RETRY:
            self._failures = 0
        else:
            # It expired on the way, or the clock is ahead: it serves, and the pause before the next request grows.
            self._failures += 1
            pause = backoff(self._failures, _FIRST_RETRY, _LAST_RETRY)
            token = token._replace(renew_at=now + pause, valid_until=now + 2 * pause)
        self._fetched, self._fetched_at = token, (now, ticks)
        self.schedule(now)

    def schedule(self, now: float) -> None:
        """Choose when to renew the token, within a third of what is left of it by then."""
        token, renew_at = self._fetched, self._fetched.renew_at
        if renew_at != NEVER:
            spread = min((token.valid_until - renew_at) / 3, renew_at - self._fetched_at[0])
            renew_at += self.fraction * max(spread, 0.0)
        self.token = token._replace(renew_at=renew_at)
        self.renew_at = max(renew_at, now + _FIRST_RETRY)

    def fail(self, now: float) -> Token | None:
        """Note that a fetch has failed; return the rejected token if it has to serve again."""
        self._failures += 1
        again_at = now + backoff(self._failures + 1, _FIRST_RETRY, _LAST_RETRY)
        rejected, self.rejected = self.rejected, NO_TOKEN
        if self.token is NO_TOKEN and now < rejected.valid_until:
            self.token = rejected
            self.renew_at = max(again_at, self.renew_at)
            return rejected
        self.renew_at = again_at
        return None

    def reject(self, headers: TokenHeaders | None, ticks: float) -> bool:
        """Give up the token of these headers, None for the current one; return False if it is to be kept.

        An older one was given up before. A server that rejects every token causes one request in 10 s.
        """
        is_current = bool(self.token.headers) and (headers is None or headers is self.token.headers)
        if not is_current or ticks < self._rejected_at + _BETWEEN_REJECTIONS:
            return False
        self.rejected, self.token, self._rejected_at = self.token, NO_TOKEN, ticks
        return True

    def follow(self, now: float, ticks: float) -> None:
        """Take the token for as old as it is, if the wall clock was set back."""
        fetched_at, fetched_ticks = self._fetched_at
        back = (ticks - fetched_ticks) - (now - fetched_at)
        if back > _TOLERANCE and self._fetched is not NO_TOKEN:
            self._fetched_at = (fetched_at - back, fetched_ticks)
            self._fetched, self.token = _older(self._fetched, back), _older(self.token, back)
            self.renew_at -= back
            self._misdated = self._fetched.headers


def _older(token: Token, seconds: float) -> Token:
    if token is NO_TOKEN:
        return token
    return token._replace(renew_at=token.renew_at - seconds, valid_until=token.valid_until - seconds)
