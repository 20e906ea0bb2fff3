"""Work at the end of a process, and where no thread can be started: it is done, or ends in an error of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spanner_grpc_sessions.local import LocalSpanner
from tests.support.waiting import WAIT

_PROGRAM = """
import atexit, sys, threading
from google.auth.credentials import AnonymousCredentials
from spanner_grpc_sessions import *

end, opened, endpoint = sys.argv[1:]
database = "projects/p/instances/i/databases/d"
client = SessionsClient(AnonymousCredentials(), options=ClientOptions(endpoint=endpoint, plaintext=True))
pool, session = SessionPool(client, database), MultiplexedSession(client, database)

def everything():
    name = client.create_session(database, timeout=10)["name"]
    pool.release(pool.acquire(10))
    assert session.name
    for _ in range(2):
        try:
            list(client.rest("POST", f"/v1/{name}:executeStreamingSql", {"sql": "SELECT 1"}, timeout=10))
        except ResourceExhausted as error:
            assert "no thread can be started" in str(error), error
    client.delete_session(name)
    session.close()
    pool.close(10)
    client.close()
    print("done", flush=True)

if opened == "open":
    pool.open()
    session.open()
if end == "atexit":
    atexit.register(everything)
elif end == "thread":
    threading.Thread(target=lambda: (threading.main_thread().join(), everything())).start()
else:
    def refuse(_):
        raise RuntimeError("can't start new thread")
    threading.Thread.start = refuse
    everything()
"""


@pytest.mark.parametrize("opened", ["open", "new"])
@pytest.mark.parametrize("end", ["atexit", "thread", "no thread"])
def test_a_process_works_to_its_end(plain: LocalSpanner, end: str, opened: str) -> None:
    """In atexit, on a thread that outlives the main one, and at the limit of threads; and then the process ends."""
    program = [sys.executable, "-c", _PROGRAM, end, opened, plain.endpoint]
    result = subprocess.run(program, capture_output=True, text=True, timeout=WAIT)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
