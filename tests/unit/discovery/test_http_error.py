"""Failed calls as the error that code for google-api-python-client reads, and catches."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import grpc
import pytest

from spanner_grpc_sessions.discovery.http_error import HttpError, Response, http_error
from spanner_grpc_sessions.errors.rpc import Cancelled, NotFound, RpcError

DETAILS = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}]
URI = "https://spanner.googleapis.com/v1/x"


def failure(details: Sequence[dict[str, Any]] = ()) -> RpcError:
    """Return a failed call."""
    return NotFound(" gone\n", method="GetSession", request_id="1.2", error_details=details)


@pytest.mark.parametrize("details", [(), DETAILS])
def test_it_reads_like_googles(details: Sequence[dict[str, Any]]) -> None:
    """Every attribute has the value that google's own class makes of the same answer."""
    google = pytest.importorskip("googleapiclient.errors", reason="google-api-python-client is the judge here")
    ours = http_error(failure(details), URI)
    theirs = google.HttpError(ours.resp, ours.content, URI)
    for name in ("status_code", "reason", "error_details", "content", "uri", "resp"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert (str(ours), repr(ours)) == (str(theirs), repr(theirs))
    assert (ours.resp.status, ours.resp.reason, ours.resp["status"]) == (404, "Not Found", "404")
    assert json.loads(ours.content) == failure(details).to_rest()


def test_it_is_caught_as_googles() -> None:
    """Where google's class has been imported, an `except` clause for it catches ours."""
    google = pytest.importorskip("googleapiclient.errors", reason="google-api-python-client is the judge here")
    with pytest.raises(google.HttpError) as caught:
        raise http_error(failure(), URI)
    assert isinstance(caught.value, HttpError)
    assert type(caught.value).__module__ == HttpError.__module__ == "spanner_grpc_sessions.discovery"


@pytest.mark.parametrize("message", ["gone", "", " \n"])
@pytest.mark.parametrize("uri", [URI, "", None])
def test_its_text_is_googles(message: str, uri: str | None) -> None:
    """Also where the server said nothing, or the address is not known."""
    google = pytest.importorskip("googleapiclient.errors", reason="google-api-python-client is the judge here")
    content = json.dumps({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}).encode()
    ours, theirs = HttpError(Response(404), content, uri), google.HttpError(Response(404), content, uri)
    assert (str(ours), repr(ours)) == (str(theirs), repr(theirs))


def test_it_is_its_own_without_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of google's is needed, and the text names status, address and message."""
    monkeypatch.delitem(sys.modules, "googleapiclient.errors", raising=False)
    error = http_error(failure(), URI)
    assert type(error) is HttpError
    assert str(error) == f'<HttpError 404 when requesting {URI} returned "gone". Details: " gone\n">'
    assert repr(error) == str(error)


def test_it_is_its_own_while_google_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may have got only so far that the module is there and its class is not."""
    monkeypatch.setitem(sys.modules, "googleapiclient.errors", ModuleType("googleapiclient.errors"))
    assert type(http_error(failure(), URI)) is HttpError


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
