"""What the doctor makes of failures, also of those that no test stages."""

from __future__ import annotations

import pytest
from google.oauth2 import credentials as user_credentials

from spanner_grpc_sessions.cli.doctor import diagnosis
from spanner_grpc_sessions.cli.doctor.finding import Trouble
from spanner_grpc_sessions.errors.rpc import Internal, InvalidArgument, NotFound

_WHO = "service account a@p.iam.gserviceaccount.com"
_DATABASE = "projects/p/instances/i/databases/d"


def _token(text: str, skew: float | None = None, *, passing: bool = False, is_user: bool = False) -> Trouble:
    return diagnosis.of_token(text, _WHO, skew, passing=passing, is_user=is_user)


def _name(host: str, *, unknown: bool = True, is_proxy: bool = False) -> Trouble:
    return diagnosis.of_name(host, unknown=unknown, is_proxy=is_proxy)


def _connection(error: OSError, *, is_proxy: bool = False) -> Trouble:
    return diagnosis.of_connection(error, "h:1", is_proxy=is_proxy, is_emulator=False)


_CASES: list[tuple[Trouble, str, str]] = [
    (_name("spanner.europe-wst1.rep.googleapis.com"), "wrong-region", "no endpoint in the region 'europe-wst1'"),
    (_name("spanner.googleapis.com"), "name-not-resolved", "let it resolve googleapis.com"),
    (_name("h.test"), "name-not-resolved", "does not exist: correct the endpoint"),
    (_name("h.test", unknown=False), "name-not-resolved", "No name server answered"),
    (_name("proxy.test", is_proxy=True), "name-not-resolved", "correct the proxy variables"),
    (_connection(TimeoutError()), "no-answer", "have firewalls and routes allow it"),
    (_connection(OSError("No route to host")), "unreachable", "(No route to host)"),
    (_connection(TimeoutError(), is_proxy=True), "no-answer", "The proxy h:1 does not answer"),
    (diagnosis.of_proxy(0, "proxy:80", "h:443"), "proxy", "does not speak HTTP: have it allow h:443"),
    (diagnosis.of_certificate(9, "not yet valid", "h"), "clock-skew", "set this machine's clock"),
    (diagnosis.of_certificate(10, "expired", "h"), "certificate-expired", "renew it"),
    (diagnosis.of_certificate(18, "self-signed certificate", "h"), "unknown-authority", "(self-signed certificate)"),
    (diagnosis.of_certificate(64, "IP address mismatch", "h"), "other-host", "is not of h"),
    (diagnosis.of_handshake("timed out", "h:1"), "tls", "(timed out)"),
    (diagnosis.of_greeting(b"HTTP/1.1 ", "h:1"), "no-http2", "its gRPC port"),
    (diagnosis.of_greeting(b"\0\0\0\0\0", "h:1"), "no-http2", "let HTTP/2 pass"),
    (
        diagnosis.of_silence("h:1", speaks_tls=False, in_tls=True, shows_certificate=True),
        "no-http2",
        "does not speak HTTP/2",
    ),
    (_token("('invalid_grant: Invalid JWT Signature.',"), "expired-key", "was deleted or disabled: create a new one"),
    (
        _token("invalid_grant: Invalid JWT: Token must be a short-lived token and in a reasonable timeframe."),
        "clock-skew",
        "set it, best by NTP",
    ),
    (_token("invalid_grant", 3600.0), "clock-skew", "3,600 s ahead"),
    (_token("invalid_grant: revoked", is_user=True), "expired-key", "gcloud auth application-default login"),
    (_token("invalid_scope: Some requested scopes were invalid."), "wrong-scope", "auth/spanner.data"),
    (_token("unauthorized_client"), "token", "(unauthorized_client): correct the credentials"),
    (_token("no answer", passing=True), "token-endpoint", "let this machine reach it"),
    (diagnosis.of_setting(ValueError("x must be y"), "localhost:9010"), "setting", "x must be y"),
    (
        diagnosis.of_setting(ValueError("SPANNER_EMULATOR_HOST must be …"), "grpc://"),
        "scheme-in-emulator-host",
        "begins with grpc://: set it to localhost:9010",
    ),
]


@pytest.mark.parametrize(("trouble", "cause", "text"), _CASES, ids=[f"{cause}-{text}" for _, cause, text in _CASES])
def test_failure_has_a_cause_and_a_sentence(trouble: Trouble, cause: str, text: str) -> None:
    """What is wrong, a colon, and what to do."""
    finding = trouble.finding
    assert (finding.status, finding.cause) == ("failed", cause)
    assert text in finding.text
    assert ": " in finding.text
    assert finding.text.endswith(".")


@pytest.mark.parametrize(
    ("error", "address", "cause"),
    [
        (
            InvalidArgument("the region is not yours", method="m"),
            "spanner.me-central2.rep.googleapis.com:443",
            "wrong-region",
        ),
        (InvalidArgument("the region is not yours", method="m"), "spanner.googleapis.com:443", "call"),
        (NotFound("InvalidRegionalRequest", method="m"), "h:1", "wrong-region"),
        (Internal("InvalidRegionalRequest", method="m"), "h:1", "call"),
    ],
)
def test_region_is_wrong_where_the_endpoint_has_one(
    error: InvalidArgument | NotFound | Internal, address: str, cause: str
) -> None:
    """Or where the server says so by Google's name for it; the body of the error comes along."""
    finding = diagnosis.of_call(error, _DATABASE, address, _WHO, "spanner.sessions.create").finding
    assert finding.cause == cause
    assert finding.data == error.to_rest()


def test_credentials_are_told_by_whose_they_are() -> None:
    """By the address of an account where there is one, otherwise by the class."""

    class Token:
        service_account_email = "default"

    class Account:
        service_account_email = "a@p.iam.gserviceaccount.com"

    assert diagnosis.described(Account()) == _WHO
    assert diagnosis.described(Token()) == "Token"


@pytest.mark.parametrize(("account", "text"), [("ada@example.com", "user ada@example.com"), ("", "the gcloud login")])
def test_credentials_of_a_user_are_told_by_the_account(account: str, text: str) -> None:
    """Gcloud writes it into the file of a login, in newer versions."""
    login = user_credentials.Credentials(None, account=account)
    assert diagnosis.described(login) == text
