"""A client and a multiplexed session whose caller is interrupted at each line in turn: they work on, or are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import pytest

from spanner_grpc_sessions import ClientClosed, MultiplexedSession, PoolClosed, SessionsClient
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.interrupting import each_line
from tests.support.thorough import THOROUGH
from tests.support.waiting import WAIT

_DATABASE: Final = "projects/p/instances/i/databases/d"


class _Case(NamedTuple):
    """What is interrupted.

    Attributes:
        act: is called with a new client or multiplexed session, and interrupted.
        opened: it was used before.
        closes: it may be closed afterwards.
        step: which lines, unless all are tried.
    """

    act: Callable[[Any], object]
    opened: bool = False
    closes: bool = False
    step: int = 1


_CLIENTS: Final = {
    "open": _Case(lambda client: client.open(), step=7),
    "first call": _Case(lambda client: client.create_session(_DATABASE), step=19),
    "close": _Case(lambda client: client.close(), opened=True, closes=True, step=7),
}
_SESSIONS: Final = {
    "open": _Case(lambda session: session.open(), step=3),
    "name": _Case(lambda session: session.name, step=7),
    "run": _Case(lambda session: session.run(lambda it: it.name), opened=True, step=3),
    "close": _Case(lambda session: session.close(), opened=True, closes=True, step=3),
}


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """A function that calls another one in a thread of its own, and fails if that takes long."""
    with ThreadPoolExecutor() as threads:
        yield lambda function, *args: threads.submit(function, *args).result(WAIT)


@pytest.mark.parametrize("case", _CLIENTS.values(), ids=_CLIENTS)
def test_a_client_works_after_an_interruption_at_any_line(
    local: LocalSpanner, elsewhere: Callable[..., Any], case: _Case
) -> None:
    """With TLS and a token: another thread makes a call, and closes it; or it is closed."""
    for moment in each_line(step=1 if THOROUGH else case.step):
        client = SessionsClient(local.credentials(), options=local.client_options())
        if case.opened:
            client.create_session(_DATABASE)
        with moment:
            case.act(client)
        try:
            assert elsewhere(client.create_session, _DATABASE), moment
        except ClientClosed:
            assert case.closes, moment
        elsewhere(client.close)
        with pytest.raises(ClientClosed):
            client.create_session(_DATABASE)


@pytest.mark.parametrize("case", _SESSIONS.values(), ids=_SESSIONS)
def test_a_multiplexed_session_works_after_an_interruption_at_any_line(
    local: LocalSpanner, elsewhere: Callable[..., Any], case: _Case
) -> None:
    """Another thread uses it, and closes it, and no caller is counted as waiting; or it is closed."""
    with SessionsClient(local.credentials(), options=local.client_options()) as client:
        for moment in each_line(step=1 if THOROUGH else case.step):
            session = MultiplexedSession(client, _DATABASE)
            if case.opened:
                session.open()
            with moment:
                case.act(session)
            try:
                assert elsewhere(session.run, lambda it: it.name), moment
            except PoolClosed:
                assert case.closes, moment
            assert len(session._rotation.waiting) == 0, moment
            elsewhere(session.close)
            with pytest.raises(PoolClosed):
                session.open()
