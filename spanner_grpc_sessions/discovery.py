"""The face of google-api-python-client on our clients: code written for REST changes the line that builds its service.

    service = discovery.build(client)  # was: googleapiclient.discovery.build("spanner", "v1")
    sessions = service.projects().instances().databases().sessions()
    session = sessions.create(database="projects/p/instances/i/databases/d", body={}).execute()

The sessions resource is all there is of it. On an `AsyncSessionsClient`, `execute()` is to be awaited.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.errors import InvalidType, short
from spanner_grpc_sessions.http_errors import HttpError, http_error
from spanner_grpc_sessions.methods import RPCS, Method
from spanner_grpc_sessions.rpc_errors import RpcError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncRequest", "Databases", "HttpError", "Instances", "Projects", "Request", "Service", "Sessions", "build"]

_BASE: Final = "https://spanner.googleapis.com"
_COMMON: Final = {"alt": "alt", "prettyPrint": "prettyPrint", "x__xgafv": "$.xgafv"}
"""Keywords that every method takes, and the query parameters that they stand for."""
_STANDARD: Final = {
    "CreateSession": "create",
    "GetSession": "get",
    "ListSessions": "list",
    "DeleteSession": "delete",
}
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
    """A call that is ready to be made, as often as you like.

    Attributes:
        methodId: its name in the discovery document.
        method: the HTTP method of REST.
        uri: where REST would send it.
        body: the JSON object; None for none.
    """

    def __init__(self, client: Any, rpc: Method, name: str, query: Mapping[str, str], body: Any) -> None:
        self._client = client
        self._rpc = rpc
        self._name = name
        self._query = query
        self._path = rpc.http.path_of(quote(name, safe="/:@!$&'()*+,;="))
        self.methodId = f"spanner.projects.instances.databases.sessions.{_name_of(rpc)}"
        self.method = rpc.http.http_method
        self.uri = f"{_BASE}{self._path}?{urlencode(query)}".removesuffix("?")
        self.body = body

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.uri}>"

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
            answer = self._client.rest(self.method, self._path, self.body, query=self._query)
            return list(answer) if self._rpc.streams else answer
        except RpcError as error:
            raise http_error(error, self.uri) from error

    def next_page(self, token: str) -> Request:
        """Return the request for another page of the same list.

        Args:
            token: `nextPageToken` of the page before.
        """
        return type(self)(self._client, self._rpc, self._name, {**self._query, "pageToken": token}, self.body)


class AsyncRequest(Request):
    """A call that is ready to be made, as often as you like. Its `execute()` is a coroutine."""

    async def execute(self, http: object = None, num_retries: int = 0) -> Any:  # noqa: ARG002 - the names are theirs
        """Make the call; the same as that of `Request`, but to be awaited."""
        try:
            answer = await self._client.rest(self.method, self._path, self.body, query=self._query)
            return [part async for part in answer] if self._rpc.streams else answer
        except RpcError as error:
            raise http_error(error, self.uri) from error


class _Resource:
    """What all resources have: a client, and a `with` block that ends nothing, since the client is not theirs."""

    def __init__(self, client: SessionsClient | AsyncSessionsClient) -> None:
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
    `filter` for list. None stands for an absent one. They return a `Request`, or raise
        InvalidType: a keyword is missing or unknown.
        InvalidName: the name of the database or session is not one.
    """

    def list_next(self, previous_request: Request, previous_response: Mapping[str, Any]) -> Request | None:
        """Return the request for the page after the one that was answered, or None if it was the last.

        Args:
            previous_request: what `list` or `list_next` returned.
            previous_response: what its `execute()` returned.
        """
        token = previous_response.get("nextPageToken")
        return previous_request.next_page(token) if token else None

    def _request(self, rpc: Method, keywords: dict[str, Any]) -> Request:
        given = {key: value for key, value in keywords.items() if value is not None}
        name, body = given.pop(rpc.http.variable, None), given.pop("body", None)
        if name is None:
            raise InvalidType(f"{_name_of(rpc)}: missing required parameter {rpc.http.variable!r}")
        query = {_COMMON.get(key, key): _text(value) for key, value in given.items()}
        request_class = AsyncRequest if isinstance(self._client, AsyncSessionsClient) else Request
        return request_class(self._client, rpc, rpc.check(name), query, body)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...


def _name_of(rpc: Method) -> str:
    return _STANDARD.get(rpc.name) or rpc.http.after.partition(":")[2]


def _keywords(rpc: Method) -> list[str]:
    fields = rpc.request_class.DESCRIPTOR.fields
    query = [field.json_name for field in fields if field.name != rpc.http.variable]
    return [rpc.http.variable, *(["body"] if rpc.http.whole_body else query), *_COMMON]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _method(rpc: Method) -> Callable[..., Request]:
    known = _keywords(rpc)

    def method(self: Sessions, **keywords: Any) -> Request:
        unknown = keywords.keys() - known
        if unknown:
            raise InvalidType(f"{_name_of(rpc)}: unexpected keyword argument {min(unknown)!r}, expected {known}")
        return self._request(rpc, keywords)

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in known]
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what `help` shows
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    method.__name__ = _name_of(rpc)
    method.__qualname__ = f"Sessions.{method.__name__}"
    method.__doc__ = f"Return the request of the RPC {rpc.name}: {rpc.http.http_method} {rpc.http.path_of('…')}."
    return method


for _rpc in RPCS.values():
    if "/sessions" in _rpc.http.pattern + _rpc.http.after:
        setattr(Sessions, _name_of(_rpc), _method(_rpc))
