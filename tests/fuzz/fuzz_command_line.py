"""A fuzz target: the command line, up to the client that a command would use."""

from __future__ import annotations

import contextlib
import io
from typing import Any, Final
from unittest import mock

from hypothesis import given, strategies as st

from spanner_grpc_sessions.cli import options, program
from tests.fuzz.fuzz_names import names

__all__ = ["fuzz"]

_WORDS: Final = [
    *("create", "get", "list", "delete", "ping", "serve", "--count", "--label", "--creator-role", "--multiplexed"),
    *("--filter", "--timeout", "--endpoint", "--plaintext", "--instance-type", "--root-certificates", "--port"),
    *("--client-certificate", "--client-key", "--version", "--help", "-h", "--", "--coun", "--count=2", "--label=a=b"),
    *("1", "0", "-1", "1e3", "nan", "inf", "a=b", "a=", "=", "A=b", "omni", "cloud", "localhost:1", "h:0", "/dev/null"),
    *("9" * 5000, "\u0661", "", " ", "\udc80", "/", "no-such-file", "unix:x", "[::1]:1", "dns:1"),
]


class _Reached(Exception):
    """A client was made: what was given is in order."""


@given(
    command=st.sampled_from(["create", "get", "list", "delete", "ping", "nothing"]),
    name=st.one_of(names(3), names(4)),
    # No argument of a process holds a zero.
    rest=st.lists(
        st.one_of(st.sampled_from(_WORDS), st.text(st.characters(exclude_characters="\0"), max_size=5)), max_size=4
    ),
)
def fuzz(command: str, name: str, rest: list[str]) -> None:
    """A command makes a client, or ends with 0, 1 or 2; it never ends in a traceback."""

    def reached(*_: Any, **__: Any) -> Any:
        raise _Reached

    streams = contextlib.ExitStack()
    streams.enter_context(contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")))
    streams.enter_context(contextlib.redirect_stderr(io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")))
    clients = mock.patch.object(options, "SessionsClient", reached)
    with streams, clients:
        try:
            assert program.run([command, name.replace("\0", ""), *rest]) in {0, 1, 2}
        except _Reached:
            pass
        except SystemExit as end:
            assert end.code in {0, 2}  # noqa: PT017 - it is not what is expected but what is allowed
