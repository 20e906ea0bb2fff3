"""When a token is renewed, and which one serves: by two clocks, without waiting."""

from __future__ import annotations

import pytest

from spanner_grpc_sessions.auth.renewal import Renewal
from spanner_grpc_sessions.auth.token import NEVER, NO_TOKEN, Token
from tests.unit.auth.token_endpoints import token

HOUR = token("hour", renew_at=3150.0, valid_until=3600.0)


def renewal_of(token: Token, *, fraction: float = 0.0, now: float = 0.0) -> Renewal:
    """Return what has just taken a token."""
    renewal = Renewal(fraction)
    renewal.take(token, now, 0.0)
    return renewal


def test_processes_renew_one_after_the_other() -> None:
    """What they draw spreads their requests over a third of what is left, and never to the end of the token."""
    times = [renewal_of(HOUR, fraction=fraction / 10).renew_at for fraction in range(11)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (3150.0, 3300.0)
    assert len(set(times)) == 11


@pytest.mark.parametrize("life", [0.6, 2.0, 10.0, 440.0])
def test_short_lives_are_spread_within_them(life: float) -> None:
    """A token of seconds is renewed behind its half and ahead of its end."""
    short = token("short", renew_at=life / 2, valid_until=life)
    for fraction in (0.0, 1.0):
        renewal = renewal_of(short, fraction=fraction)
        assert life / 2 <= renewal.token.renew_at <= life * 2 / 3
        assert renewal.renew_at == max(renewal.token.renew_at, 0.5)


def test_a_metadata_server_that_hands_out_the_same_token_is_not_asked_in_a_loop() -> None:
    """Each request comes after half of what is left, or ever later once nothing is."""
    now, requests, renewal = 0.0, 0, Renewal(0.0)
    while now < 1000.0:
        left = 440.0 - now
        renewal.take(token("cached", renew_at=now + left / 2, valid_until=440.0), now, now)
        assert renewal.renew_at - now >= 0.5
        now, requests = renewal.renew_at, requests + 1
    assert requests < 40


def test_tokens_that_have_expired_already_are_asked_for_ever_less_often() -> None:
    """They serve, for the clock may be wrong; the pause grows to half a minute, and starts again after a good one."""
    renewal, now, pauses = Renewal(0.0), 5000.0, []
    for _ in range(8):
        renewal.take(HOUR, now, now)
        assert renewal.token.headers == HOUR.headers
        assert now < renewal.token.renew_at < renewal.token.valid_until
        pauses.append(renewal.renew_at - now)
        now = renewal.renew_at
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    renewal.take(token("good", renew_at=now + 50, valid_until=now + 100), now, now)
    renewal.take(HOUR, now, now)
    assert renewal.renew_at == now + 0.5


def test_a_wall_clock_that_is_set_back_makes_no_token_younger() -> None:
    """A day back after half an hour: the token has the other half hour left, by the new time."""
    renewal = renewal_of(HOUR, now=0.0)
    for _ in range(2):
        renewal.follow(1800.0 - 86_400.0, 1800.0)
        assert renewal.token.valid_until == 3600.0 - 86_400.0
        assert renewal.token.renew_at == renewal.renew_at == 3150.0 - 86_400.0


def test_a_wall_clock_that_is_put_forward_and_back_again_is_followed() -> None:
    """The token is what it was."""
    renewal = renewal_of(HOUR)
    renewal.follow(7200.0, 10.0)
    renewal.follow(20.0, 20.0)
    assert renewal.token == HOUR


def test_a_rejected_token_is_given_up_once_in_ten_seconds() -> None:
    """And an older one is not what is held now."""
    renewal = renewal_of(HOUR)
    assert not renewal.reject(token("hour", renew_at=0, valid_until=1).headers, 0.0)
    assert renewal.token.headers is HOUR.headers
    assert renewal.reject(HOUR.headers, 0.0)
    assert renewal.token is NO_TOKEN
    assert not renewal.reject(HOUR.headers, 1.0)
    renewal.take(HOUR, 0.0, 1.0)
    assert not renewal.reject(HOUR.headers, 9.9)
    assert renewal.reject(None, 10.0)


def test_a_rejected_token_serves_if_there_is_no_other() -> None:
    """The server may have erred; a static token is not asked for again by itself."""
    static = token("static", renew_at=NEVER, valid_until=NEVER)
    renewal = renewal_of(static)
    assert renewal.reject(static.headers, 0.0)
    assert renewal.fail(1.0) == renewal.token == static
    assert renewal.renew_at == NEVER


def test_a_rejected_token_that_has_expired_does_not_serve() -> None:
    """Then the failure is what callers get."""
    renewal = renewal_of(HOUR)
    assert renewal.reject(HOUR.headers, 0.0)
    assert renewal.fail(3600.0) is None
    assert renewal.token is NO_TOKEN
