"""Options of the pools: what breaks a rule is refused when they are made, by name and by one of our exceptions."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.multiplexed.rotation import MultiplexedOptions
from spanner_grpc_sessions.pool.options import PoolOptions
from spanner_grpc_sessions.service.limits import IDLE_LIMIT, LIFETIME_LIMIT
from spanner_grpc_sessions.service.requests import batch_create_sessions
from tests.unit.rest.strategies import anything

POOL_FIELDS = [field.name for field in dataclasses.fields(PoolOptions)]
# The first text that is ever drawn has hypothesis build its tables of characters, which takes its time.
patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
MULTIPLEXED_FIELDS = [field.name for field in dataclasses.fields(MultiplexedOptions)]


def test_defaults_lie_within_the_limits_of_the_server() -> None:
    """Sessions are pinged long before an hour, validated after that but before it, and replaced before 28 days."""
    options = PoolOptions()
    assert options.keep_alive_after < options.validate_after < IDLE_LIMIT == 3600
    assert options.max_lifetime < LIFETIME_LIMIT == 28 * 24 * 3600
    assert (options.min_size, options.max_size) == (1, 100)
    assert options.acquire_timeout == 30.0
    assert options.delete_on_close


def test_defaults_of_the_multiplexed_session_are_those_of_google() -> None:
    """It is replaced after seven days, and looked at every ten minutes."""
    options = MultiplexedOptions()
    assert (options.replace_after, options.check_interval) == (7 * 24 * 3600, 600.0)
    assert options.retry_after == 15.0


@pytest.mark.parametrize("name", ["keep_alive_after", "validate_after", "max_idle", "max_lifetime", "leak_after"])
@pytest.mark.parametrize("seconds", [0.001, 0.25, 1, 1.0])
def test_small_times_work(name: str, seconds: float) -> None:
    """Tests of users need sessions that age within a second; whole numbers become floats."""
    options: dict[str, Any] = {name: seconds}
    value = getattr(PoolOptions(**options), name)
    assert value == seconds
    assert type(value) is float


@pytest.mark.parametrize("name", ["max_waiting", "acquire_timeout", "labels", "creator_role", "max_idle", "leak_after"])
def test_none_is_no_limit(name: str) -> None:
    """What may be left out may be None."""
    options: dict[str, Any] = {name: None}
    assert getattr(PoolOptions(**options), name) is None


def test_acquires_can_try_once() -> None:
    """A timeout of 0 is no wait."""
    assert PoolOptions(acquire_timeout=0).acquire_timeout == 0


def test_a_pool_can_be_empty_or_of_fixed_size() -> None:
    """`min_size` goes from nothing to all."""
    assert PoolOptions(min_size=0, max_size=1).min_size == 0
    assert PoolOptions(min_size=10_000, max_size=10_000).max_size == 10_000


@pytest.mark.parametrize(
    "options",
    [
        {"min_size": -1},
        {"min_size": 101},
        {"min_size": 5, "max_size": 4},
        {"max_size": 0},
        {"max_size": 10_001},
        {"max_size": 10**400},
        {"max_waiting": 0},
        {"max_waiting": -1},
        {"acquire_timeout": -0.001},
        {"acquire_timeout": float("inf")},
        {"acquire_timeout": float("nan")},
        {"acquire_timeout": 10**400},
        {"keep_alive_after": 0},
        {"keep_alive_after": 3600},
        {"keep_alive_after": float("nan")},
        {"validate_after": 0.0},
        {"validate_after": 3600.0},
        {"max_idle": 0},
        {"max_idle": -1},
        {"max_lifetime": 0},
        {"max_lifetime": 28 * 24 * 3600},
        {"leak_after": 0},
        {"leak_after": float("inf")},
        {"labels": {"Team": "a"}},
        {"labels": {"team": "A"}},
        {"labels": {f"k{number}": "" for number in range(65)}},
        {"creator_role": ""},
        {"creator_role": "röle"},
    ],
)
def test_pool_values_that_break_a_rule_are_refused(options: dict[str, Any]) -> None:
    """A value out of its range is refused by name."""
    with pytest.raises(InvalidValue) as error:
        PoolOptions(**options)
    assert next(iter(options)).removesuffix("s") in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"min_size": 1.0},
        {"min_size": True},
        {"min_size": None},
        {"max_size": "10"},
        {"max_waiting": 2.5},
        {"acquire_timeout": "30"},
        {"acquire_timeout": True},
        {"keep_alive_after": None},
        {"validate_after": None},
        {"max_idle": b"1"},
        {"max_lifetime": None},
        {"leak_after": "never"},
        {"labels": "team"},
        {"labels": {"team": 5}},
        {"creator_role": 5},
        {"delete_on_close": 1},
        {"delete_on_close": None},
    ],
)
def test_pool_values_of_other_types_are_refused(options: dict[str, Any]) -> None:
    """A value of the wrong type is refused by name."""
    with pytest.raises(InvalidType) as error:
        PoolOptions(**options)
    assert next(iter(options)).removesuffix("s") in str(error.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"replace_after": 0}, InvalidValue),
        ({"replace_after": 28 * 24 * 3600}, InvalidValue),
        ({"replace_after": "7d"}, InvalidType),
        ({"check_interval": 0}, InvalidValue),
        ({"check_interval": None}, InvalidType),
        ({"retry_after": 0.01}, InvalidValue),
        ({"retry_after": float("inf")}, InvalidValue),
        ({"retry_after": True}, InvalidType),
        ({"creator_role": ""}, InvalidValue),
        ({"creator_role": b"role"}, InvalidType),
    ],
)
def test_multiplexed_values_that_break_a_rule_are_refused(options: dict[str, Any], expected: type[Exception]) -> None:
    """What no multiplexed session can keep is refused by name."""
    with pytest.raises(expected, match=next(iter(options))):
        MultiplexedOptions(**options)


def test_multiplexed_sessions_can_be_replaced_within_a_second() -> None:
    """Fractions of a second serve tests."""
    assert MultiplexedOptions(replace_after=0.2, check_interval=0.05, retry_after=0.05).replace_after == 0.2


def test_labels_are_a_copy() -> None:
    """Who changes the mapping afterwards changes no options."""
    labels = {"team": "checkout"}
    options = PoolOptions(labels=labels, creator_role="reader")
    labels["team"] = "No"
    assert options.labels == {"team": "checkout"}
    assert options.creator_role == "reader"


def test_labels_cannot_be_changed() -> None:
    """They were checked once; options with them are copied, replaced and sent to the server all the same."""
    options = PoolOptions(labels={"team": "checkout"})
    changing: Any = options.labels
    with pytest.raises(TypeError):
        changing["team"] = "No"
    with pytest.raises(AttributeError):
        changing.clear()
    assert copy.deepcopy(options) == dataclasses.replace(options, max_size=100) == options
    assert dataclasses.asdict(options)["labels"] == {"team": "checkout"}
    assert repr(options.labels) == "{'team': 'checkout'}"
    request = batch_create_sessions("projects/pp/instances/ii/databases/dd", 1, options.labels)
    assert request.session_template.labels == {"team": "checkout"}


def test_options_are_values() -> None:
    """Options are frozen, equal by value, can be hashed, and travel to other processes."""
    options: Any
    for options in (PoolOptions(labels={"a": "b"}), MultiplexedOptions(creator_role="reader")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            options.creator_role = "other"
        twin = pickle.loads(pickle.dumps(options))  # noqa: S301 - what this test pickled
        assert twin == options
        assert hash(twin) == hash(options)


def test_options_are_keyword_only() -> None:
    """Numbers say what they are."""
    with pytest.raises(TypeError):
        PoolOptions(1, 2)  # type: ignore[call-arg]  # that is the point


@patient
@given(st.dictionaries(st.sampled_from(POOL_FIELDS), anything(), max_size=2))
def test_any_pool_options_raise_only_our_errors(values: Mapping[str, Any]) -> None:
    """`PoolOptions` takes the values, or raises one of our two exceptions."""
    with contextlib.suppress(InvalidValue, InvalidType):
        hash(PoolOptions(**values))


@patient
@given(st.dictionaries(st.sampled_from(MULTIPLEXED_FIELDS), anything(), max_size=2))
def test_any_multiplexed_options_raise_only_our_errors(values: Mapping[str, Any]) -> None:
    """`MultiplexedOptions` takes the values, or raises one of our two exceptions."""
    with contextlib.suppress(InvalidValue, InvalidType):
        hash(MultiplexedOptions(**values))
