"""Hostile values as arguments of every public method: an error of ours, or the value's own, and at once."""

from __future__ import annotations

import dataclasses
import enum
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions import (
    AsyncMultiplexedSession,
    AsyncSessionPool,
    ClientOptions,
    MultiplexedOptions,
    MultiplexedSession,
    PoolOptions,
    RetryOptions,
    SessionPool,
    SessionsClient,
    SpannerSessionsError,
    discovery,
)
from spanner_grpc_sessions.local import Faults, LocalSpanner
from spanner_grpc_sessions.rest import from_rest, to_rest
from tests.support.colours import Blocking, Colour
from tests.support.pools import blocking, multiplexed_of, pool_of

_DATABASE = "projects/pp/instances/ii/databases/dd"
_SESSION = f"{_DATABASE}/sessions/ss"


class Own(Exception):
    """What a value raises when it is looked at."""


def _raise(*_: Any) -> Any:
    raise Own


class Size(enum.IntEnum):
    """Whole numbers of a subclass of int."""

    SMALL = 10


class LyingInt(int):
    """A whole number that claims to lie within any limits."""

    def __lt__(self, _: object) -> bool:
        return False

    def __gt__(self, _: object) -> bool:
        return False

    def __le__(self, _: object) -> bool:
        return True

    def __ge__(self, _: object) -> bool:
        return True


class LyingText(str):
    """A text that claims to be printable, and no longer than nothing."""

    __slots__ = ()
    __len__ = lambda self: 0  # noqa: E731 - as short as the lie
    isprintable = isascii = lambda self: True


class Raising:
    """A value all of whose methods raise."""

    __repr__ = __str__ = __eq__ = __lt__ = __len__ = __iter__ = __bool__ = __float__ = __index__ = _raise
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class RaisingMapping(Mapping[str, str]):
    """A mapping all of whose methods raise."""

    __getitem__ = __iter__ = __len__ = __repr__ = _raise


class RaisingText(str):
    """A text all of whose methods raise."""

    __slots__ = ()
    __str__ = __repr__ = __eq__ = __len__ = __iter__ = isascii = isprintable = _raise
    encode = partition = _raise  # type: ignore[assignment]  # as the value of a hostile caller
    __hash__ = str.__hash__


class RaisingInt(int):
    """A whole number all of whose methods raise."""

    __repr__ = __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __index__ = __int__ = __float__ = bit_length = _raise
    __hash__ = int.__hash__


class RaisingHash(str):
    """A text that no memory can have as its key."""

    __slots__ = ()
    __hash__ = _raise


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def _deep() -> dict[str, Any]:
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"labels": deep}
    return deep


_VALUES: dict[str, Callable[[], Any]] = {
    "enum": lambda: Size.SMALL,
    "lying int": lambda: LyingInt(2**70),
    "raising int": lambda: RaisingInt(5),
    "endless int": lambda: 10**5000,
    "true": lambda: True,
    "nan": lambda: math.nan,
    "infinity": lambda: math.inf,
    "minus infinity": lambda: -math.inf,
    "complex": lambda: 1j,
    "surrogate": lambda: "\ud800",
    "null": lambda: f"{_SESSION}\0",
    "new line": lambda: f"{_SESSION}\n",
    "long": lambda: "x" * 1_000_000,
    "lying text": lambda: LyingText(f"{_SESSION}\r\nx-y: z"),
    "raising text": lambda: RaisingText(_SESSION),
    "bytes": _SESSION.encode,
    "cycle": _cycle,
    "deep": _deep,
    "raising": Raising,
    "raising mapping": RaisingMapping,
    "keys of numbers": lambda: {1: 2},
    "values of lists": lambda: {"a": ["b"]},
    "a surrogate in a mapping": lambda: {"a": "\ud800"},
    "class": lambda: SpannerSessionsError,
    "generator": lambda: (_ for _ in (1, "a", None)),
    "raising generator": lambda: map(_raise, "ab"),
    "minus zero": lambda: -0.0,
    "raising hash": lambda: RaisingHash(_DATABASE),
    "none": lambda: None,
}


_Calls = Iterator[tuple[str, Callable[[Any], Any]]]


def _keywords(name: str, call: Callable[..., Any], keywords: str, *given: Any) -> _Calls:
    """Give each keyword of a method, as something that calls the method with one value for it."""
    for keyword in keywords.split():
        yield f"{name}({keyword})", partial(_call, call, keyword, given)


def _call(call: Callable[..., Any], keyword: str, given: tuple[Any, ...], value: Any) -> Any:
    return call(*given, **{keyword: value})


def _calls(client: Any) -> _Calls:
    """Give the arguments of the methods of a client."""
    for name in ("create_session", "list_sessions", "get_session", "delete_session", "ping_session"):
        given = _DATABASE if name in {"create_session", "list_sessions"} else _SESSION
        yield f"{name}(name)", getattr(client, name)
        yield from _keywords(name, getattr(client, name), "timeout retry metadata", given)
    yield from _keywords("create_session", client.create_session, "labels creator_role multiplexed", _DATABASE)
    yield from _keywords("list_sessions", client.list_sessions, "page_size page_token filter", _DATABASE)
    all_sessions = partial(_all, client.iter_sessions)
    yield from _keywords("iter_sessions", all_sessions, "page_size filter timeout retry metadata", _DATABASE)
    yield "batch_create_sessions(database)", lambda value: client.batch_create_sessions(value, 1)
    yield "batch_create_sessions(session_count)", lambda value: client.batch_create_sessions(_DATABASE, value)
    yield "metadata key", lambda value: client.create_session(_DATABASE, metadata=[(value, "x")])
    yield "metadata value", lambda value: client.create_session(_DATABASE, metadata=[("x-y", value)])
    yield "rest(method)", lambda value: client.rest(value, f"/v1/{_SESSION}")
    yield "rest(path)", lambda value: client.rest("GET", value)
    yield "rest(body)", lambda value: client.rest("POST", f"/v1/{_DATABASE}/sessions", value)
    yield "rest(query)", lambda value: client.rest("GET", f"/v1/{_DATABASE}/sessions", query=value)
    yield "warm_up", client.warm_up
    yield "stub(request)", client.stub.GetSession
    request = spanner_pb2.GetSessionRequest(name=_SESSION)
    yield from _keywords("stub", client.stub.GetSession, "timeout metadata", request)
    yield from _keywords("channel", client.channel, "retry interceptors")


def _makings(client: Any) -> _Calls:
    """Give the arguments of pools and multiplexed sessions."""
    for name, kind in (("pool", SessionPool), ("multiplexed", MultiplexedSession)):
        yield from _keywords(name, partial(_make, kind, client), "client database options clock")


def _make(kind: Any, of: Any, **keywords: Any) -> Any:
    given = {"client": getattr(of, "_target", of), "database": _DATABASE} | keywords
    if not isinstance(of, Blocking):
        return kind(**given)
    kind = {SessionPool: AsyncSessionPool, MultiplexedSession: AsyncMultiplexedSession}[kind]
    return of._thread.call(kind, **given)


def _pool_calls(client: Any, pool: Any, multiplexed: Any) -> _Calls:
    """Give the arguments of the methods of an open pool, of its leases, and of an open multiplexed session."""
    for method in (pool.open, pool.wait):
        yield from _keywords("open or wait", method, "timeout")
    yield "acquire(timeout)", lambda value: pool.release(pool.acquire(timeout=value))
    yield "session(timeout)", lambda value: _enter(client, pool.session(value))
    yield "release(lease)", pool.release
    lease = pool.acquire()
    yield from _keywords("lease.channel", blocking(client, lease).channel, "retry interceptors")
    pool.release(lease)
    for run in (pool.run, multiplexed.run):
        yield "run(function)", run
        yield from _keywords("run", run, "timeout", _function(client))
    yield "invalidate(name)", multiplexed.invalidate
    yield from _keywords("multiplexed.channel", multiplexed.channel, "retry interceptors")
    for name in ("close", "drain"):
        yield from _keywords(name, partial(_end_new, client, name), "timeout")


def _end_new(client: Any, way: str, **keywords: Any) -> None:
    getattr(pool_of(client, _DATABASE), way)(**keywords)


def _enter(client: Any, block: Any) -> None:
    if isinstance(client, Blocking):
        client._thread.call(_enter_async, block)
    else:
        with block:
            pass


async def _enter_async(block: Any) -> None:
    async with block:
        pass


def _function(client: Any) -> Callable[[Any], Any]:
    async def coroutine(session: Any) -> None:
        """Do nothing."""

    return coroutine if isinstance(client, Blocking) else repr


def _all(iterate: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
    return list(iterate(*args, **kwargs))


def _local_calls(spanner: LocalSpanner) -> _Calls:
    """Give the arguments of the server for tests."""
    for name in ("advance", "forget", "drop_database"):
        yield f"LocalSpanner.{name}", getattr(spanner, name)
    yield from _keywords("issue_token", spanner.issue_token, "scopes lifetime")
    yield from _keywords("add", Faults().add, "method status message delay drop retry_delay details times")
    yield from _keywords("add_token", Faults().add_token, "status body delay drop times")
    yield from _keywords("LocalSpanner", LocalSpanner, "tls clock faults port databases workers token_lifetime")


def _discovery_calls(client: SessionsClient) -> _Calls:
    """Give those of the interface of google-api-python-client."""
    sessions = discovery.build(client).projects().instances().databases().sessions()
    create = partial(sessions.create, database=_DATABASE)
    list_ = partial(sessions.list, database=_DATABASE)
    yield "discovery.build", discovery.build
    yield from _keywords("create", create, "database body alt prettyPrint quotaUser fields")
    yield from _keywords("list", list_, "pageSize pageToken filter")
    yield "list_next(request)", lambda value: sessions.list_next(value, {"nextPageToken": "t"})
    yield "list_next(answer)", lambda value: sessions.list_next(list_(), value)


def _constructions() -> _Calls:
    """Give the fields of the options, and the converter."""
    for options in (ClientOptions, PoolOptions, MultiplexedOptions, RetryOptions):
        names = " ".join(field.name for field in dataclasses.fields(options))
        yield from _keywords(options.__name__, options, names)
    yield "to_rest", to_rest


def _refuses(call: Callable[[Any], Any], value: Callable[[], Any]) -> str:
    """Call with a value; return what came out of it that is neither an answer, nor an error of ours or the value's."""
    try:
        call(value())
    except (SpannerSessionsError, Own):
        return ""
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("name", _VALUES)
def test_a_hostile_argument_of_a_call(local: LocalSpanner, colour: Colour, name: str) -> None:
    """No method of a client raises anything else, or stands still."""
    with colour.client(local.credentials(), options=local.client_options(retry=RetryOptions.none())) as client:
        found = {which: _refuses(call, _VALUES[name]) for which, call in _calls(client)}
    assert {which: error for which, error in found.items() if error} == {}


@pytest.fixture
def quiet(local: LocalSpanner, colour: Colour) -> Iterator[tuple[Any, Any, Any]]:
    """A client, a pool and a multiplexed session that are open and need nothing of the server."""
    with colour.client(local.credentials(), options=local.client_options(retry=RetryOptions.none())) as client:
        pool, multiplexed = pool_of(client, _DATABASE), multiplexed_of(client, _DATABASE)
        pool.open()
        multiplexed.open()
        yield client, pool, multiplexed
        multiplexed.close()
        pool.close()


def test_a_hostile_argument_of_a_pool(quiet: tuple[Any, Any, Any], local: LocalSpanner) -> None:
    """Nor do a pool, its leases and a multiplexed session; nothing is sent, and no session is taken."""
    client, pool, multiplexed = quiet
    sent, threads, session = len(local.calls), _threads(), multiplexed.name
    calls = [*_makings(client), *_pool_calls(*quiet)]
    found = {(which, name): _refuses(call, make) for name, make in _VALUES.items() for which, call in calls}
    assert {which: error for which, error in found.items() if error} == {}
    assert (len(local.calls), pool.stats().leased, multiplexed.name) == (sent, 0, session)
    assert _threads() == threads


def _threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("spanner-sessions"))


@pytest.mark.parametrize("name", _VALUES)
def test_a_hostile_option(name: str) -> None:
    """No options raise anything else when they are made."""
    found = {which: _refuses(call, _VALUES[name]) for which, call in _constructions()}
    assert {which: error for which, error in found.items() if error} == {}


@pytest.mark.parametrize("name", _VALUES)
def test_a_hostile_argument_of_the_server_for_tests_and_of_discovery(local: LocalSpanner, name: str) -> None:
    """These raise nothing else either."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        calls = [*_local_calls(local), *_discovery_calls(client)]
        found = {which: _refuses(call, _VALUES[name]) for which, call in calls}
    assert {which: error for which, error in found.items() if error} == {}


def test_a_number_of_a_subclass_is_a_number(local: LocalSpanner, colour: Colour) -> None:
    """An `IntEnum` is compared with the limits: to look it up in a range of them would take C code a minute."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        assert len(client.batch_create_sessions(_DATABASE, Size.SMALL)["session"]) == 10
        assert len(client.list_sessions(_DATABASE, page_size=Size.SMALL)["sessions"]) == 10
    options = PoolOptions(min_size=Size.SMALL, max_size=LyingInt(10), max_waiting=LyingInt(10))
    assert {type(value) for value in (options.min_size, options.max_size, options.max_waiting)} == {int}
    create, list_ = (call.request for call in local.calls)
    assert (create.session_count, list_.page_size) == (10, 10)  # type: ignore[attr-defined]  # of their RPCs


def test_from_rest_of_a_hostile_value() -> None:
    """The converter too."""
    found = {
        name: _refuses(lambda value: from_rest(spanner_pb2.CreateSessionRequest, {"session": value}), make)
        for name, make in _VALUES.items()
    }
    assert {which: error for which, error in found.items() if error} == {}
