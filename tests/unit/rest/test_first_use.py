"""The first use of a message class: whatever interrupts it, the next use gives what an undisturbed one gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from spanner_grpc_sessions_pb import spanner_pb2, type_pb2

from spanner_grpc_sessions.rest import decoder, from_rest, routes, to_rest
from tests.support.conversions import forgetting
from tests.support.interrupting import drawn_moments, each_line
from tests.support.processes import FORK, needs_fork
from tests.support.thorough import THOROUGH, often

DATABASE: Final = "projects/p1/instances/i1/databases/d1"
BODY: Final = {"session": {"labels": {"env": "prod"}, "createTime": "2026-11-24T08:00:00Z"}}
TYPE: Final = {"code": "ARRAY", "arrayElementType": {"code": "INT64", "structType": {"fields": [{"name": "f"}]}}}


def _routed() -> Message:
    return routes.route("POST", f"/v1/{DATABASE}/sessions", None, BODY)[2]


# A class with maps and a well-known type, one that contains itself and has enums, and both ways through `rest()`.
USES: Final[dict[str, Callable[[], Any]]] = {
    "to_rest": lambda: to_rest(spanner_pb2.Session(name="s", labels={"env": "prod"}, create_time={"seconds": 1})),
    "to_rest of a class within itself": lambda: to_rest(type_pb2.Type(code="ARRAY", array_element_type={"code": 2})),
    "from_rest": lambda: from_rest(spanner_pb2.CreateSessionRequest, BODY),
    "from_rest of a class within itself": lambda: from_rest(type_pb2.Type, TYPE),
    "route": _routed,
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function that makes the next use of each class its first."""
    return forgetting(monkeypatch)


@each_use
@pytest.mark.parametrize("raises", [KeyboardInterrupt, RecursionError])
def test_an_interruption_at_any_line_leaves_no_trace(
    use: Callable[[], Any], raises: type[BaseException], forget: Callable[[], None]
) -> None:
    """It reaches the caller as it is, and the next use compiles again."""
    expected = use()
    for moment in each_line(raises, events=("line", "return")):
        forget()
        with moment:
            use()
        assert moment.place is None or moment.error is moment.raised
        assert use() == expected, moment


@each_use
def test_a_signal_at_any_moment_leaves_no_trace(use: Callable[[], Any], forget: Callable[[], None]) -> None:
    """A handler that raises, as that of Ctrl-C or of a soft time limit, may come between any two instructions."""
    expected = use()
    for moment in drawn_moments(often(2_000)):
        forget()
        with moment:
            use()
        assert use() == expected, moment


@each_use
def test_a_first_use_deep_in_the_stack_leaves_no_trace(use: Callable[[], Any], forget: Callable[[], None]) -> None:
    """Wherever the stack ends, RecursionError says so, and the next use compiles again."""
    expected, ended = use(), 0
    for room in range(100):
        forget()
        try:
            assert _with_room(room, use) == expected
        except RecursionError:
            ended += 1
        assert use() == expected, room
    assert 0 < ended < 100


def _with_room(frames: int, use: Callable[[], Any]) -> Any:
    """Call a function where the stack has room for this many frames."""
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:  # type: ignore[assignment]  # None ends it
        depth += 1

    def deeper(left: int) -> Any:
        return deeper(left - 1) if left > 0 else use()

    return deeper(sys.getrecursionlimit() - depth - frames)


IMPORTING: Final = """
import sys
from spanner_grpc_sessions_pb import spanner_pb2
from tests.support.interrupting import each_line

def use():
    from spanner_grpc_sessions import rest
    message = rest.from_rest(spanner_pb2.CreateSessionRequest, {"session": {"labels": {"env": "prod"}}})
    assert rest.to_rest(message) == {"session": {"labels": {"env": "prod"}}}

for moment in each_line(step=int(sys.argv[1])):
    for name in [name for name in sys.modules if name.startswith("spanner_grpc_sessions.rest")]:
        del sys.modules[name]
    vars(sys.modules["spanner_grpc_sessions"]).pop("rest", None)
    with moment:
        use()
    assert moment.place is None or moment.error is moment.raised, moment
    use()
"""


def test_an_interruption_of_the_import_leaves_no_trace() -> None:
    """The modules load at the first use, which may be interrupted too."""
    step = "1" if THOROUGH else "11"
    run = subprocess.run([sys.executable, "-c", IMPORTING, step], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr


FORKING: Final = """
import signal, threading
from spanner_grpc_sessions.rest import encoder, from_rest, to_rest
from spanner_grpc_sessions_pb import spanner_pb2

def source(writer, name, descriptor, original=encoder._Writer._source):
    if threading.current_thread() is other:
        arrived.set()
        forked.wait()
    return original(writer, name, descriptor)

arrived, forked = threading.Event(), threading.Event()
encoder._Writer._source = source
message = spanner_pb2.Session(name="s", labels={"env": "prod"})
other = threading.Thread(target=to_rest, args=[message], daemon=True)
other.start()
arrived.wait()

def convert():
    assert to_rest(message) == {"name": "s", "labels": {"env": "prod"}}

def in_child():
    signal.alarm(20)  # ends a process that waits for a thread of its parent
    convert()

fork(in_child)
forked.set()
other.join()
convert()
"""


@needs_fork
def test_a_fork_while_another_thread_compiles_does_not_block_the_child() -> None:
    """The thread is gone in the child, and what it had begun with it."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK + FORKING],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("message_class", "body", "broken"),
    [
        (spanner_pb2.CreateSessionRequest, {"session": {}}, spanner_pb2.Session),
        (spanner_pb2.ListSessionsResponse, {"sessions": [{}]}, spanner_pb2.Session),
        (spanner_pb2.ExecuteSqlRequest, {"paramTypes": {"p": {}}}, type_pb2.Type),
    ],
)
def test_a_mistake_in_our_code_is_no_refusal_of_a_value(
    message_class: type[Message], body: Any, broken: type[Message], forget: Callable[[], None]
) -> None:
    """Where the function for a field, an element or a value of a map is missing, the TypeError says so."""
    forget()
    from_rest(message_class, body)
    functions = decoder._functions
    functions.namespace[functions.names[broken.DESCRIPTOR]] = None
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        from_rest(message_class, body)
