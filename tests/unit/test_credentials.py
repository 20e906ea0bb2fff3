"""Credentials made ready for calls, and tokens fetched from them: with google-auth's own objects, without network."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import google.auth.transport
import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import api_key, jwt
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from spanner_grpc_sessions.credentials import CallCredentials, TokenFetcher, load_credentials, token_source
from spanner_grpc_sessions.errors import CredentialsError
from spanner_grpc_sessions.options import SCOPE_DATA, ClientOptions
from spanner_grpc_sessions.token_source import NEVER, TokenSource
from spanner_grpc_sessions.transport import Security, Target
from tests.unit.token_endpoints import DEADLINE, Clock, Endpoint, token

EXPIRY = datetime(2030, 1, 1)
EXPIRES = EXPIRY.replace(tzinfo=timezone.utc).timestamp()
# Nobody listens on port 1: who asks it for a token gets a TransportError.
NOWHERE = "http://127.0.0.1:1/token"
OPTIONS = ClientOptions()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """A key of this run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def info(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """What a service account's key file holds."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "tester@p.iam.gserviceaccount.com",
        "token_uri": NOWHERE,
    }


@pytest.fixture
def account(info: Mapping[str, str]) -> Any:
    """The credentials of a service account, without scopes."""
    return service_account.Credentials.from_service_account_info(info)


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
    return TokenFetcher(lambda: credentials, clock=clock)


def claims_of(headers: Mapping[str, str], key: rsa.RSAPrivateKey) -> Mapping[str, Any]:
    """Return what a self-signed token says, its signature checked."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims: Mapping[str, Any] = jwt.decode(headers["authorization"].removeprefix("Bearer "), certs=public)
    return claims


def test_a_service_account_signs_its_tokens_itself(account: Any, key: rsa.RSAPrivateKey) -> None:
    """The token is a JWT with the narrow scope, made without a token endpoint."""
    now = datetime.now(timezone.utc).timestamp()
    fetched = TokenFetcher(lambda: load_credentials(account, OPTIONS))()
    claims = claims_of(dict(fetched.headers), key)
    assert claims["iss"] == claims["sub"] == "tester@p.iam.gserviceaccount.com"
    assert claims["scope"] == SCOPE_DATA
    assert "aud" not in claims
    assert now + 3500 < fetched.valid_until < now + 3700
    assert fetched.renew_at == pytest.approx(fetched.valid_until - 450, abs=0.1)


def test_a_delegated_service_account_asks_the_token_endpoint(account: Any) -> None:
    """Domain-wide delegation needs an exchange: nothing is signed in the user's name."""
    loaded = load_credentials(account.with_subject("user@example.com"), OPTIONS)
    with pytest.raises(TransportError):
        TokenFetcher(lambda: loaded)()


def test_scopes_that_credentials_have_are_kept(account: Any, key: rsa.RSAPrivateKey) -> None:
    """The options' scopes are for credentials without any."""
    broad = "https://www.googleapis.com/auth/cloud-platform"
    fetched = TokenFetcher(lambda: load_credentials(account.with_scopes([broad]), OPTIONS))()
    assert claims_of(dict(fetched.headers), key)["scope"] == broad


def test_scopes_of_the_options_are_asked_for(account: Any, key: rsa.RSAPrivateKey) -> None:
    """All of them, in one token."""
    options = ClientOptions(scopes=("https://example.com/a", "https://example.com/b"))
    fetched = TokenFetcher(lambda: load_credentials(account, options))()
    assert claims_of(dict(fetched.headers), key)["scope"] == "https://example.com/a https://example.com/b"


@pytest.mark.parametrize(
    ("own", "option", "sent"), [(None, "o", "o"), ("c", "o", "o"), ("c", None, "c"), (None, None, None)]
)
def test_quota_project_of_the_options_wins(account: Any, own: str | None, option: str | None, sent: str | None) -> None:
    """The project that pays is the options', else the credentials', else it is not sent."""
    credentials = account.with_quota_project(own) if own else account
    loaded = load_credentials(credentials, ClientOptions(quota_project_id=option))
    headers = dict(TokenFetcher(lambda: loaded)().headers)
    assert headers.get("x-goog-user-project") == sent


def test_the_callers_credentials_are_not_changed(account: Any) -> None:
    """Scopes and the rest are set on a copy: the caller may use its object elsewhere."""
    load_credentials(account, ClientOptions(quota_project_id="q"))
    assert (account.scopes, account.quota_project_id, account._always_use_jwt_access) == (None, None, False)


@pytest.mark.parametrize(
    "credentials", [AnonymousCredentials(), api_key.Credentials("k"), oauth2.Credentials("t"), ShortLived(1, Clock())]
)
def test_credentials_of_other_kinds_are_used_as_they_are(credentials: Any) -> None:
    """What can neither be scoped nor sign for itself is left alone."""
    assert load_credentials(credentials, OPTIONS) is credentials


def test_application_default_credentials_are_found(
    info: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without explicit credentials the key file of the environment is read, scoped and used without network."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    loaded: Any = load_credentials(None, ClientOptions(quota_project_id="q"))
    assert (loaded.service_account_email, loaded.quota_project_id) == (info["client_email"], "q")
    assert tuple(loaded.scopes) == (SCOPE_DATA,)
    assert TokenFetcher(lambda: loaded)().headers[0][0] == "authorization"


def test_no_application_default_credentials_is_told() -> None:
    """Where there are none, google-auth says so, and the caller learns it as our error."""
    with pytest.raises(DefaultCredentialsError):
        load_credentials(None, OPTIONS)
    source = token_source(Target("localhost:1", Security.TLS, authenticated=True), None, OPTIONS)
    try:
        with pytest.raises(CredentialsError, match="DefaultCredentialsError"):
            source.wait(DEADLINE)
    finally:
        source.close()


def test_no_message_has_the_key(info: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key file that is damaged is told of without what it holds, however deep the chain of causes is."""
    lines = info["private_key"].splitlines()
    info["private_key"] = "\n".join([*lines[:5], "damage", *lines[5:]])
    file = tmp_path / "key.json"
    file.write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    source = token_source(Target("localhost:1", Security.TLS, authenticated=True), None, OPTIONS)
    try:
        with pytest.raises(CredentialsError) as error:
            source.wait(DEADLINE)
    finally:
        source.close()
    told = "".join(traceback.format_exception(error.value))
    assert not [line for line in lines[1:-1] if line in told]


def test_no_repr_has_key_or_token(account: Any, info: Mapping[str, str]) -> None:
    """Neither a fetcher nor what it fetched shows a secret."""
    fetch = TokenFetcher(lambda: load_credentials(account, OPTIONS))
    fetched = fetch()
    shown = f"{fetch!r} {fetched!r} {token_source(Target('x:1', Security.TLS, True), account, OPTIONS)!r}"
    assert info["private_key"].splitlines()[1] not in shown
    assert dict(fetched.headers)["authorization"].removeprefix("Bearer ") not in shown


@pytest.mark.parametrize(("left", "renew_before"), [(3600, 450), (900, 450), (450.5, 225.25)])
def test_a_fresh_token_is_not_refreshed(account: Any, left: float, renew_before: float) -> None:
    """A token that someone else has refreshed serves while it has more than 450 s left."""
    account.token, account.expiry = "old", EXPIRY
    fetched = fetcher(account, Clock(EXPIRES - left))()
    assert fetched.headers == (("authorization", "Bearer old"),)
    assert (fetched.renew_at, fetched.valid_until) == (EXPIRES - renew_before, EXPIRES)


@pytest.mark.parametrize("left", [449.9, 0.0, -1000.0])
def test_a_token_about_to_expire_is_refreshed(account: Any, left: float) -> None:
    """At 450 s, twice what google-auth calls stale, a new one is made."""
    loaded: Any = load_credentials(account, OPTIONS)
    loaded.token, loaded.expiry = "old", EXPIRY
    fetched = fetcher(loaded, Clock(EXPIRES - left))()
    assert dict(fetched.headers)["authorization"] != "Bearer old"


def test_a_token_without_expiry_is_valid_for_ever() -> None:
    """A static token is never renewed."""
    fetched = fetcher(oauth2.Credentials("static"), Clock(1e12))()
    assert fetched.headers == (("authorization", "Bearer static"),)
    assert (fetched.renew_at, fetched.valid_until) == (NEVER, NEVER)


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

    def load() -> Any:
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


def test_a_target_without_authentication_has_an_anonymous_source(account: Any) -> None:
    """On the emulator the credentials are not even looked at."""
    source = token_source(Target("localhost:1", Security.PLAINTEXT, authenticated=False), account, OPTIONS)
    assert source.current() == ()


class Callback:
    """What gRPC hands to its plugins: keeps the answer."""

    def __init__(self) -> None:
        self.answer: tuple[Any, Exception | None] | None = None

    def __call__(self, metadata: Any, error: Exception | None) -> None:
        """Take the answer."""
        self.answer = (metadata, error)


def test_call_credentials_give_grpc_the_headers_of_the_source() -> None:
    """The plugin waits for the first token, and then has it at hand."""
    endpoint = Endpoint(token("t", renew_at=NEVER, valid_until=NEVER))
    source = TokenSource(endpoint)
    plugin: Any = CallCredentials(source)
    for _ in range(2):
        callback = Callback()
        plugin(grpc.AuthMetadataContext(), callback)
        assert callback.answer == ((("authorization", "Bearer t"),), None)
    source.close(timeout=DEADLINE)
    assert endpoint.calls == 1


def test_call_credentials_tell_grpc_why_there_is_no_token() -> None:
    """The plugin answers with the error and does not raise it."""
    source = TokenSource(Endpoint(ValueError("no key")))
    callback = Callback()
    plugin: Any = CallCredentials(source)
    plugin(grpc.AuthMetadataContext(), callback)
    source.close(timeout=DEADLINE)
    assert callback.answer is not None
    metadata, error = callback.answer
    assert metadata == ()
    assert isinstance(error, CredentialsError)
    assert "no key" in str(error)
