"""Tokens: what is believed, and each reason not to."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from google.auth import crypt, jwt
from google.rpc import error_details_pb2

from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.local.tokens import (
    AUDIENCE,
    EMAIL,
    GOOGLE_ENDPOINT,
    Authority,
    BadToken,
    Grant,
    ServiceAccount,
)
from spanner_grpc_sessions.options import SCOPE_DATA

NOW = 1_800_000_000.0
PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
ADMIN = "https://www.googleapis.com/auth/spanner.admin"
CLAIMS = {"iss": EMAIL, "sub": EMAIL, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 3600}
TOKEN_URI = "http://127.0.0.1:1/token"  # noqa: S105 - an address, no password
DEEP = base64.urlsafe_b64encode(b"[" * 6000).decode()
UNSUPPORTED = "ACCESS_TOKEN_TYPE_UNSUPPORTED"


@pytest.fixture(scope="module")
def account() -> ServiceAccount:
    """One key for the module: it takes a while to make."""
    return ServiceAccount()


@pytest.fixture
def authority(account: ServiceAccount) -> Authority:
    """An authority whose time stands still."""
    return Authority(account, lambda: NOW)


def sign(account: ServiceAccount, without: str = "", header: dict[str, str] | None = None, **claims: Any) -> str:
    """Return a JWT of the account: the good claims, with changes."""
    signer = account.credentials(TOKEN_URI).signer
    content = {key: value for key, value in {**CLAIMS, **claims}.items() if key != without}
    token: bytes = jwt.encode(signer, content, header=header)
    return token.decode()


def encode(*parts: object) -> str:
    """Return parts of a JWT without signing anything."""
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def authorize(authority: Authority, token: str) -> Grant:
    """Return what a call with this token is granted."""
    return authority.authorize([("authorization", f"Bearer {token}")], "GetSession")


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Return status and ErrorInfo reason of a call that must be refused."""
    with pytest.raises(RpcStatus) as raised:
        call()
    info = raised.value.details[0]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.domain == "googleapis.com"
    assert info.metadata["method"] == "google.spanner.v1.Spanner.GetSession"
    return raised.value.status, info.reason


@pytest.mark.parametrize("scope", [SCOPE_DATA, PLATFORM])
def test_an_issued_token_with_a_fitting_scope_is_taken(authority: Authority, scope: str) -> None:
    """Either scope of the REST reference opens the data API, beside others."""
    grant = authorize(authority, authority.issue([ADMIN, scope], 60))
    assert grant == Grant("access token", EMAIL, True, NOW + 60)


def test_a_jwt_for_spanner_is_taken(authority: Authority, account: ServiceAccount) -> None:
    """A self-signed JWT is good for the audience of Spanner, or without audience for a fitting scope."""
    assert authorize(authority, sign(account)) == Grant("self-signed JWT", EMAIL, True, NOW + 3600)
    assert authorize(authority, sign(account, "aud", scope=f"{ADMIN} {PLATFORM}")).data


def test_the_jwts_of_google_auth_are_taken(account: ServiceAccount) -> None:
    """What google-auth signs itself for Spanner, with an audience or with scopes, is accepted in real time."""
    authority = Authority(account)
    for scopes in (None, [SCOPE_DATA]):
        credentials = account.credentials(TOKEN_URI).with_scopes(scopes).with_always_use_jwt_access(True)
        credentials._create_self_signed_jwt(AUDIENCE)
        credentials.refresh(None)
        assert authorize(authority, credentials.token).kind == "self-signed JWT"


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Basic dXNlcjpwYXNz")],
        [("authorization", "Bearer nonsense")],
        [("authorization", "Bearer a.b.c")],
        [("authorization", "Bearer é.é.é")],
        [("authorization", "Bearer " + encode([], [], []))],
        [("authorization", f"Bearer {DEEP}.{DEEP}.")],
    ],
)
def test_a_malformed_authorization_is_refused(authority: Authority, metadata: list[tuple[str, str]]) -> None:
    """Anything but one bearer token of ours is UNAUTHENTICATED."""
    assert refusal(lambda: authority.authorize(metadata, "GetSession")) == ("UNAUTHENTICATED", UNSUPPORTED)


def test_missing_and_doubled_authorization_are_refused(authority: Authority) -> None:
    """No token is told apart from a bad one, and two are one too many."""
    token = authority.issue([SCOPE_DATA], 60)
    twice = [("authorization", f"Bearer {token}")] * 2
    assert refusal(lambda: authority.authorize([], "GetSession")) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
    assert refusal(lambda: authority.authorize(twice, "GetSession")) == ("UNAUTHENTICATED", UNSUPPORTED)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "someone@else.example"}, UNSUPPORTED),
        ({"sub": "someone@else.example"}, UNSUPPORTED),
        ({"without": "iss"}, UNSUPPORTED),
        ({"aud": "https://spanner.googleapis.com"}, UNSUPPORTED),
        ({"aud": [AUDIENCE]}, UNSUPPORTED),
        ({"aud": GOOGLE_ENDPOINT, "scope": SCOPE_DATA}, UNSUPPORTED),
        ({"iat": NOW + 11, "exp": NOW + 60}, UNSUPPORTED),
        ({"iat": NOW - 3600, "exp": NOW + 60}, UNSUPPORTED),
        ({"iat": NOW - 3600, "exp": NOW}, "ACCESS_TOKEN_EXPIRED"),
        ({"without": "exp"}, UNSUPPORTED),
        ({"without": "iat"}, UNSUPPORTED),
        ({"exp": "soon"}, UNSUPPORTED),
        ({"exp": True}, UNSUPPORTED),
        ({"exp": float("nan")}, UNSUPPORTED),
        ({"iat": -(10**400)}, UNSUPPORTED),
    ],
)
def test_a_jwt_with_a_wrong_claim_is_refused(
    authority: Authority, account: ServiceAccount, claims: dict[str, Any], reason: str
) -> None:
    """Issuer, subject, audience and both times must be right; the signature alone is not enough."""
    token = sign(account, **claims)
    assert refusal(lambda: authorize(authority, token)) == ("UNAUTHENTICATED", reason)


def test_a_small_difference_of_clocks_is_forgiven(authority: Authority, account: ServiceAccount) -> None:
    """A JWT issued a few seconds ahead of our clock is taken."""
    assert authorize(authority, sign(account, iat=NOW + 9, exp=NOW + 3609)).data


def test_a_jwt_signed_otherwise_is_refused(authority: Authority, account: ServiceAccount) -> None:
    """No other key, no other algorithm, none at all, and nothing changed after signing."""
    header, claims, signature = sign(account).split(".")
    stranger = ServiceAccount()
    stranger.key_id = account.key_id
    secret = crypt.RSASigner.from_string(account.key_file(TOKEN_URI)["private_key"])
    tokens = {
        "another key": sign(stranger),
        "another key id": jwt.encode(secret, CLAIMS, key_id="other").decode(),
        "no key id": jwt.encode(secret, CLAIMS).decode(),
        "alg none": encode({"alg": "none", "kid": account.key_id}, CLAIMS) + ".",
        "alg none, signed": sign(account, header={"alg": "none"}),
        "alg HS256": sign(account, header={"alg": "HS256"}),
        "changed claims": f"{header}.{encode({**CLAIMS, 'exp': NOW + 1800})}.{signature}",
        "no signature": f"{header}.{claims}.",
    }
    for case, token in tokens.items():
        assert refusal(partial(authorize, authority, token)) == ("UNAUTHENTICATED", UNSUPPORTED), case


def test_the_credentials_ask_no_other_machine(account: ServiceAccount) -> None:
    """google-auth has no address where it would ask Google about the account, also on copies of the credentials."""
    credentials: Any = account.credentials(TOKEN_URI)
    for each in (credentials, credentials.with_scopes([SCOPE_DATA])):
        assert each._build_regional_access_boundary_lookup_url() is None


def test_a_token_ends_with_its_lifetime(account: ServiceAccount) -> None:
    """A token is good up to its last moment, and a JWT that was believed once is not believed for ever."""
    times = [NOW]
    authority = Authority(account, lambda: times[-1])
    tokens = [authority.issue([SCOPE_DATA], 3600), sign(account)]
    for token in tokens:
        authorize(authority, token)
    times.append(NOW + 3599.9)
    for token in tokens:
        authorize(authority, token)
    times.append(NOW + 3600)
    for token in tokens:
        assert refusal(partial(authorize, authority, token)) == ("UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED")


def test_a_token_without_a_fitting_scope_is_forbidden(authority: Authority, account: ServiceAccount) -> None:
    """A valid token that does not open the data API is PERMISSION_DENIED."""
    denied = ("PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    for token in (
        authority.issue([ADMIN], 60),
        authority.issue([], 60),
        sign(account, "aud", scope=ADMIN),
        sign(account, "aud"),
        sign(account, "aud", scope=[SCOPE_DATA]),
    ):
        assert refusal(partial(authorize, authority, token)) == denied


@pytest.mark.parametrize("audience", [TOKEN_URI, GOOGLE_ENDPOINT])
def test_an_assertion_is_exchanged_for_a_token(authority: Authority, account: ServiceAccount, audience: str) -> None:
    """A signed assertion for the endpoint gives a token with the scopes it asks for."""
    token = authority.exchange(sign(account, aud=audience, scope=SCOPE_DATA), TOKEN_URI, 60)
    assert authorize(authority, token) == Grant("access token", EMAIL, True, NOW + 60)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, UNSUPPORTED),
        ({"without": "aud"}, UNSUPPORTED),
        ({"aud": TOKEN_URI}, "invalid_scope"),
        ({"aud": TOKEN_URI, "scope": " "}, "invalid_scope"),
        ({"aud": TOKEN_URI, "iat": NOW - 3600, "exp": NOW - 1}, "ACCESS_TOKEN_EXPIRED"),
    ],
)
def test_a_wrong_assertion_is_not_exchanged(
    authority: Authority, account: ServiceAccount, claims: dict[str, Any], reason: str
) -> None:
    """An assertion for someone else, an old one, and one without scope give no token."""
    with pytest.raises(BadToken) as raised:
        authority.exchange(sign(account, **claims), TOKEN_URI, 60)
    assert raised.value.reason == reason


def test_refusals_do_not_repeat_the_token(authority: Authority, account: ServiceAccount) -> None:
    """Neither message nor details of a refusal hold the token that was refused."""
    tokens = [sign(account, aud="other"), "nonsense-1234", authority.issue([ADMIN], 60), authority.issue([], 0)]
    for token in tokens:
        with pytest.raises(RpcStatus) as raised:
            authorize(authority, token)
        assert token not in f"{raised.value} {raised.value.details} {raised.value.__cause__}"


def test_old_tokens_make_room_for_new_ones(authority: Authority) -> None:
    """Tokens are remembered in bounded number, the newest ones."""
    first, *_, last = [authority.issue([SCOPE_DATA], 60) for _ in range(10_001)]
    assert authorize(authority, last).data
    assert refusal(lambda: authorize(authority, first)) == ("UNAUTHENTICATED", UNSUPPORTED)
