"""The service object of google-api-python-client, down to the sessions resource, and its requests."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, overload
from urllib.parse import quote, urlencode

from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.client_async import AsyncSessionsClient
from spanner_grpc_sessions.discovery.http_error import http_error
from spanner_grpc_sessions.discovery.keywords import BODY, COMMON, OF_LIST, REFUSED, STRING, converted
from spanner_grpc_sessions.errors import InvalidType
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.errors.rpc import RpcError
from spanner_grpc_sessions.rest.routes import http_rule
from spanner_grpc_sessions.service.rpcs import RPCS, Rpc

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from spanner_grpc_sessions.discovery.keywords import Keywords, ListKeywords
    from spanner_grpc_sessions.service.types import ListSessionsBody, Session, SessionsBody

_Answer = TypeVar("_Answer")
# The sessions resource at the end of a chain: `Sessions`, or `AsyncSessions`.
_End = TypeVar("_End")
# What `execute()` gives for the methods of that resource.
_Created = TypeVar("_Created")
_Batch = TypeVar("_Batch")
_Page = TypeVar("_Page")
_Body = TypeVar("_Body")
_Parts = TypeVar("_Parts")

_BASE: Final = "https://spanner.googleapis.com"
# Characters of a name that are not encoded in a path. Google's client also leaves "?", "#" and "%", which end it.
_SAFE: Final = "/:@!$&'()*+,;=[]"


@overload
def build(client: SessionsClient) -> Service[Sessions]: ...


@overload
def build(client: AsyncSessionsClient) -> Service[AsyncSessions]: ...


def build(client: SessionsClient | AsyncSessionsClient, *others: object, **named: object) -> Service[Any]:
    """Return a service object like the one that google-api-python-client builds for Cloud Spanner.

    Args:
        client: makes the calls. Closing the service does not close it.
        *others: none: the client knows all that Google's `build` takes.
        **named: none.

    Raises:
        InvalidType: `client` is not a client of this library, or there are more arguments.
    """
    if not isinstance(client, SessionsClient | AsyncSessionsClient) or others or named:
        # The values may be secret, as credentials are: the message has the client's type alone.
        given = f"{type(client).__name__}{' and more' if others or named else ''}"
        raise InvalidType(
            f"build takes a SessionsClient or an AsyncSessionsClient and nothing else, got {given}: "
            'instead of build("spanner", "v1", credentials=…) write build(SessionsClient(credentials))'
        )
    return Service(client)


class Request(Generic[_Answer]):
    """A prepared call. Execute it as often as needed; changing the arguments afterwards has no effect.

    Attributes:
        methodId: the name of the method in the discovery document.
        method: the HTTP method in REST.
        uri: the address in REST.
    """

    def __init__(self, client: Any, method: str, rpc: Rpc, name: str, query: Mapping[str, str], body: Any) -> None:
        self._client = client
        self._arguments = (method, rpc, name)
        self._streams = rpc.streams
        self._query = query
        self._body = body
        self._path = http_rule(rpc).path_of(quote(name, safe=_SAFE))
        self.methodId: str = f"spanner.projects.instances.databases.sessions.{method}"
        self.method: str = http_rule(rpc).http_method
        self.uri: str = f"{_BASE}{self._path}?{urlencode(query)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.uri}>"

    @property
    def body(self) -> str | None:
        """The JSON text of the body in REST; None if there is no body."""
        return None if self._body is None else json.dumps(self._body)

    def execute(self, http: object = None, num_retries: int = 0) -> _Answer:  # noqa: ARG002 - the names are Google's
        """Make the call. On an asynchronous client, `await` it.

        Args:
            http: not used: threads can share the client's channel.
            num_retries: not used: the client retries what can be retried, until the deadline.

        Returns:
            The body that REST answers, a dict; for a streaming method, a list of them.

        Raises:
            HttpError: the call failed, or its arguments are invalid. `__cause__` is our `RpcError`.
            CredentialsError: there is no token to send.
            ClientClosed: the client is closed.
        """
        try:
            answer: Any = self._client.rest(self.method, self._path, self._body, query=self._fields())
            if self._streams:
                with answer:
                    answer = list(answer)
        except RpcError as error:
            raise http_error(error, self.uri) from error
        result: _Answer = answer
        return result

    def next_page(self, token: str) -> Self:
        """Return the request of a list for the page after `token`, as `list_next` does."""
        # Google's client reads the query back from the address, where an empty parameter is lost.
        query = {name: text for name, text in self._query.items() if text}
        query["pageToken"] = converted("pageToken", token, STRING)
        return type(self)(self._client, *self._arguments, query, self._body)

    def _fields(self) -> dict[str, str]:
        return {name: text for name, text in self._query.items() if name in OF_LIST}


class AsyncRequest(Request[Coroutine[Any, Any, _Answer]], Generic[_Answer]):
    """A prepared call of an asynchronous client: its `execute()` is a coroutine."""

    async def execute(self, http: object = None, num_retries: int = 0) -> _Answer:  # noqa: ARG002 - the names are Google's
        """Make the call, as `Request.execute` does."""
        try:
            answer: Any = await self._client.rest(self.method, self._path, self._body, query=self._fields())
            if self._streams:
                async with answer:
                    answer = [part async for part in answer]
        except RpcError as error:
            raise http_error(error, self.uri) from error
        result: _Answer = answer
        return result


class _Resource:
    """A resource of a client, with a `with` block that leaves the client open."""

    def __init__(self, client: SessionsClient | AsyncSessionsClient) -> None:
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: the client stays open."""


class Service(_Resource, Generic[_End]):
    """Cloud Spanner's data API, v1."""

    def projects(self) -> Projects[_End]:
        """Return the resource `projects`."""
        return Projects(self._client)


class Projects(_Resource, Generic[_End]):
    """The resource `projects`."""

    def instances(self) -> Instances[_End]:
        """Return the resource `projects.instances`."""
        return Instances(self._client)


class Instances(_Resource, Generic[_End]):
    """The resource `projects.instances`."""

    def databases(self) -> Databases[_End]:
        """Return the resource `projects.instances.databases`."""
        return Databases(self._client)


class Databases(_Resource, Generic[_End]):
    """The resource `projects.instances.databases`."""

    def sessions(self) -> _End:
        """Return the resource `projects.instances.databases.sessions`."""
        resource_class: Any = AsyncSessions if isinstance(self._client, AsyncSessionsClient) else Sessions
        sessions: _End = resource_class(self._client)
        return sessions


class _AnySessions(_Resource, Generic[_Created, _Batch, _Page, _Body, _Parts]):
    """The methods of the resource, by the types of what `execute()` returns."""

    _request_class: ClassVar[type[Request[Any]]] = Request

    def create(self, *, database: str | None = None, body: Any = None, **common: Unpack[Keywords]) -> Request[_Created]:
        """Return the request of CreateSession."""
        return self._request("create", "CreateSession", database, common, body)

    def batchCreate(
        self, *, database: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Batch]:
        """Return the request of BatchCreateSessions."""
        return self._request("batchCreate", "BatchCreateSessions", database, common, body)

    def get(self, *, name: str | None = None, **common: Unpack[Keywords]) -> Request[_Created]:
        """Return the request of GetSession."""
        return self._request("get", "GetSession", name, common)

    def list(self, *, database: str | None = None, **common: Unpack[ListKeywords]) -> Request[_Page]:
        """Return the request of ListSessions; it also takes `pageSize`, `pageToken` and `filter`."""
        return self._request("list", "ListSessions", database, common)

    def delete(self, *, name: str | None = None, **common: Unpack[Keywords]) -> Request[_Body]:
        """Return the request of DeleteSession."""
        return self._request("delete", "DeleteSession", name, common)

    def executeSql(self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]) -> Request[_Body]:
        """Return the request of ExecuteSql."""
        return self._request("executeSql", "ExecuteSql", session, common, body)

    def executeStreamingSql(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Parts]:
        """Return the request of ExecuteStreamingSql."""
        return self._request("executeStreamingSql", "ExecuteStreamingSql", session, common, body)

    def executeBatchDml(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Body]:
        """Return the request of ExecuteBatchDml."""
        return self._request("executeBatchDml", "ExecuteBatchDml", session, common, body)

    def read(self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]) -> Request[_Body]:
        """Return the request of Read."""
        return self._request("read", "Read", session, common, body)

    def streamingRead(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Parts]:
        """Return the request of StreamingRead."""
        return self._request("streamingRead", "StreamingRead", session, common, body)

    def beginTransaction(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Body]:
        """Return the request of BeginTransaction."""
        return self._request("beginTransaction", "BeginTransaction", session, common, body)

    def commit(self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]) -> Request[_Body]:
        """Return the request of Commit."""
        return self._request("commit", "Commit", session, common, body)

    def rollback(self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]) -> Request[_Body]:
        """Return the request of Rollback."""
        return self._request("rollback", "Rollback", session, common, body)

    def partitionQuery(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Body]:
        """Return the request of PartitionQuery."""
        return self._request("partitionQuery", "PartitionQuery", session, common, body)

    def partitionRead(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Body]:
        """Return the request of PartitionRead."""
        return self._request("partitionRead", "PartitionRead", session, common, body)

    def batchWrite(
        self, *, session: str | None = None, body: Any = None, **common: Unpack[Keywords]
    ) -> Request[_Parts]:
        """Return the request of BatchWrite."""
        return self._request("batchWrite", "BatchWrite", session, common, body)

    def list_next(
        self, previous_request: Request[_Page], previous_response: Mapping[str, Any]
    ) -> Request[_Page] | None:
        """Return the request for the next page, or None after the last one.

        Args:
            previous_request: what `list` or `list_next` returned.
            previous_response: what its `execute()` returned.

        Raises:
            InvalidType: an argument is something else.
        """
        if not isinstance(previous_response, Mapping):
            raise InvalidType(f"list_next takes the answer to the request, a dict, got {short(previous_response)}")
        token = previous_response.get("nextPageToken")
        if not token:
            return None
        if not (isinstance(previous_request, Request) and previous_request.methodId.endswith(".list")):
            raise InvalidType(f"list_next takes a request of list, got {short(previous_request)}")
        return previous_request.next_page(token)

    def _request(
        self, method: str, rpc_name: str, name: str | None, keywords: Mapping[str, Any], body: Any = None
    ) -> Request[Any]:
        rpc = RPCS[rpc_name]
        kinds = {**OF_LIST, **COMMON} if method == "list" else COMMON
        unknown = keywords.keys() - kinds.keys() - REFUSED.keys()
        if unknown:
            expected = [rpc.on, *(["body"] if http_rule(rpc).whole_body else []), *kinds]
            raise InvalidType(f"{method}: unexpected keyword argument {min(unknown)!r}, expected {expected}")
        given = {keyword: value for keyword, value in keywords.items() if value is not None}
        for keyword in given.keys() & REFUSED:
            # The message has no value, which may be a secret.
            raise InvalidType(f"{method}: {keyword} is not supported over gRPC: {REFUSED[keyword]}")
        if name is None:
            raise InvalidType(f"{method}: missing required parameter {rpc.on!r}")
        name = rpc.check(name)
        query = {keyword: converted(keyword, value, kinds[keyword]) for keyword, value in given.items()}
        query = {"$.xgafv" if keyword == "x__xgafv" else keyword: text for keyword, text in query.items()}
        body = None if body is None else converted("body", body, BODY)
        return self._request_class(self._client, method, rpc, name, {**query, "alt": "json"}, body)


class Sessions(_AnySessions["Session", "SessionsBody", "ListSessionsBody", dict[str, Any], list[dict[str, Any]]]):
    """The resource `projects.instances.databases.sessions`.

    Each method returns the `Request` of an RPC. All of them also take the keywords that every method of Google's client
    takes: `alt`, `prettyPrint`, `x__xgafv`, `quotaUser`, `uploadType`, `upload_protocol`, `userip`, `strict`, `trace`
    and `pp`, which are checked and change nothing. None means that a keyword is not given. They raise
        InvalidType: a keyword is missing, unknown or not supported over gRPC (`fields`, `callback`, `key`,
            `access_token`, `oauth_token`), or its value has the wrong type, like a body that is not JSON.
        InvalidValue: a value cannot be sent, like a body that contains itself.
        InvalidName: the name of the database or session is malformed.
    """


class AsyncSessions(
    _AnySessions[
        Coroutine[Any, Any, "Session"],
        Coroutine[Any, Any, "SessionsBody"],
        Coroutine[Any, Any, "ListSessionsBody"],
        Coroutine[Any, Any, dict[str, Any]],
        Coroutine[Any, Any, list[dict[str, Any]]],
    ]
):
    """`Sessions` on an asynchronous client: each method returns an `AsyncRequest`, whose `execute()` is awaited."""

    _request_class = AsyncRequest
