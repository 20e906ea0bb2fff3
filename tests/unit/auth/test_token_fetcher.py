"""Tokens fetched from credentials: refreshed when they are about to expire, and not before."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import google.auth.transport
import pytest
from google.auth import api_key
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import RefreshError
from google.oauth2 import credentials as oauth2

from spanner_grpc_sessions.auth import tokens_for
from spanner_grpc_sessions.auth.credentials import TokenFetcher, load_credentials
from spanner_grpc_sessions.auth.token import NEVER
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.errors import CredentialsError
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.transport.channel import resolve
from tests.support.waiting import until
from tests.unit.auth.token_endpoints import DEADLINE, Clock

EXPIRY = datetime(2030, 1, 1)
EXPIRES = EXPIRY.replace(tzinfo=timezone.utc).timestamp()
OPTIONS = ClientOptions()


class ShortLived(Credentials):
    """Credentials of a user's own, whose tokens live for as long as the test says."""

    def __init__(self, life: float, clock: Clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth is typed in part only
        self._life = life
        self._clock = clock
        self.refreshes = 0

    def refresh(self, request: google.auth.transport.Request) -> None:
        """Make the next token."""
        self.refreshes += 1
        self.token = f"token-{self.refreshes}"
        self.expiry = datetime.fromtimestamp(self._clock() + self._life, timezone.utc).replace(tzinfo=None)

    def apply(self, headers: dict[str, str], token: str | None = None) -> None:
        """Add a header in a spelling that gRPC refuses."""
        super().apply(headers, token)  # type: ignore[no-untyped-call]  # as above
        headers["X-Goog-User-Project"] = "payer"


def fetcher(credentials: Any, clock: Clock) -> TokenFetcher:
    """Return a fetcher of tokens from credentials that are ready."""
    return TokenFetcher(lambda _: credentials, clock=clock, draw=lambda: 0.0)


@pytest.mark.parametrize(("left", "renew_before"), [(3600, 450), (900, 450), (450.5, 225.25)])
def test_a_fresh_token_is_not_refreshed(account: Any, left: float, renew_before: float) -> None:
    """A token that someone else has refreshed serves while it has more than 450 s left."""
    account.token, account.expiry = "old", EXPIRY
    fetched = fetcher(account, Clock(EXPIRES - left))()
    assert fetched.headers == (("authorization", "Bearer old"),)
    assert (fetched.renew_at, fetched.valid_until) == (EXPIRES - renew_before, EXPIRES)


@pytest.mark.parametrize("left", [449.9, 0.0, -1000.0])
def test_a_token_about_to_expire_is_refreshed(account: Any, left: float) -> None:
    """At 450 s, twice what google-auth calls stale, a new one is made: at once, or after the one that came along."""
    loaded: Any = load_credentials(account, OPTIONS)
    loaded.token, loaded.expiry = "old", EXPIRY
    fetch = fetcher(loaded, Clock(EXPIRES - left))
    if left > 0:
        assert dict(fetch().headers)["authorization"] == "Bearer old"
    assert dict(fetch().headers)["authorization"] != "Bearer old"


def test_a_valid_token_that_cannot_be_renewed_serves() -> None:
    """Credentials that hold a token and no means to make another are used up to its last moment."""
    credentials: Any = oauth2.Credentials("handed over", expiry=EXPIRY)
    fetched = fetcher(credentials, Clock(EXPIRES - 440))()
    assert (fetched.headers, fetched.valid_until) == ((("authorization", "Bearer handed over"),), EXPIRES)


@pytest.mark.parametrize("token", ["line\n", "a\r\nx-injected: 1", "\u00e9", "a\0b"])
def test_a_token_that_no_header_can_hold_is_refused(token: str) -> None:
    """GRPC would fail the call without a word of the token; the error does not repeat it."""
    with pytest.raises(CredentialsError, match="authorization") as error:
        fetcher(oauth2.Credentials(token), Clock())()
    assert token not in str(error.value)


def test_the_answer_of_a_token_endpoint_is_not_repeated() -> None:
    """google-auth puts the whole answer beside its text, other tokens included; only the text goes on."""

    class Talkative(Credentials):
        def refresh(self, request: google.auth.transport.Request) -> None:
            raise RefreshError("no access token", {"id_token": "SECRET"})

    with pytest.raises(RefreshError) as error:
        fetcher(Talkative(), Clock())()  # type: ignore[no-untyped-call]  # google-auth is typed in part only
    assert error.value.args == ("no access token",)


def test_a_token_without_expiry_is_valid_for_ever() -> None:
    """A static token is never renewed."""
    fetched = fetcher(oauth2.Credentials("static"), Clock(1e12))()
    assert fetched.headers == (("authorization", "Bearer static"),)
    assert (fetched.renew_at, fetched.valid_until) == (NEVER, NEVER)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has one time zone per process")
def test_expiry_is_in_utc_wherever_the_program_runs(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth's naive datetimes are not local time, and those that name their zone keep it."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        for expiry in (EXPIRY, EXPIRY.replace(tzinfo=timezone.utc)):
            account.token, account.expiry = "old", expiry
            assert fetcher(account, Clock(EXPIRES - 3600))().valid_until == EXPIRES
    time.tzset()


def test_an_api_key_is_sent_in_its_header() -> None:
    """Credentials that are no OAuth token bring the header of their own."""
    assert fetcher(api_key.Credentials("k"), Clock())().headers == (("x-goog-api-key", "k"),)


def test_anonymous_credentials_bring_no_header() -> None:
    """They are never refreshed, which they would refuse."""
    fetched = fetcher(AnonymousCredentials(), Clock())()
    assert (fetched.headers, fetched.renew_at) == ((), NEVER)


@pytest.mark.parametrize(("life", "renew_after"), [(3600, 3150), (1000, 550), (900, 450), (300, 150), (2, 1)])
def test_a_short_life_is_used_to_its_half(life: float, renew_after: float) -> None:
    """A token is renewed 450 s ahead, but never before half its life is over."""
    clock = Clock(EXPIRES)
    fetched = fetcher(ShortLived(life, clock), clock)()
    assert (fetched.renew_at, fetched.valid_until) == (EXPIRES + renew_after, EXPIRES + life)


def test_headers_are_lower_case() -> None:
    """GRPC refuses capitals, so what credentials add is spelled as HTTP/2 wants it."""
    clock = Clock(EXPIRES)
    assert fetcher(ShortLived(3600, clock), clock)().headers == (
        ("authorization", "Bearer token-1"),
        ("x-goog-user-project", "payer"),
    )


def test_credentials_are_loaded_once_and_not_before_they_are_needed(account: Any) -> None:
    """Loading may do I/O: it waits for the first fetch, and is tried again if it failed."""
    answers: list[Any] = [OSError("not yet"), account]
    account.token, account.expiry = "old", EXPIRY

    def load(_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    fetch = TokenFetcher(load, clock=Clock(EXPIRES - 1000))
    assert len(answers) == 2
    with pytest.raises(OSError, match="not yet"):
        fetch()
    assert fetch() == fetch()
    assert answers == []


class LookingUp(ShortLived):
    """Credentials that begin to look something up with the first request, and then add a header for it."""

    def __init__(self, life: float, clock: Clock) -> None:
        super().__init__(life, clock)
        self.asked: list[str] = []

    def before_request(self, request: Any, method: str, url: str, headers: dict[str, str]) -> None:
        """Add the header from the second request on, as google-auth does once its look-up has ended."""
        if self.asked:
            headers["x-allowed-locations"] = "0x0"
        headers["x-goog-api-client"] = "cred-type/sa"
        self.asked.append(url)
        self.apply(headers)


def test_what_credentials_add_for_a_google_service_is_asked_for_again_soon() -> None:
    """The header that was looked up meanwhile comes ten seconds after the first token, which stays the same."""
    clock = Clock(EXPIRES - 3600)
    credentials = LookingUp(3600, clock)
    service = "https://spanner.googleapis.com/google.spanner.v1.Spanner"
    fetch = TokenFetcher(lambda _: credentials, service=service, clock=clock, draw=lambda: 0.0)
    first = fetch()
    assert first.headers == (("authorization", "Bearer token-1"), ("x-goog-user-project", "payer"))
    assert (first.renew_at, first.valid_until) == (clock() + 10, EXPIRES)
    clock.now += 10
    second = fetch()
    assert second.headers == (("x-allowed-locations", "0x0"), *first.headers)
    assert (second.renew_at, credentials.refreshes) == (EXPIRES - 450, 1)
    assert credentials.asked == [service] * 2


def test_nothing_is_looked_up_for_another_server() -> None:
    """Without the name of a Google service, and with a token that google-auth would replace, nothing is begun."""
    clock = Clock(EXPIRES)
    for credentials, service in ((LookingUp(3600, clock), None), (LookingUp(400, clock), "https://spanner")):
        token = TokenFetcher(lambda _, credentials=credentials: credentials, service=service, clock=clock)()  # type: ignore[misc]  # bound now
        assert "x-allowed-locations" not in dict(token.headers)
        assert credentials.asked == []


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        (None, "https://spanner.googleapis.com/google.spanner.v1.Spanner"),
        (
            "spanner.me-central2.rep.googleapis.com",
            "https://spanner.me-central2.rep.googleapis.com/google.spanner.v1.Spanner",
        ),
        ("127.0.0.1:1", None),
        ("googleapis.com.example.com", None),
    ],
)
def test_the_service_is_named_to_credentials_where_it_is_googles(endpoint: str | None, service: str | None) -> None:
    """By the host that the client connects to."""
    options = ClientOptions(endpoint=endpoint)
    source: Any = tokens_for(None, options, address=resolve(options, None, {}).address, authenticated=True)
    assert source._fetch._service == service


@pytest.mark.parametrize("ahead", [0.0, 7200.0], ids=["right", "ahead"])
def test_a_token_is_renewed_in_time_though_the_wall_clock_is_set_back(ahead: float) -> None:
    """The credentials go by the wall clock alone, and would return the old token until long after its end."""
    clock, ticks = Clock(EXPIRES + ahead), [0.0]
    credentials = ShortLived(3600.0, clock)
    source = TokenSource(fetcher(credentials, clock), clock=clock, timer=lambda: ticks[0], draw=lambda: 0.0)
    try:
        first = source.wait(DEADLINE)
        clock.now, ticks[0] = EXPIRES + 3200.0 - 7200.0 + ahead, 3200.0
        with source._changed:
            # As its timer would by now, which goes by the other clock.
            source._changed.notify_all()
        until(lambda: source.current() != first)
        assert credentials.refreshes == 2
    finally:
        source.close(timeout=DEADLINE)


def test_processes_that_are_deployed_together_renew_their_first_token_one_after_the_other() -> None:
    """In the last three quarters of its life, but for what every renewal leaves; the next ones at the usual time."""
    times = []
    for draw in (0.0, 0.25, 0.5, 0.75, 1.0):
        clock = Clock(EXPIRES)
        credentials = ShortLived(3600, clock)
        fetch = TokenFetcher(lambda _, credentials=credentials: credentials, clock=clock, draw=lambda draw=draw: draw)  # type: ignore[misc]  # bound now
        times.append(fetch().renew_at - EXPIRES)
        clock.now = EXPIRES + times[-1]
        assert fetch().renew_at - clock.now == 3150
        assert credentials.refreshes == 2
    assert times == [3150.0, 2587.5, 2025.0, 1462.5, 900.0]


def test_processes_that_fail_together_renew_their_next_token_one_after_the_other() -> None:
    """A token that could not be renewed early serves on, and an outage of the endpoint brings no rush an hour later."""
    clock = Clock(EXPIRES)
    credentials = ShortLived(3600, clock)
    fetch = TokenFetcher(lambda _: credentials, clock=clock, draw=lambda: 0.5)
    assert fetch().renew_at == EXPIRES + 2025
    clock.now += 2025
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShortLived, "refresh", _refuse)
        with pytest.raises(RefreshError):
            fetch()
    clock.now += 25
    assert fetch().renew_at == pytest.approx(EXPIRES + 3600 - (450 + 0.5 * (0.75 * 1550 - 450)))
    assert credentials.refreshes == 1
    clock.now = EXPIRES + 3300
    assert fetch().renew_at == clock.now + 3150
    rejected = fetch()
    assert fetch(rejected.headers).renew_at == clock.now + 2025


def _refuse(*_: object) -> None:
    raise RefreshError("no")
