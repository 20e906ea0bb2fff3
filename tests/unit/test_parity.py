"""The two colours hold together: what one class has, its twin has, and says the same of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

import spanner_grpc_sessions as package
from spanner_grpc_sessions.pool.pool import LeasedSession
from spanner_grpc_sessions.pool.pool_async import AsyncLeasedSession

# What differs everywhere: `with` is `async with`, and where one has threads the other has the tasks of a loop.
TWINS = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
TYPES = {
    "grpc.aio.ClientInterceptor": "Any",
    "AsyncIterator[": "Iterator[",
    "grpc.aio.Channel": "grpc.Channel",
    "SpannerAsyncStub": "SpannerStub",
}
TASKS = {"Safe to share between tasks of one loop.": "Safe to share between threads."}
FUNCTIONS = {"or what it returned cannot be awaited.": "or is a coroutine function or a generator function."}
SPECIAL = {*TWINS, *TWINS.values(), "__init__", "__del__", "__repr__"}


@dataclass(frozen=True)
class Pair:
    """A class and its asynchronous twin, and in what they truly differ.

    Attributes:
        sync: the class.
        asynchronous: its twin.
        types: parts of the twin's signatures, to what the class has there.
        sentences: parts of the twin's docstrings, to what the class has there.
        plain: methods that wait for nothing, and so are called alike in both colours.
    """

    sync: type[Any]
    asynchronous: type[Any]
    types: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.sync.__name__

    def members(self, name: str) -> tuple[Any, Any]:
        """Return what both have under the synchronous name."""
        return members(self.sync)[name], members(self.asynchronous)[name]


PAIRS = [
    Pair(
        package.SessionsClient,
        package.AsyncSessionsClient,
        sentences=TASKS,
        plain=frozenset({"call_credentials", "channel"}),
    ),
    Pair(
        package.SessionPool,
        package.AsyncSessionPool,
        types={
            "AsyncSessionsClient": "SessionsClient",
            "AsyncLeasedSession": "LeasedSession",
            "AsyncLease": "Lease",
            "Awaitable[_Result]": "_Result",
        },
        sentences={**TASKS, **FUNCTIONS},
        plain=frozenset({"session", "stats", "after_fork"}),
    ),
    Pair(
        package.Lease,
        package.AsyncLease,
        sentences={"AsyncSessionPool": "SessionPool"},
        plain=frozenset({"invalidate", "channel"}),
    ),
    Pair(
        LeasedSession,
        AsyncLeasedSession,
        types={"AsyncLease": "Lease"},
        sentences={"AsyncSessionPool": "SessionPool"},
    ),
    Pair(
        package.MultiplexedSession,
        package.AsyncMultiplexedSession,
        types={
            "AsyncSessionsClient": "SessionsClient",
            "AsyncMultiplexedSession": "MultiplexedSession",
            "Awaitable[_Result]": "_Result",
        },
        sentences={**TASKS, **FUNCTIONS},
        plain=frozenset({"after_fork", "channel"}),
    ),
]


def members(owner: type[Any]) -> dict[str, Any]:
    """Return what a class and its bases define for their users, by the name that the synchronous twin has."""
    return {
        TWINS.get(name, name): member
        for base in reversed(owner.__mro__[:-1])
        for name, member in vars(base).items()
        if not name.startswith("_") or name in SPECIAL
    }


def function(member: Any) -> Any:
    """Return the function that a member is, or that a property asks."""
    if isinstance(member, property):
        return member.fget
    return member.func if isinstance(member, cached_property) else member


def told(text: str, differences: Mapping[str, str]) -> str:
    """Return what the asynchronous twin says, with the words of the other in the place of its own."""
    for mine, theirs in differences.items():
        text = text.replace(mine, theirs)
    return text


each_pair = pytest.mark.parametrize("pair", PAIRS, ids=str)
each_member = pytest.mark.parametrize(
    ("pair", "name"), [pytest.param(pair, name, id=f"{pair}-{name}") for pair in PAIRS for name in members(pair.sync)]
)


def test_every_public_twin_is_compared() -> None:
    """A new class that has a twin gets a pair in the list of this test."""
    names = dir(package)
    twins = {name for name in names if f"Async{name}" in names}
    assert twins <= {str(pair) for pair in PAIRS}


@each_pair
def test_both_have_the_same_names_in_the_same_order(pair: Pair) -> None:
    """Neither colour has a method that the other lacks."""
    assert list(members(pair.sync)) == list(members(pair.asynchronous))


@each_member
def test_twins_take_the_same_parameters(pair: Pair, name: str) -> None:
    """Names, kinds, defaults and types of the parameters are equal; what is returned may be the type's own twin."""
    sync, asynchronous = map(inspect.signature, map(function, pair.members(name)))
    assert told(str(asynchronous), {**TYPES, **pair.types}) == str(sync)
    assert [p.default for p in asynchronous.parameters.values()] == [p.default for p in sync.parameters.values()]


@each_member
def test_only_the_waiting_differs(pair: Pair, name: str) -> None:
    """What waits is a coroutine, what iterates an asynchronous generator, and what does neither is a plain function.

    What is read as an attribute is so in both colours, and cannot wait.
    """
    sync, asynchronous = pair.members(name)
    assert type(asynchronous) is type(sync)
    attribute = not inspect.isfunction(sync)
    sync, asynchronous = function(sync), function(asynchronous)
    iterates = inspect.isgeneratorfunction(sync)
    assert not inspect.iscoroutinefunction(sync)
    assert inspect.isasyncgenfunction(asynchronous) is iterates
    waits = not (attribute or iterates or name in pair.plain or name in SPECIAL - {*TWINS.values()})
    assert inspect.iscoroutinefunction(asynchronous) is waits


@each_member
def test_twins_say_the_same(pair: Pair, name: str) -> None:
    """The docstrings are equal, but for the words that the pair lists."""
    sync, asynchronous = (str(function(member).__doc__) for member in pair.members(name))
    assert told(asynchronous, pair.sentences) == sync


@each_pair
def test_the_classes_say_the_same(pair: Pair) -> None:
    """So are the docstrings of the classes."""
    assert told(str(pair.asynchronous.__doc__), pair.sentences) == pair.sync.__doc__


@each_pair
def test_every_difference_is_one(pair: Pair) -> None:
    """What a pair lists is in its twin and not in the class: nothing stays in the list that was mended."""
    twin = members(pair.asynchronous)
    said = f"{pair.asynchronous.__doc__}{[function(member).__doc__ for member in twin.values()]}"
    taken = str([str(inspect.signature(function(member))) for member in twin.values()])
    assert [words for words in pair.sentences if words not in said] == []
    assert [words for words in pair.types if words not in taken] == []
    assert pair.plain <= set(twin)
