"""Failed calls as the error that code for google-api-python-client reads, and catches."""

from __future__ import annotations

import json
import pickle

import grpc
import pytest

from spanner_grpc_sessions.http_errors import HttpError, http_error
from spanner_grpc_sessions.rpc_errors import Cancelled, NotFound, RpcError
from spanner_grpc_sessions.status_details import Details

DETAILS = Details(entries=({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"},))
URI = "https://spanner.googleapis.com/v1/x"


def failure(details: Details = Details()) -> RpcError:  # noqa: B008 - frozen
    """Return a failed call."""
    return NotFound(" gone\n", method="GetSession", request_id="1.2", details=details)


@pytest.mark.parametrize("details", [Details(), DETAILS])
def test_it_reads_like_googles(details: Details) -> None:
    """Every attribute has the value that google's own class makes of the same answer."""
    google = pytest.importorskip("googleapiclient.errors", reason="google-api-python-client is the judge here")
    ours = http_error(failure(details), URI)
    theirs = google.HttpError(ours.resp, ours.content, URI)
    for name in ("status_code", "reason", "error_details", "content", "uri", "resp"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert (ours.resp.status, ours.resp.reason, ours.resp["status"]) == (404, "Not Found", "404")
    assert json.loads(ours.content) == failure(details).to_rest()


def test_it_is_caught_as_googles() -> None:
    """Where google's class has been imported, an `except` clause for it catches ours."""
    google = pytest.importorskip("googleapiclient.errors", reason="google-api-python-client is the judge here")
    with pytest.raises(google.HttpError) as caught:
        raise http_error(failure(), URI)
    assert isinstance(caught.value, HttpError)


def test_it_is_its_own_without_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of google's is needed, and the text names status, address and message."""
    monkeypatch.delitem(__import__("sys").modules, "googleapiclient.errors", raising=False)
    error = http_error(failure(), URI)
    assert type(error) is HttpError
    assert str(error) == f'404 when requesting {URI} returned "gone":  gone\n'
    assert repr(error) == f"<HttpError {error}>"


def test_it_can_be_pickled() -> None:
    """Whichever class it has."""
    error = http_error(failure(DETAILS), URI)
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(twin) is type(error)
    assert (str(twin), twin.content, twin.resp.status) == (str(error), error.content, 404)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_has_a_response(code: grpc.StatusCode) -> None:
    """Also 499, which no standard knows."""
    error = http_error(Cancelled("m", method="M", code=code), URI)
    assert error.resp.status == json.loads(error.content)["error"]["code"]
    assert error.resp.reason
