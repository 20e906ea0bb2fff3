"""Options: what breaks a rule is refused when the options are made, and never by another exception than ours."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from hypothesis import given, strategies as st

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.options import DEFAULT, SCOPE_DATA, ClientOptions, RetryOptions, check_timeout
from tests.unit.rest.strategies import anything

RETRY_FIELDS = [field.name for field in dataclasses.fields(RetryOptions)]
CLIENT_FIELDS = [field.name for field in dataclasses.fields(ClientOptions)]


@pytest.mark.parametrize("timeout", [0, 0.0, 1, 0.001, 3600.0, 1e9, sys.float_info.min])
def test_timeouts_are_returned_as_they_are(timeout: float) -> None:
    """Seconds from zero to a billion are a timeout."""
    assert check_timeout(timeout) == timeout


def test_no_timeout_is_none() -> None:
    """None is no limit."""
    assert check_timeout(None) is None


@pytest.mark.parametrize(
    "timeout", [-1, -0.001, 1e9 + 1, 1e300, 10**400, float("inf"), float("-inf"), float("nan"), sys.float_info.max]
)
def test_timeouts_out_of_range_are_refused(timeout: float) -> None:
    """A timeout that gRPC would take for one that has passed is refused, with the value in the message."""
    with pytest.raises(
        InvalidValue, match=r"timeout in seconds \(None for no limit\) must be from 0 to 1e\+09, got"
    ) as error:
        check_timeout(timeout)
    assert short(timeout) in str(error.value)


@pytest.mark.parametrize("timeout", ["5", True, False, b"5", [5], DEFAULT, 1j])
def test_timeouts_of_other_types_are_refused(timeout: Any) -> None:
    """A timeout is a number, and a bool is none."""
    with pytest.raises(InvalidType, match="timeout") as error:
        check_timeout(timeout)
    assert repr(timeout) in str(error.value)


def test_retry_defaults_are_the_published_ones() -> None:
    """Without arguments the options are what Google publishes for Spanner."""
    options = RetryOptions()
    assert (options.initial_delay, options.multiplier, options.max_delay) == (0.25, 1.3, 32.0)
    assert options.statuses == {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}


def test_none_repeats_nothing() -> None:
    """`RetryOptions.none()` has no status that is repeated."""
    assert RetryOptions.none().statuses == frozenset()


def test_retry_statuses_can_be_all_that_grpc_knows() -> None:
    """Every canonical status but OK can be named, and any collection may hold the names."""
    names = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    assert RetryOptions(statuses=names).statuses == frozenset(names)  # type: ignore[arg-type]  # a list serves too


@pytest.mark.parametrize(
    "options",
    [
        {"initial_delay": -0.1},
        {"initial_delay": float("nan")},
        {"initial_delay": float("inf")},
        {"initial_delay": 10**400},
        {"multiplier": 0.99},
        {"multiplier": -1},
        {"max_delay": -1},
        {"max_delay": 10**400},
        {"statuses": {"OK"}},
        {"statuses": {"unavailable"}},
        {"statuses": {"BOGUS"}},
        {"statuses": ("UNAVAILABLE", "")},
    ],
)
def test_retry_values_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """A number out of its range, or a status that is none, is refused by name and value."""
    with pytest.raises(InvalidValue) as error:
        RetryOptions(**options)
    assert next(iter(options)) in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"initial_delay": "1"},
        {"initial_delay": None},
        {"multiplier": True},
        {"max_delay": b"1"},
        {"statuses": "UNAVAILABLE"},
        {"statuses": 14},
        {"statuses": None},
        {"statuses": [grpc.StatusCode.UNAVAILABLE]},
        {"statuses": [["UNAVAILABLE"]]},
    ],
)
def test_retry_values_of_other_types_are_refused(options: dict[str, Any]) -> None:
    """A value of the wrong type is refused by name."""
    with pytest.raises(InvalidType) as error:
        RetryOptions(**options)
    assert next(iter(options)) in str(error.value)


def test_client_defaults_are_spanners_global_endpoint_and_narrow_scope() -> None:
    """Without arguments a client connects to Spanner with the data scope."""
    options = ClientOptions()
    assert (options.endpoint, options.universe_domain, options.plaintext) == (None, None, False)
    assert options.scopes == (SCOPE_DATA,)
    assert options.leader_aware_routing
    assert (options.channels, options.end_to_end_tracing) == (1, False)


@pytest.mark.parametrize("channels", [1, 2, 100])
def test_a_client_can_have_several_channels(channels: int) -> None:
    """From one to a hundred."""
    assert ClientOptions(channels=channels).channels == channels


def test_scopes_become_a_tuple() -> None:
    """Scopes may come in any collection, and are kept in one that cannot change."""
    scopes = ["a", "b"]
    options = ClientOptions(scopes=scopes)  # type: ignore[arg-type]  # a list serves too
    scopes.append("c")
    assert options.scopes == ("a", "b")


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": ""},
        {"endpoint": "https://spanner.googleapis.com"},
        {"endpoint": "host:1\r\n"},
        {"endpoint": "höst:1"},
        {"endpoint": "localhost:99999"},
        {"endpoint": "localhost:0"},
        {"endpoint": "localhost:abc"},
        {"endpoint": ":1"},
        {"endpoint": "[::1"},
        {"endpoint": "127.0.0.1:1:2"},
        {"endpoint": "a b:1"},
        {"endpoint": "evil.test/localhost:1"},
        {"endpoint": "unix:"},
        {"universe_domain": ""},
        {"universe_domain": "https://googleapis.com"},
        {"universe_domain": "googleapis.com:443"},
        {"universe_domain": "evil.test/googleapis.com"},
        {"quota_project_id": "p\nx: y"},
        {"user_agent": "a\tb"},
        {"user_agent": ""},
        {"channels": 0},
        {"channels": -1},
        {"channels": 101},
        {"channels": 10**400},
        {"channel_options": (("keepalive_time_ms", 1),)},
        {"channel_options": (("grpc.Keepalive", 1),)},
        {"channel_options": (("", 1),)},
        {"channel_options": ((5, 1),)},
        {"channel_options": (("SingleThreaded", 1),)},
        {"channel_options": (("grpc.keepalive_time_ms", 2**31),)},
        {"channel_options": (("grpc.keepalive_time_ms", -(10**400)),)},
        {"plaintext": True, "root_certificates": b"PEM"},
        {"plaintext": True, "client_certificate": (b"PEM", b"PEM")},
    ],
)
def test_client_values_that_break_a_rule_are_refused(options: dict[str, Any]) -> None:
    """Text that cannot be a header or an address, and options that exclude each other, are refused by name."""
    with pytest.raises(InvalidValue) as error:
        ClientOptions(**options)
    assert next(iter(options)) in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": 443},
        {"plaintext": "yes"},
        {"plaintext": None},
        {"root_certificates": "PEM"},
        {"client_certificate": b"PEM"},
        {"client_certificate": ("PEM", b"PEM")},
        {"client_certificate": (b"PEM",)},
        {"universe_domain": 5},
        {"quota_project_id": 5},
        {"scopes": "scope"},
        {"scopes": b"scope"},
        {"scopes": 5},
        {"scopes": [5]},
        {"retry": None},
        {"retry": {"statuses": ()}},
        {"leader_aware_routing": 1},
        {"user_agent": b"agent"},
        {"channels": "1"},
        {"channels": 1.0},
        {"channels": True},
        {"channels": None},
        {"channel_options": None},
        {"channel_options": "grpc.keepalive_time_ms"},
        {"channel_options": {"grpc.keepalive_time_ms": 1}},
        {"channel_options": ("grpc.keepalive_time_ms", 1)},
        {"channel_options": (("grpc.keepalive_time_ms",),)},
        {"channel_options": (("grpc.keepalive_time_ms", True),)},
        {"channel_options": (("grpc.keepalive_time_ms", 1.5),)},
        {"channel_options": (("grpc.keepalive_time_ms", None),)},
        {"end_to_end_tracing": 1},
        {"end_to_end_tracing": "true"},
        {"end_to_end_tracing": None},
    ],
)
def test_client_values_of_other_types_are_refused(options: dict[str, Any]) -> None:
    """A value of the wrong type is refused by name."""
    with pytest.raises(InvalidType) as error:
        ClientOptions(**options)
    assert next(iter(options)) in str(error.value)


def test_the_class_of_an_observer_is_refused() -> None:
    """It has the methods too, but is none: the error says what to pass."""

    class Observing:
        def begin(self, call: object) -> tuple[tuple[()], None]:
            return (), None

        def end(self, call: object, mark: object) -> None: ...

    wrong: Any = Observing
    with pytest.raises(InvalidType, match=r"observer must be an object, got the class Observing: pass Observing\(\)"):
        ClientOptions(observer=wrong)
    assert ClientOptions(observer=Observing()).observer is not None


def test_options_are_frozen() -> None:
    """Options cannot be changed after they were checked."""
    options: Any
    for options, name in ((ClientOptions(), "plaintext"), (RetryOptions(), "statuses")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(options, name, True)


def test_a_private_key_is_in_no_repr_and_no_message() -> None:
    """Neither the repr of the options nor a refusal repeats the client certificate."""
    options = ClientOptions(client_certificate=(b"chain", b"private-key"))
    assert "private-key" not in repr(options)
    with pytest.raises(InvalidType) as error:
        ClientOptions(client_certificate=["chain", "private-key"])  # type: ignore[arg-type]
    assert "private-key" not in str(error.value)


def test_default_has_a_readable_repr() -> None:
    """Signatures show `DEFAULT`."""
    assert repr(DEFAULT) == "DEFAULT"


@given(anything())
def test_any_timeout_raises_only_our_errors(value: Any) -> None:
    """`check_timeout` returns what it got, or raises one of our two exceptions."""
    with contextlib.suppress(InvalidValue, InvalidType):
        assert check_timeout(value) == value


@given(st.dictionaries(st.sampled_from(RETRY_FIELDS), anything(), max_size=2))
def test_any_retry_options_raise_only_our_errors(values: Mapping[str, Any]) -> None:
    """`RetryOptions` takes the values, or raises one of our two exceptions."""
    _make(RetryOptions, values)


@given(st.dictionaries(st.sampled_from(CLIENT_FIELDS), anything(), max_size=2))
def test_any_client_options_raise_only_our_errors(values: Mapping[str, Any]) -> None:
    """`ClientOptions` takes the values, or raises one of our two exceptions."""
    _make(ClientOptions, values)


def _make(options_class: type[Any], values: Mapping[str, Any]) -> None:
    try:
        options = options_class(**values)
    except (InvalidValue, InvalidType):
        return
    assert hash(options) == hash(options_class(**values))
