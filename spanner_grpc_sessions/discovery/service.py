"""The face of google-api-python-client on our clients: code written for REST changes the line that builds its service.

    service = discovery.build(client)  # was: googleapiclient.discovery.build("spanner", "v1")
    sessions = service.projects().instances().databases().sessions()
    session = sessions.create(database="projects/p/instances/i/databases/d", body={}).execute()

The sessions resource is all there is of it. On an `AsyncSessionsClient`, `execute()` is to be awaited.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from google.protobuf.descriptor import FieldDescriptor

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.discovery.http_error import HttpError, http_error
from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.rest.routes import http_rule
from spanner_grpc_sessions.service.rpcs import RPCS, Rpc

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncRequest", "Databases", "HttpError", "Instances", "Projects", "Request", "Service", "Sessions", "build"]

_BASE: Final = "https://spanner.googleapis.com"
_SAFE: Final = "/:@!$&'()*+,;=[]"
"""Characters that a name has in a path as they are. Google's client leaves "?", "#" and "%" too: they would end it."""
_Kind = tuple[str, Callable[[Any], Any]]
"""A type of keywords: what a refusal calls it, and what makes of a value that which is sent."""


def _one_of(*allowed: str) -> _Kind:
    return " or ".join(map(repr, allowed)), {text: text for text in allowed}.__getitem__


# What can be encoded can be sent, and what came out of JSON is in nobody else's hands.
_STRING: Final[_Kind] = ("text", lambda value: str(value).encode().decode())
_INTEGER: Final[_Kind] = ("an integer", lambda value: str(int(value)))
_BOOLEAN: Final[_Kind] = ("true or false", lambda value: str(bool(value)).lower())
_BODY: Final[_Kind] = ("what JSON can hold", lambda value: json.loads(json.dumps(value)))
_COMMON: Final = {
    "alt": _one_of("json", "media", "proto"),
    "prettyPrint": _BOOLEAN,
    "x__xgafv": _one_of("1", "2"),
    **dict.fromkeys(("pp", "quotaUser", "strict", "trace", "uploadType", "upload_protocol", "userip"), _STRING),
}
"""Keywords that every method takes and that change nothing: the client asks for JSON whatever `alt` says, and without
an API key Google ignores `quotaUser` (https://cloud.google.com/apis/docs/system-parameters)."""
_REFUSED: Final = {
    "callback": "there is no script to wrap the answer in",
    "fields": "the answer is always whole",
    **dict.fromkeys(("access_token", "key", "oauth_token"), "the client's credentials authorize its calls"),
}
"""Keywords of google's client that no method takes here, and why: to ignore them would give something else."""
_STANDARD: Final = {"CreateSession": "create", "GetSession": "get", "ListSessions": "list", "DeleteSession": "delete"}
"""What the discovery document calls the methods that have no word after a colon in their path."""


def build(client: SessionsClient | AsyncSessionsClient) -> Service:
    """Return a service object like the one that google-api-python-client builds for Cloud Spanner.

    Args:
        client: what the calls go through. It stays yours: closing the service does not close it.

    Raises:
        InvalidType: `client` is something else.
    """
    if not isinstance(client, SessionsClient | AsyncSessionsClient):
        raise InvalidType(f"build takes a SessionsClient or an AsyncSessionsClient, got {short(client)}")
    return Service(client)


class Request:
    """A call that is ready to be made, as often as you like. What was given for it may change: it does not.

    Attributes:
        methodId: its name in the discovery document.
        method: the HTTP method of REST.
        uri: where REST would send it.
    """

    def __init__(self, client: Any, rpc: Rpc, name: str, query: Mapping[str, str], body: Any) -> None:
        self._client = client
        self._rpc = rpc
        self._name = name
        self._query = query
        self._body = body
        self._fields = {name: query[name] for name in query.keys() & _fields(rpc).keys()}
        self._path = http_rule(rpc).path_of(quote(name, safe=_SAFE))
        self.methodId = f"spanner.projects.instances.databases.sessions.{_name_of(rpc)}"
        self.method = http_rule(rpc).http_method
        self.uri = f"{_BASE}{self._path}?{urlencode(query)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.uri}>"

    @property
    def body(self) -> str | None:
        """The JSON text that REST would send; None for none."""
        return None if self._body is None else json.dumps(self._body)

    def execute(self, http: object = None, num_retries: int = 0) -> Any:  # noqa: ARG002 - the names are theirs
        """Make the call; `await` it on an asynchronous client.

        Args:
            http: not used: threads may share the client's channel.
            num_retries: not used: the client repeats what may be repeated, until the deadline.

        Returns:
            The body that REST answers, a dict; of a method that streams, the list of them.

        Raises:
            HttpError: the call failed, or its arguments do not make a request. The cause, chained, is our `RpcError`.
            CredentialsError: there is no token to send.
            ClientClosed: the client is closed.
        """
        try:
            answer = self._client.rest(self.method, self._path, self._body, query=self._fields)
            if not self._rpc.streams:
                return answer
            with answer:
                return list(answer)
        except RpcError as error:
            raise http_error(error, self.uri) from error

    def next_page(self, token: str) -> Request:
        """Return the request of a list for the page that `token` stands for, as `list_next` does."""
        # Google's client reads the query back from the address, where an empty parameter is lost.
        query = {name: text for name, text in self._query.items() if text}
        query["pageToken"] = _made("pageToken", token, _STRING)
        return type(self)(self._client, self._rpc, self._name, query, self._body)


class AsyncRequest(Request):
    """A call that is ready to be made, as often as you like. Its `execute()` is a coroutine."""

    async def execute(self, http: object = None, num_retries: int = 0) -> Any:  # noqa: ARG002 - the names are theirs
        """Make the call; the same as that of `Request`, but to be awaited."""
        try:
            answer = await self._client.rest(self.method, self._path, self._body, query=self._fields)
            if not self._rpc.streams:
                return answer
            async with answer:
                return [part async for part in answer]
        except RpcError as error:
            raise http_error(error, self.uri) from error


class _Resource:
    """What all resources have: a client, and a `with` block that ends nothing, since the client is not theirs."""

    def __init__(self, client: SessionsClient | AsyncSessionsClient) -> None:
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: whoever made the client closes it."""


class Service(_Resource):
    """Cloud Spanner's data API, v1."""

    def projects(self) -> Projects:
        """Return the resource below this one."""
        return Projects(self._client)


class Projects(_Resource):
    """The resource `projects`."""

    def instances(self) -> Instances:
        """Return the resource below this one."""
        return Instances(self._client)


class Instances(_Resource):
    """The resource `projects.instances`."""

    def databases(self) -> Databases:
        """Return the resource below this one."""
        return Databases(self._client)


class Databases(_Resource):
    """The resource `projects.instances.databases`."""

    def sessions(self) -> Sessions:
        """Return the resource below this one."""
        return Sessions(self._client)


class Sessions(_Resource):
    """The resource `projects.instances.databases.sessions`.

    A method for each of its RPCs: create, batchCreate, get, list, delete, executeSql, executeStreamingSql,
    executeBatchDml, read, streamingRead, beginTransaction, commit, rollback, partitionQuery, partitionRead, batchWrite.
    They take keywords only: `database`, `name` or `session`, `body` where REST has one, `pageSize`, `pageToken` and
    `filter` for list; and what all methods of google's client take: `alt`, `prettyPrint`, `x__xgafv`, `quotaUser`,
    `uploadType`, `upload_protocol`, `userip`, `strict`, `trace` and `pp`, which are checked and change nothing. None
    stands for an absent one. They return a `Request`, or raise
        InvalidType: a keyword is missing, unknown or not supported over gRPC (`fields`, `callback`, `key`,
            `access_token`, `oauth_token`), or its value has the wrong type, like a body that is no JSON.
        InvalidValue: a value cannot be sent, like a body that contains itself.
        InvalidName: the name of the database or session is not one.
    """

    def list_next(self, previous_request: Request, previous_response: Mapping[str, Any]) -> Request | None:
        """Return the request for the page after the one that was answered, or None if it was the last.

        Args:
            previous_request: what `list` or `list_next` returned.
            previous_response: what its `execute()` returned.

        Raises:
            InvalidType: they are something else.
        """
        if not isinstance(previous_response, Mapping):
            raise InvalidType(f"list_next takes the answer to the request, a dict, got {short(previous_response)}")
        token = previous_response.get("nextPageToken")
        if not token:
            return None
        if not (isinstance(previous_request, Request) and previous_request.methodId.endswith(".list")):
            raise InvalidType(f"list_next takes a request of list, got {short(previous_request)}")
        return previous_request.next_page(token)

    def _request(self, rpc: Rpc, keywords: dict[str, Any]) -> Request:
        given = {keyword: value for keyword, value in keywords.items() if value is not None}
        for keyword in given.keys() & _REFUSED:
            # Not its value, which may be a secret.
            raise InvalidType(f"{_name_of(rpc)}: {keyword} is not supported over gRPC: {_REFUSED[keyword]}")
        name, body = given.pop(http_rule(rpc).variable, None), given.pop("body", None)
        if name is None:
            raise InvalidType(f"{_name_of(rpc)}: missing required parameter {http_rule(rpc).variable!r}")
        rpc.check(name)
        kinds = _fields(rpc) | _COMMON
        query = {keyword: _made(keyword, value, kinds[keyword]) for keyword, value in given.items()} | {"alt": "json"}
        query = {"$.xgafv" if keyword == "x__xgafv" else keyword: text for keyword, text in query.items()}
        request_class = AsyncRequest if isinstance(self._client, AsyncSessionsClient) else Request
        return request_class(self._client, rpc, name, query, _made("body", body, _BODY))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...


def _name_of(rpc: Rpc) -> str:
    return _STANDARD.get(rpc.name) or http_rule(rpc).after.partition(":")[2]


def _fields(rpc: Rpc) -> dict[str, _Kind]:
    """Return the request fields that REST has in the query, by keyword."""
    fields = [] if http_rule(rpc).whole_body else rpc.request_class.DESCRIPTOR.fields
    kinds = {FieldDescriptor.TYPE_STRING: _STRING, FieldDescriptor.TYPE_INT32: _INTEGER}
    return {field.json_name: kinds[field.type] for field in fields if field.name != http_rule(rpc).variable}


def _made(keyword: str, value: Any, kind: _Kind) -> Any:
    expected, make = kind
    try:
        return make(value)
    except Exception as error:
        # Not only what `make` raises: a foreign value may raise anything when it is looked at.
        error_class = InvalidType if isinstance(error, TypeError | LookupError) else InvalidValue
        raise error_class(f"{keyword}: expected {expected}, got {short(value)}") from error


def _method(rpc: Rpc) -> Callable[..., Request]:
    known = [http_rule(rpc).variable, *(["body"] if http_rule(rpc).whole_body else _fields(rpc)), *_COMMON]

    def method(self: Sessions, **keywords: Any) -> Request:
        unknown = keywords.keys() - known - _REFUSED.keys()
        if unknown:
            raise InvalidType(f"{_name_of(rpc)}: unexpected keyword argument {min(unknown)!r}, expected {known}")
        return self._request(rpc, keywords)

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in known]
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what `help` shows
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    method.__name__ = _name_of(rpc)
    method.__qualname__ = f"Sessions.{method.__name__}"
    method.__doc__ = (
        f"Return the request of the RPC {rpc.name}: {http_rule(rpc).http_method} {http_rule(rpc).path_of('…')}."
    )
    return method


for _rpc in RPCS.values():
    if "/sessions" in http_rule(_rpc).pattern + http_rule(_rpc).after:
        setattr(Sessions, _name_of(_rpc), _method(_rpc))
