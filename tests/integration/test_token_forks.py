"""A token source in a process that forks, with or without Python's knowledge, at any moment: each child has its token.

The source alone, for what gRPC makes of a fork is another matter.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import needs_fork
from tests.support.token_server import TokenServer

pytestmark = needs_fork

_PROGRAM = """
import copy, ctypes, json, os, sys, threading, time
from google.auth.credentials import Credentials
from google.oauth2 import credentials as user
from spanner_grpc_sessions.auth import tokens_for
from spanner_grpc_sessions.auth.credentials import TokenFetcher
from spanner_grpc_sessions.auth.token_source import TokenSource
from spanner_grpc_sessions.options import ClientOptions

URI = sys.argv[1]
FORKS = {"python": os.fork, "c": ctypes.PyDLL(None).fork}

def credentials():
    return user.Credentials(None, refresh_token="r", token_uri=URI, client_id="c", client_secret="s")

def tokens(credentials):
    return tokens_for(credentials, ClientOptions(), address="example.com:1", authenticated=True)

def token(source):
    return dict(source.current() or source.wait(10))["authorization"].removeprefix("Bearer ")

def start(way, work):
    # Python's pipe, for what a child prints may be lost with its buffers.
    reader, writer = os.pipe()
    child = FORKS[way]()
    if not child:
        try:
            said = work()
        except BaseException as error:
            said = repr(error)
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    return child, reader

def end(started):
    child, reader = started
    said = b""
    while more := os.read(reader, 65536):
        said += more
    os.waitpid(child, 0)
    return json.loads(said or '"ended badly"')

def report(value):
    print(json.dumps(value), flush=True)
    os._exit(0)
"""


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    """A server of tokens."""
    with TokenServer() as server:
        yield server


def _run(program: str, uri: str) -> Any:
    command = [sys.executable, "-c", _PROGRAM + program, uri]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(result.stdout)


@pytest.mark.parametrize("kind", ["explicit", "default"])
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.03, 0.06, 0.1])
def test_a_child_of_a_fork_during_the_first_token_has_one(
    tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, delay: float
) -> None:
    """The parent's thread may be importing, which no child could go on with: the fork waits."""
    file = tmp_path / "user.json"
    secrets = {"refresh_token": "r", "client_id": "c", "client_secret": "s"}
    file.write_text(json.dumps({"type": "authorized_user", **secrets}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    program = f"""
from google.oauth2 import credentials as user
user._GOOGLE_OAUTH2_TOKEN_ENDPOINT = URI
source = tokens(credentials() if {kind == "explicit"} else None)
source.start()
time.sleep({delay})
report([end(start("python", lambda: token(source))), token(source)])
"""
    said = _run(program, tokens.uri)
    assert all(text.startswith("token-") for text in said), said


def test_a_fork_waits_for_an_import_that_takes_long(tokens: TokenServer) -> None:
    """Longer than for a fetch, on a busy machine: the child could not import the module any more."""
    program = """
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "requests":
            importing.set()
            time.sleep(2.5)

importing = threading.Event()
sys.meta_path.insert(0, Slow())
source = tokens(credentials())
source.start()
importing.wait(30)
report([end(start("python", lambda: token(source))), token(source)])
"""
    said = _run(program, tokens.uri)
    assert all(text.startswith("token-") for text in said), said


@pytest.mark.parametrize("way", ["python", "c"])
def test_no_process_reads_the_answer_to_another_one(tokens: TokenServer, way: str) -> None:
    """Each asks on a connection of its own, all at the same time, though they inherited one."""
    program = f"""
now = [time.time()]
source = TokenSource(TokenFetcher(lambda _: credentials(), clock=lambda: now[0]), clock=lambda: now[0])
token(source)
now[0] += 3700
children = [start({way!r}, lambda: token(source)) for _ in range(6)]
report([end(child) for child in children])
"""
    said = _run(program, tokens.uri)
    assert sorted(said) == [f"token-{number}" for number in range(2, 8)]
    assert len(set(tokens.peers)) == 7


def test_a_fork_that_python_does_not_know_of_is_noticed_where_a_renewal_is_due(tokens: TokenServer) -> None:
    """The token still serves; the child renews it with a thread of its own."""
    program = """
now = [time.time()]
source = TokenSource(TokenFetcher(lambda _: credentials(), clock=lambda: now[0]), clock=lambda: now[0])
token(source)

def renewed():
    now[0] += 3400
    first = token(source)
    deadline = time.monotonic() + 10
    while token(source) == first and time.monotonic() < deadline:
        now[0] += 0.01
        time.sleep(0.01)
    return [first, token(source), len([each for each in threading.enumerate() if "token" in each.name]) > 0]

report(end(start("c", renewed)))
"""
    assert _run(program, tokens.uri) == ["token-1", "token-2", True]


@pytest.mark.parametrize("way", ["python", "c"])
def test_a_source_can_be_closed_in_a_child(tokens: TokenServer, way: str) -> None:
    """It waits for no thread of the parent, and the parent's source goes on."""
    program = f"""
source = tokens(credentials())
token(source)

def closed():
    started = time.monotonic()
    source.close(timeout=30)
    return time.monotonic() - started < 15

report([end(start({way!r}, closed)), source.closed])
"""
    assert _run(program, tokens.uri) == [True, False]


def test_children_renew_one_after_the_other(tokens: TokenServer) -> None:
    """Each draws its time for the token that all of them inherited."""
    program = """
source = tokens(credentials())
token(source)
report([end(start("python", lambda: source._renewal.renew_at)) for _ in range(8)])
"""
    times = _run(program, tokens.uri)
    assert len(set(times)) > 1
    # Between a quarter of its hour and 450 s before its end.
    assert max(times) - min(times) <= 3600 * 3 / 4 - 450


def test_locks_of_credentials_are_not_inherited(tokens: TokenServer) -> None:
    """The parent's thread holds one for longer than a fork waits; the child copies credentials that can be copied."""
    program = """
class Locking(Credentials):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def __getstate__(self):
        return {key: value for key, value in self.__dict__.items() if key != "lock"}

    def __setstate__(self, state):
        self.__dict__.update(state, lock=threading.Lock())

    def refresh(self, request):
        with self.lock:
            if os.getpid() == parent:
                held.set()
                time.sleep(60)
            self.token = "own"

parent, held = os.getpid(), threading.Event()
source = tokens(Locking())
source.start()
held.wait(10)

def in_child():
    started = time.monotonic()
    again = end(start("python", lambda: token(source)))
    return [token(source), again, time.monotonic() - started < 1.5]

report(end(start("python", in_child)))
"""
    assert _run(program, tokens.uri) == ["own", "own", True]
