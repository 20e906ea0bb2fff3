"""A session pool in forked processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import SYNC
from tests.support.pools import rig_of
from tests.support.processes import FORK, needs_fork
from tests.support.waiting import WAIT

_FORKING = """
import os, signal, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *
from spanner_grpc_sessions_pb import spanner_pb2

end, endpoint, database = sys.argv[1:]
client = SessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=endpoint, plaintext=True))
pool = SessionPool(client, database, options=PoolOptions(min_size=2, max_size=2)).open()
lease = pool.acquire()

def use(lease):
    assert lease.stub.ExecuteSql(spanner_pb2.ExecuteSqlRequest(session=lease.name, sql="SELECT 1")).rows
    return lease.name

def in_child():
    signal.alarm(30)
    assert (pool.stats().size, pool.stats().created, " new " in repr(pool)) == (0, 0, True), pool
    names = {pool.run(use, timeout=10) for _ in range(3)}
    pool.wait(timeout=10)
    assert lease.name not in names and pool.stats().size == 2, pool
    try:
        pool.release(lease)
    except PoolError as error:
        assert "forked" in str(error)
    else:
        raise AssertionError
    if end == "close":
        pool.close(timeout=10)
        client.close()

fork(in_child, leave=sys.exit if end == "exit" else os._exit)
assert use(lease) == lease.name
pool.release(lease)
assert pool.run(use) == lease.name
assert (pool.stats().size, pool.stats().created, pool.stats().lost) == (2, 2, 0), pool
print("used", flush=True)
sys.stdin.readline()
pool.close(timeout=10)
client.close()
"""


@needs_fork
@pytest.mark.parametrize(("end", "left"), [("close", 0), ("exit", 2), ("_exit", 2)])
def test_a_pool_goes_on_in_both_processes_after_a_fork(plain: LocalSpanner, end: str, left: int) -> None:
    """The child begins empty and makes its own sessions; its end, however it comes, deletes none of the parent's."""
    with rig_of(SYNC, AnonymousCredentials(), plain.client_options(), plain) as rig:
        with subprocess.Popen(
            [sys.executable, "-c", FORK + _FORKING, end, plain.endpoint, rig.database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout
            said = process.stdout.readline()
            with_both = rig.names
            _, errors = process.communicate("\n", timeout=WAIT)
        assert (said, process.returncode) == ("used\n", 0), errors
        assert (len(with_both), len(rig.names)) == (2 + left, left)


# Ends at once: grpcio 1.66.2 may not survive the end of the interpreter after an asyncio client.
_FORKING_ASYNC = """
import asyncio, os, signal, sys
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

state, endpoint, database = sys.argv[1:]
client = AsyncSessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=endpoint, plaintext=True))
pool = AsyncSessionPool(client, database)

async def use():
    async with pool.session(timeout=10) as lease:
        return lease.name

def in_child():
    signal.alarm(30)
    if state == "new":
        asyncio.run(whole())
        return
    assert pool.stats().size == 0, pool
    try:
        asyncio.run(use())
    except ClientClosed as error:
        assert "forked while an asyncio client was open" in str(error), error
    else:
        raise AssertionError

async def whole():
    name = await use()
    if state == "open":
        fork(in_child)
    assert await use() == name
    await pool.close()
    await client.close()

if state == "new":
    fork(in_child)
asyncio.run(whole())
print("used", flush=True)
os._exit(0)
"""


@needs_fork
@pytest.mark.parametrize("state", ["new", "open"])
def test_an_async_pool_and_a_fork(plain: LocalSpanner, state: str) -> None:
    """Not opened before, it works in both; an open one says in the child why it cannot, and goes on in the parent."""
    with rig_of(SYNC, AnonymousCredentials(), plain.client_options(), plain) as rig:
        run = subprocess.run(
            [sys.executable, "-c", FORK + _FORKING_ASYNC, state, plain.endpoint, rig.database],
            capture_output=True, text=True, timeout=WAIT,
        )  # fmt: skip
        assert (run.returncode, run.stdout) == (0, "used\n"), run.stderr
        assert rig.names == set()
