"""Failures of credentials: which of them pass, and what they may tell."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from google.auth.exceptions import GoogleAuthError, TransportError

# What token endpoints name a secret, and the forms of Google's access tokens and of JWTs.
_SECRET: Final = re.compile(
    r"((?:access|id|refresh|subject)_?token|assertion|client_secret|private_key)([\\\"']*\s*[:=]\s*[\\\"']*)[^\\\"'\s,&}]+"
    r"|\b()()(?:ya29\.|eyJ)[\w.\-]{8,}",
    re.IGNORECASE,
)
_MOST: Final = 32


def is_passing(error: BaseException) -> bool:
    """Return whether another request may succeed: there was no answer, or one that asks to come back."""
    try:
        return isinstance(error, TransportError) or bool(getattr(error, "retryable", False))
    except Exception:  # noqa: BLE001 - credentials may raise errors of any class
        return False


def text_of(error: BaseException) -> str:
    """Return the text of an error, of whatever class."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - credentials may raise errors of any class
        return "it has no text"


def remove_secrets(error: BaseException) -> None:
    """Take tokens and keys out of the texts of an error and of its causes.

    The errors of HTTP libraries repeat what they could not read.
    """
    errors = [error]
    for each in errors:
        # google-auth puts the whole answer of the token endpoint, tokens included, behind the text.
        args = each.args[:1] if isinstance(each, GoogleAuthError) else each.args
        # Some classes do not let their arguments be set.
        with contextlib.suppress(Exception):
            each.args = tuple(_SECRET.sub(r"\1\2…", arg) if isinstance(arg, str) else arg for arg in args)
        for cause in (each.__cause__, each.__context__, *args):
            if isinstance(cause, BaseException) and len(errors) < _MOST and not any(cause is one for one in errors):
                errors.append(cause)
