"""Requests as google-api-python-client makes them: it is the judge of what is taken, refused, and where it is sent."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import hypothesis
import pytest
from google.auth.credentials import AnonymousCredentials
from hypothesis import strategies

pytest.importorskip("googleapiclient", reason="google-api-python-client is the judge here, and is not installed")

from googleapiclient.discovery import build_from_document

from spanner_grpc_sessions import InvalidName, InvalidType, InvalidValue, SessionsClient, discovery
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.rest.routes import route
from tests.support.discovery_document import document, session_methods

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"
TOKEN = {"nextPageToken": "a/+ b"}
WITH_BODY = [name for name, method in session_methods().items() if "request" in method]
NOT_SUPPORTED = {"access_token", "callback", "fields", "key", "oauth_token"}
each_method = pytest.mark.parametrize("method", session_methods())


@cache
def ours() -> Any:
    """Return our sessions resource, on a client that never connects."""
    return sessions_of(discovery.build(client()))


@cache
def client() -> SessionsClient:
    """Return a client that never connects."""
    return SessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint="127.0.0.1:1", plaintext=True))


@cache
def theirs() -> Any:
    """Return that of google's client, which has nothing to send with."""
    return sessions_of(build_from_document(document(), http=object()))


def sessions_of(service: Any) -> Any:
    """Return the resource at the end of the chain."""
    return service.projects().instances().databases().sessions()


def resource(method: str) -> dict[str, Any]:
    """Return the one keyword that a method cannot do without."""
    parameters = session_methods()[method]["parameters"].items()
    (name,) = [name for name, parameter in parameters if parameter.get("required")]
    return {name: DATABASE if name == "database" else SESSION}


def outcome(build: Callable[[], Any]) -> Any:
    """Return all that is to be seen of a request, or how it was refused."""
    try:
        request = build()
    except TypeError:
        return TypeError
    except (ValueError, OverflowError):
        return ValueError
    return request.methodId, request.method, request.uri, request.body


def assert_same(method: str, **keywords: Any) -> None:
    """Build a request on both sides, and compare; a refusal of ours is an error of ours."""
    found = outcome(lambda: getattr(ours(), method)(**keywords))
    assert found == outcome(lambda: getattr(theirs(), method)(**keywords))
    if not isinstance(found, tuple):
        with pytest.raises((InvalidType, InvalidValue)):
            getattr(ours(), method)(**keywords)


def test_the_methods_are_those_of_the_document() -> None:
    """And list_next; those of the Cassandra adapter, another service, are left out."""
    public = {name for name in dir(ours()) if not name.startswith("_")}
    assert public == {*session_methods(), "list_next", "close"}


@each_method
def test_a_request_is_the_one_of_google(method: str) -> None:
    """Its methodId, HTTP method, address and body, without and with a body."""
    assert_same(method, **resource(method))
    assert_same(method, **resource(method), body={"sql": "SELECT 'é'", "n": [1, 1.5, None, True]})
    assert_same(method, **resource(method), body={})


@each_method
def test_the_keywords_are_those_of_google(method: str) -> None:
    """Each that its method takes is taken here or refused with the reason; each that it does not know is unknown."""
    every = {"bogus", "body", "database", "name", "session", "pageSize", "page_size", "pageToken", "filter", "adapt"}
    every |= {"trace", "pp", "userip", "strict", "x__xgafv", "alt", "prettyPrint", "http", "media_body", "$.xgafv"}
    every |= {"quotaUser", "uploadType", "upload_protocol", "self_"} | NOT_SUPPORTED
    required = resource(method)
    for keyword in every - required.keys():
        # None: what is known is absent, and what is unknown is refused all the same.
        assert_same(method, **required, **{keyword: None})


@each_method
def test_the_signature_tells_the_keywords(method: str) -> None:
    """`help` and editors show the resource and the body, by keyword only; then come those that all methods have."""
    *own, common = inspect.signature(getattr(ours(), method)).parameters.values()
    assert [parameter.name for parameter in own] == [*resource(method), *(["body"] if method in WITH_BODY else [])]
    assert {parameter.kind for parameter in own} == {inspect.Parameter.KEYWORD_ONLY}
    assert common.kind is inspect.Parameter.VAR_KEYWORD
    assert getattr(ours(), method).__doc__
    assert getattr(ours(), method).__name__ == method


@each_method
def test_the_error_for_an_unknown_keyword_lists_the_known_ones(method: str) -> None:
    """The error lists every keyword of the method."""
    with pytest.raises(InvalidType) as caught:
        getattr(ours(), method)(**resource(method), bogus=1)
    expected = {"x__xgafv" if name == "$.xgafv" else name for name in document()["parameters"]} - NOT_SUPPORTED
    expected |= {"trace", "pp", "userip", "strict"} | resource(method).keys()
    expected |= {"body"} if method in WITH_BODY else set()
    expected |= {"filter", "pageSize", "pageToken"} if method == "list" else set()
    assert set(re.findall(r"'(\w+)'", str(caught.value).partition(", expected ")[2])) == expected


@each_method
def test_a_keyword_is_missing_or_unknown(method: str) -> None:
    """The error names it, and what there is."""
    with pytest.raises(InvalidType, match=f"{method}: missing required parameter '{next(iter(resource(method)))}'"):
        getattr(ours(), method)(**dict.fromkeys(resource(method)))
    with pytest.raises(InvalidType, match=rf"{method}: unexpected keyword argument 'bogus', expected \["):
        getattr(ours(), method)(**resource(method), bogus=1)


TEXT = strategies.text() | strategies.integers() | strategies.booleans() | strategies.none()
GOOD = {
    "pageSize": strategies.integers() | strategies.floats(-1e9, 1e9) | strategies.booleans(),
    "pageToken": TEXT,
    "filter": TEXT,
    "alt": strategies.sampled_from(["json", "media", "proto"]),
    "prettyPrint": TEXT,
    "x__xgafv": strategies.sampled_from(["1", "2"]),
    "quotaUser": TEXT,
    "strict": TEXT,
}
ANY = [
    0, 2.7, -1, True, False, float("inf"), float("nan"), b"1", [], ["1"], {}, object,
    "", "1", "2", " 7 ", "1.5", "٣", "\ud800", "é&=+ ", "json", "proto", "xml", "true", "false",
]  # fmt: skip


@hypothesis.given(strategies.fixed_dictionaries({}, optional=GOOD), strategies.permutations(list(GOOD)))
def test_parameters_are_sent_as_google_sends_them(keywords: dict[str, Any], order: list[str]) -> None:
    """Cast by their types, in the caller's order."""
    assert_same("list", database=DATABASE, **{keyword: keywords[keyword] for keyword in order if keyword in keywords})


@pytest.mark.parametrize("value", ANY, ids=range(len(ANY)))
@pytest.mark.parametrize("keyword", [*GOOD, "trace", "pp", "userip", "uploadType", "upload_protocol"])
def test_a_value_is_taken_or_refused_as_google_does(keyword: str, value: Any) -> None:
    """Whatever is given: the same address, or a refusal of the same kind."""
    assert_same("list", database=DATABASE, **{keyword: value})


def test_a_number_of_any_length_is_refused_by_an_error_of_ours() -> None:
    """Python does not write it in decimal, and nor does the error."""
    assert_same("list", database=DATABASE, pageSize=10**5000)


class Unreadable:
    """A value that fails, and not with a TypeError, when it is looked at."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __bool__ = __int__ = __str__


@pytest.mark.parametrize("keyword", ["filter", "pageSize", "prettyPrint", "alt"])
def test_a_value_that_cannot_be_read_is_refused(keyword: str) -> None:
    """With an error of ours, whose cause is what the value raised."""
    with pytest.raises((InvalidType, InvalidValue), match=f"^{keyword}: expected "):
        ours().list(database=DATABASE, **{keyword: Unreadable()})


@hypothesis.given(strategies.from_regex(r"[!$&-.0-;=@-~]{1,20}", fullmatch=True))
def test_names_are_quoted_as_google_quotes_them(last: str) -> None:
    """Those that need no encoding, and those that do, like a quotation mark."""
    assert_same("get", name=f"{DATABASE}/sessions/{last}")


@hypothesis.given(strategies.from_regex(r"[!-.0-~]{1,20}", fullmatch=True))
@hypothesis.example("a?b")
@hypothesis.example("a%41#b")
def test_a_name_comes_out_of_its_address_as_it_was(last: str) -> None:
    """Also one with what would end the path, or be decoded, in the address that google's client makes."""
    name = f"{DATABASE}/sessions/{last}"
    path = ours().get(name=name).uri.removeprefix("https://spanner.googleapis.com").partition("?")[0]
    assert route("GET", path, None, None)[1] == name


@each_method
@pytest.mark.parametrize("name", ["", "d", f"{DATABASE}/", f"{SESSION}/more", f"{SESSION}\n", "projects//instances"])
def test_a_name_has_to_be_one(method: str, name: str) -> None:
    """It is refused before there is a request, where google's client has a TypeError."""
    (keyword,) = resource(method)
    with pytest.raises(InvalidName):
        getattr(ours(), method)(**{keyword: name})
    with pytest.raises(InvalidType):
        getattr(ours(), method)(**{keyword: 7})


@pytest.mark.parametrize("keyword", sorted(NOT_SUPPORTED))
@each_method
def test_what_would_change_the_answer_is_refused(method: str, keyword: str) -> None:
    """The error says why, and does not show the value; None stands for an absent one."""
    with pytest.raises(InvalidType, match=f"{method}: {keyword} is not supported over gRPC: ") as caught:
        getattr(ours(), method)(**resource(method), **{keyword: "hidden"})
    assert "hidden" not in str(caught.value)
    assert_same(method, **resource(method), **{keyword: None})


def cyclic() -> dict[str, Any]:
    """Return a body that contains itself."""
    body: dict[str, Any] = {}
    body["session"] = body
    return body


BODIES = [
    {},
    {"sql": "é \ud800 \U0001f600", "a": (1, 2), 1: {None: True, 2.5: float("nan")}},
    [],
    False,
    "text",
    {("a",): 1},
    {"a": {1, 2}},
    {"a": b"bytes"},
    {"a": 10**5000},
    cyclic(),
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_is_what_google_would_send(body: Any) -> None:
    """The same JSON text; what JSON cannot hold is refused where the request is built."""
    assert_same("executeSql", session=SESSION, body=body)


@pytest.mark.parametrize(
    ("error_class", "body"), [(InvalidType, {"a": {1}}), (InvalidValue, cyclic()), (InvalidType, Unreadable())]
)
def test_a_body_that_is_no_json_is_refused(error_class: type[Exception], body: Any) -> None:
    """With an error of ours that shows it."""
    with pytest.raises(error_class, match=r"^body: expected what JSON can hold, got "):
        ours().create(database=DATABASE, body=body)


def test_a_body_as_deep_as_the_stack_is_refused() -> None:
    """Python has no room for it, here or in google's client."""
    body: list[Any] = []
    for _ in range(200_000):
        body = [body]
    with pytest.raises(InvalidValue, match=r"^body: expected what JSON can hold"):
        ours().create(database=DATABASE, body={"a": body})


def test_a_request_does_not_change_with_what_it_was_made_of() -> None:
    """The body is the caller's, who may use it for the next request."""
    body: dict[str, Any] = {"sql": "A", "params": {"p": ["1"]}}
    request = ours().executeSql(session=SESSION, body=body)
    body["sql"] = "B"
    body["params"]["p"].append("2")
    assert json.loads(request.body) == {"sql": "A", "params": {"p": ["1"]}}


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"pageSize": 2, "filter": "labels.a:b c", "x__xgafv": "2", "quotaUser": ""},
        {"pageToken": "first", "pageSize": True, "filter": ""},
    ],
)
def test_the_next_page_is_where_google_asks_for_it(keywords: dict[str, Any]) -> None:
    """The address has the token in the place of an older one, page after page."""
    pages = []
    for sessions in (ours(), theirs()):
        second = sessions.list_next(sessions.list(database=DATABASE, **keywords), TOKEN)
        third = sessions.list_next(second, {"nextPageToken": 3})
        pages.append([(page.methodId, page.method, page.uri, page.body) for page in (second, third)])
    assert pages[0] == pages[1]


@pytest.mark.parametrize("page", [{}, {"nextPageToken": ""}, {"nextPageToken": None}])
def test_there_is_no_page_after_the_last(page: dict[str, Any]) -> None:
    """None ends the loop, whatever the request was."""
    assert ours().list_next(ours().list(database=DATABASE), page) is None
    assert ours().list_next(None, page) is None


@pytest.mark.parametrize(
    ("error_class", "request_", "page"),
    [
        (InvalidType, None, TOKEN),
        (InvalidType, "create", TOKEN),
        (InvalidType, "get", TOKEN),
        (InvalidType, "list", None),
        (InvalidType, "list", []),
        (InvalidValue, "list", {"nextPageToken": "\ud800"}),
    ],
)
def test_list_next_takes_a_list_and_its_answer(error_class: type[Exception], request_: str | None, page: Any) -> None:
    """Anything else is refused."""
    request = request_ and getattr(ours(), request_)(**resource(request_))
    with pytest.raises(error_class):
        ours().list_next(request, page)


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((None,), {}),
        ((SessionsClient,), {}),
        (("spanner",), {}),
        (("spanner", "v1"), {}),
        (("spanner", "v1"), {"credentials": "s3cret"}),
        ((), {"client": "spanner", "version": "v1"}),
        ((client(), "v1"), {}),
        ((client(),), {"credentials": "s3cret"}),
    ],
    ids=str,
)
def test_a_service_is_built_on_a_client_alone(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """The arguments of google's `build` get an error that says what to write instead, without their values."""
    with pytest.raises(InvalidType, match=r"build takes a SessionsClient .*write build\(SessionsClient\(") as caught:
        discovery.build(*arguments, **keywords)
    assert "s3cret" not in str(caught.value)


def test_a_request_shows_where_it_goes() -> None:
    """Its `repr` has no body, which may hold anything."""
    request = ours().executeSql(session=SESSION, body={"sql": "secret"})
    assert repr(request) == f"<Request POST https://spanner.googleapis.com/v1/{SESSION}:executeSql?alt=json>"
