"""Credentials made ready for calls, with google-auth's own objects and without network."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import api_key, jwt
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.oauth2 import credentials as oauth2

from spanner_grpc_sessions.auth import tokens_for
from spanner_grpc_sessions.auth.call_credentials import _Plugin
from spanner_grpc_sessions.auth.credentials import TokenFetcher, load_credentials
from spanner_grpc_sessions.auth.token import NEVER
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.errors import CredentialsError
from spanner_grpc_sessions.options import SCOPE_DATA, ClientOptions
from tests.unit.auth.token_endpoints import DEADLINE, Endpoint, token

OPTIONS = ClientOptions()


def claims_of(headers: Mapping[str, str], key: rsa.RSAPrivateKey) -> Mapping[str, Any]:
    """Return what a self-signed token says, its signature checked."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims: Mapping[str, Any] = jwt.decode(headers["authorization"].removeprefix("Bearer "), certs=public)
    return claims


def test_a_service_account_signs_its_tokens_itself(account: Any, key: rsa.RSAPrivateKey) -> None:
    """The token is a JWT with the narrow scope, made without a token endpoint."""
    now = datetime.now(timezone.utc).timestamp()
    fetched = TokenFetcher(lambda _: load_credentials(account, OPTIONS), draw=lambda: 0.0)()
    claims = claims_of(dict(fetched.headers), key)
    assert claims["iss"] == claims["sub"] == "tester@p.iam.gserviceaccount.com"
    assert claims["scope"] == SCOPE_DATA
    assert "aud" not in claims
    assert now + 3500 < fetched.valid_until < now + 3700
    assert fetched.renew_at == pytest.approx(fetched.valid_until - 450, abs=0.1)


def test_a_delegated_service_account_asks_the_token_endpoint(account: Any) -> None:
    """Domain-wide delegation needs an exchange: nothing is signed in the user's name."""
    loaded: Any = load_credentials(account.with_subject("user@example.com"), OPTIONS)
    assert not loaded._always_use_jwt_access
    with pytest.raises(TransportError):
        TokenFetcher(lambda _: loaded)()


def test_scopes_that_credentials_have_are_kept(account: Any, key: rsa.RSAPrivateKey) -> None:
    """The options' scopes are for credentials without any."""
    broad = "https://www.googleapis.com/auth/cloud-platform"
    fetched = TokenFetcher(lambda _: load_credentials(account.with_scopes([broad]), OPTIONS))()
    assert claims_of(dict(fetched.headers), key)["scope"] == broad


def test_scopes_of_the_options_are_asked_for(account: Any, key: rsa.RSAPrivateKey) -> None:
    """All of them, in one token."""
    options = ClientOptions(scopes=("https://example.com/a", "https://example.com/b"))
    fetched = TokenFetcher(lambda _: load_credentials(account, options))()
    assert claims_of(dict(fetched.headers), key)["scope"] == "https://example.com/a https://example.com/b"


@pytest.mark.parametrize(
    ("own", "option", "sent"), [(None, "o", "o"), ("c", "o", "o"), ("c", None, "c"), (None, None, None)]
)
def test_quota_project_of_the_options_wins(account: Any, own: str | None, option: str | None, sent: str | None) -> None:
    """The project that pays is the options', else the credentials', else it is not sent."""
    credentials = account.with_quota_project(own) if own else account
    headers = dict(TokenFetcher(lambda _: load_credentials(credentials, OPTIONS), quota_project_id=option)().headers)
    assert headers.get("x-goog-user-project") == sent


def test_the_callers_credentials_are_not_changed(account: Any) -> None:
    """Scopes and the rest are set on a copy: the caller may use its object elsewhere."""
    load_credentials(account, OPTIONS)
    assert (account.scopes, account._always_use_jwt_access) == (None, False)


@pytest.mark.parametrize("credentials", [AnonymousCredentials(), api_key.Credentials("k"), oauth2.Credentials("t")])
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
    loaded: Any = load_credentials(None, OPTIONS)
    assert loaded.service_account_email == info["client_email"]
    assert tuple(loaded.scopes) == (SCOPE_DATA,)
    assert TokenFetcher(lambda _: loaded)().headers[0][0] == "authorization"


def test_missing_application_default_credentials_raise_credentials_error() -> None:
    """Where there are none, google-auth says so, and the caller learns it as our error."""
    with pytest.raises(DefaultCredentialsError):
        load_credentials(None, OPTIONS)
    source = tokens_for(None, OPTIONS, address="localhost:1", authenticated=True)
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
    source = tokens_for(None, OPTIONS, address="localhost:1", authenticated=True)
    try:
        with pytest.raises(CredentialsError) as error:
            source.wait(DEADLINE)
    finally:
        source.close()
    told = "".join(traceback.format_exception(error.value))
    assert not [line for line in lines[1:-1] if line in told]


def test_no_repr_has_key_or_token(account: Any, info: Mapping[str, str]) -> None:
    """Neither a fetcher nor what it fetched shows a secret."""
    fetch = TokenFetcher(lambda _: load_credentials(account, OPTIONS))
    fetched = fetch()
    shown = f"{fetch!r} {fetched!r} {tokens_for(account, OPTIONS, address='x:1', authenticated=True)!r}"
    assert info["private_key"].splitlines()[1] not in shown
    assert dict(fetched.headers)["authorization"].removeprefix("Bearer ") not in shown


def test_a_target_without_authentication_has_an_anonymous_source(account: Any) -> None:
    """On the emulator the credentials are not even looked at."""
    source = tokens_for(account, OPTIONS, address="localhost:1", authenticated=False)
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
    plugin: Any = _Plugin(source)
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
    plugin: Any = _Plugin(source)
    plugin(grpc.AuthMetadataContext(), callback)
    source.close(timeout=DEADLINE)
    assert callback.answer is not None
    metadata, error = callback.answer
    assert metadata == ()
    assert isinstance(error, CredentialsError)
    assert "no key" in str(error)
