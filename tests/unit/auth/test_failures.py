"""What the failures of credentials tell: their texts and those of their causes, without tokens and keys."""

from __future__ import annotations

import traceback
from http.client import BadStatusLine

import pytest
from google.auth.exceptions import RefreshError, TransportError

from spanner_grpc_sessions.auth.failures import remove_secrets

_TEXTS = [
    '{"access_token": "s3cret", "expires_in": 3599}',
    '{"accessToken":"s3cret-s3cret"}',
    "grant_type=refresh_token&refresh_token=s3cret&client_secret=s3cret",
    "{'id_token': 's3cret.s3cret'}",
    "Bearer ya29.s3cret_s3cret-s3cret was refused",
    "assertion=eyJhbGciOi.eyJs3cret.s3cret-sig",
    '{"private_key": "-s3cret"}',
]


@pytest.mark.parametrize("text", _TEXTS)
def test_no_text_of_a_chain_has_a_secret(text: str) -> None:
    """Neither an error nor a cause, a context or an error that is the argument of another one."""
    cause = ConnectionError("aborted", BadStatusLine(text))
    error = TransportError(cause, text)
    error.__cause__ = cause
    cause.__context__ = ValueError(text)
    remove_secrets(error)
    told = "".join(traceback.format_exception(error))
    assert "s3cret" not in told
    assert "TransportError" in told


def test_a_text_without_a_secret_is_kept() -> None:
    """What an operator needs to know is told as it is."""
    error = RefreshError("invalid_grant: Token has been expired or revoked.")
    remove_secrets(error)
    assert str(error) == "invalid_grant: Token has been expired or revoked."


def test_a_chain_that_goes_round_is_walked_once() -> None:
    """Nothing keeps an exception from being its own cause."""
    first, second = ValueError("access_token=s3cret"), ValueError("access_token=s3cret")
    first.__cause__, second.__cause__ = second, first
    remove_secrets(first)
    assert "s3cret" not in f"{first}{second}"
