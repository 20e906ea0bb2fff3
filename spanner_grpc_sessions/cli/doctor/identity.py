"""The steps about who calls: credentials, scopes and token."""

from __future__ import annotations

import os
from typing import Any, Final

from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

from spanner_grpc_sessions.auth.credentials import load_credentials
from spanner_grpc_sessions.auth.failures import remove_secrets, text_of
from spanner_grpc_sessions.cli.doctor import diagnosis
from spanner_grpc_sessions.cli.doctor.case import Case
from spanner_grpc_sessions.cli.doctor.finding import Finding, Trouble

_FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"


def credentials(case: Case) -> Finding:
    """Load the credentials of the environment, as a client does."""
    if not case.target.authenticated:
        return Finding("this server gets no token", "skipped")
    try:
        case.credentials = load_credentials(case.credentials, case.options, case.request)
    except (DefaultCredentialsError, ValueError) as error:
        remove_secrets(error)
        raise diagnosis.of_credentials(error, os.environ.get(_FILE, "")) from error
    except GoogleAuthError as error:
        # Some kinds need a token to find out to which project they belong.
        raise _no_token(case, error, is_user=False) from error
    case.who = diagnosis.described(case.credentials)
    scopes = list(getattr(case.credentials, "scopes", None) or case.options.scopes)
    short = " ".join(scope.rpartition("/")[2] for scope in scopes)
    return Finding(f"{case.who}, scope {short}", data={"principal": case.who, "scopes": scopes})


def token(case: Case) -> Finding:
    """Get a token."""
    if case.credentials is None:
        return Finding("this server gets no token", "skipped")
    _refresh(case, case.credentials)
    skew = case.request.skew
    if diagnosis.is_skewed(skew):
        return Finding(diagnosis.of_skew(skew).finding.text, "warning", "clock-skew", {"skewSeconds": skew})
    if skew is None:
        return Finding("signed on this machine, without a request")
    return Finding(f"from the token endpoint, whose clock differs by {abs(skew):.0f} s", data={"skewSeconds": skew})


def why_rejected(case: Case) -> Trouble | None:
    """Return what the token endpoint says of credentials whose token the server does not accept.

    A token that is signed on this machine is first read by the server, which does not say what is wrong.
    """
    signer: Any = case.credentials
    if not hasattr(signer, "with_always_use_jwt_access"):
        return None
    try:
        _refresh(case, signer.with_always_use_jwt_access(False))
    except Trouble as trouble:
        return None if trouble.finding.cause == "token-endpoint" else trouble
    return diagnosis.of_skew(case.request.skew) if diagnosis.is_skewed(case.request.skew) else None


def _refresh(case: Case, of: Any) -> None:
    try:
        of.refresh(case.request)
    except (GoogleAuthError, ValueError) as error:
        raise _no_token(case, error, is_user=type(of).__module__.endswith("oauth2.credentials")) from error


def _no_token(case: Case, error: Exception, *, is_user: bool) -> Trouble:
    remove_secrets(error)
    passing = isinstance(error, TransportError) or case.request.inner.failure is not None
    return diagnosis.of_token(text_of(error), case.who, case.request.skew, passing=passing, is_user=is_user)
