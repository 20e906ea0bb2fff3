"""The two colours hold together: what one client has, the other has, and says the same of it."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

import pytest

from spanner_grpc_sessions import AsyncSessionsClient, SessionsClient

# What differs: `with` is `async with`, and a client is for threads or for the tasks of one loop.
TWINS = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
TYPES = {"AsyncIterator[": "Iterator[", "grpc.aio.Channel": "grpc.Channel", "SpannerAsyncStub": "SpannerStub"}
SENTENCES = {
    "AsyncSessionsClient": "SessionsClient",
    "Safe to share between tasks of one loop.": "Safe to share between threads.",
}
PLAIN = {"call_credentials", "channel", "stub"}
"""Methods that wait for nothing, and so are called alike in both colours."""


def members(client: type[Any]) -> dict[str, Any]:
    """Return what a class and its bases define for their users, by the name that the synchronous twin has."""
    return {
        TWINS.get(name, name): member.func if isinstance(member, cached_property) else member
        for base in reversed(client.__mro__[:-1])
        for name, member in vars(base).items()
        if not name.startswith("_") or name in {*TWINS, *TWINS.values(), "__init__", "__repr__"}
    }


SYNC, ASYNC = members(SessionsClient), members(AsyncSessionsClient)
each_name = pytest.mark.parametrize("name", sorted(SYNC))


def test_both_have_the_same_names_in_the_same_order() -> None:
    """Neither colour has a method that the other lacks."""
    assert list(SYNC) == list(ASYNC)


@each_name
def test_twins_take_the_same_parameters(name: str) -> None:
    """Names, kinds, defaults and types of the parameters are equal; what is returned may be the type's own twin."""
    signatures = [inspect.signature(colour[name]) for colour in (SYNC, ASYNC)]
    text = str(signatures[1])
    for mine, theirs in TYPES.items():
        text = text.replace(mine, theirs)
    assert text == str(signatures[0])
    assert [p.default for p in signatures[1].parameters.values()] == [
        p.default for p in signatures[0].parameters.values()
    ]


@each_name
def test_only_the_waiting_differs(name: str) -> None:
    """What waits is a coroutine, what iterates an asynchronous generator, and what does neither is a plain function."""
    sync, asynchronous = SYNC[name], ASYNC[name]
    assert inspect.isfunction(sync)
    assert not inspect.iscoroutinefunction(sync)
    assert inspect.isasyncgenfunction(asynchronous) is inspect.isgeneratorfunction(sync)
    waits = not (name in PLAIN or name in {"__init__", "__repr__"} or inspect.isgeneratorfunction(sync))
    assert inspect.iscoroutinefunction(asynchronous) is waits


@each_name
def test_twins_say_the_same(name: str) -> None:
    """The docstrings are equal, word for word."""
    assert ASYNC[name].__doc__ == SYNC[name].__doc__


def test_the_classes_say_the_same() -> None:
    """The docstrings of the classes differ in the one sentence about threads and tasks."""
    text = str(AsyncSessionsClient.__doc__)
    for mine, theirs in SENTENCES.items():
        text = text.replace(mine, theirs)
    assert text == SessionsClient.__doc__
    assert text != AsyncSessionsClient.__doc__
