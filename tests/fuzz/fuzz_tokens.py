"""A fuzz target: answers of a token endpoint, of every status and with every body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from unittest import mock

from hypothesis import given, strategies as st

from spanner_grpc_sessions.auth.credentials import TokenFetcher
from spanner_grpc_sessions.auth.http import HttpRequest
from spanner_grpc_sessions.errors.checks import is_header_text
from tests.support.token_server import refreshed_credentials

__all__ = ["fuzz"]

# Of the form of a token.
_SECRET: Final = "ya29." + "a1" * 8
_NOW: Final = 1_800_000_000.0

_values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, "", "a", 0, -1, 3599, 10**400, 1e300, True, [], {}, "3600", " ", "\n", "é", "\ud800", _SECRET]
    ),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
)
_answers = st.one_of(
    st.dictionaries(
        st.sampled_from(
            ["access_token", "expires_in", "token_type", "error", "error_description", "error_subtype", "refresh_token"]
        ),
        _values,
        max_size=5,
    ),
    st.builds(lambda seconds: {"access_token": _SECRET, "expires_in": seconds}, _values),
    st.lists(_values, max_size=2),
    _values,
)
_bodies = st.one_of(_answers.map(lambda answer: json.dumps(answer).encode()), st.binary(max_size=40))


class _Response(NamedTuple):
    """As `google.auth.transport.Response`."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@given(
    status=st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 503]),
    body=_bodies,
    body_again=_bodies,
)
def fuzz(status: int, body: bytes, body_again: bytes) -> None:
    """An answer gives a header that gRPC can send, or an error without the token in its text."""
    answers = iter([body, body_again])

    def answer(*_: Any, **__: Any) -> _Response:
        return _Response(status, {}, next(answers, b"{}"))

    load = _with(answer, refreshed_credentials("http://127.0.0.1:1/token"))
    fetcher = TokenFetcher(load, clock=lambda: _NOW)
    try:
        with mock.patch("google.auth._exponential_backoff.time.sleep"):  # it waits before it asks again
            token = fetcher()
    except Exception as error:  # noqa: BLE001 - of any class: the token source makes it a CredentialsError
        assert _SECRET not in _texts(error)  # noqa: PT017 - not what is expected, but what is allowed
    else:
        assert all(is_header_text(value) for _, value in token.headers)
        assert token.headers


def _with(answer: Any, credentials: Any) -> Callable[[HttpRequest], Any]:
    def load(request: HttpRequest) -> Any:
        request._request = answer
        return credentials

    return load


def _texts(error: BaseException) -> str:
    texts, new = "", [error]
    seen: list[BaseException] = []
    while new:
        each = new.pop()
        if all(each is not one for one in seen):
            seen.append(each)
            texts += f"{each}{each!r}"
            new += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
    return texts
