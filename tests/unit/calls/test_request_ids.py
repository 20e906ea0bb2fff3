"""The numbers of requests: their form, and that no two are equal, across threads, clients and forks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spanner_grpc_sessions.calls.headers import RequestIds

FORM = re.compile(r"1\.([0-9a-f]{16})\.([1-9][0-9]*)\.1\.([1-9][0-9]*)\.")

# A client made before the fork and not yet used is what servers that fork their workers have.
FORKING = """
import os
from spanner_grpc_sessions.calls.headers import RequestIds

before = RequestIds()
print(before.next(), flush=True)
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        print(before.next(), RequestIds().next(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(before.next())
"""


def test_numbers_have_the_documented_form() -> None:
    """Version, 16 hexadecimal digits of the process, client, channel and request, without the attempt."""
    ids = RequestIds()
    for request in (1, 2, 3):
        match = FORM.fullmatch(ids.next())
        assert match
        assert match[3] == str(request)


def test_clients_of_a_process_share_its_number_and_have_their_own() -> None:
    """The process part is one per process, the client part one per client."""
    numbers = [FORM.fullmatch(RequestIds().next()) for _ in range(3)]
    assert len({match[1] for match in numbers if match}) == 1
    assert len({match[2] for match in numbers if match}) == 3


def test_numbers_are_unique_under_eight_threads() -> None:
    """Threads that share a client never get the same number, and none is left out."""
    ids, start = RequestIds(), threading.Barrier(8)

    def draw(_: int) -> list[str]:
        start.wait(10)
        return [ids.next() for _ in range(2000)]

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            drawn = [number for numbers in threads.map(draw, range(8)) for number in numbers]
    finally:
        sys.setswitchinterval(switching)
    assert len(set(drawn)) == 16_000
    assert {int(number.split(".")[4]) for number in drawn} == set(range(1, 16_001))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_is_a_process_of_its_own() -> None:
    """A child's clients, also one that the parent made, number their requests under a process of their own."""
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=True)
    parent, *children, parent_again = (line.split() for line in run.stdout.splitlines())
    assert len(children) == 2
    numbers = [number for line in (parent, *children, parent_again) for number in line]
    assert all(FORM.fullmatch(number) for number in numbers)
    assert len({number.split(".")[1] for number in numbers}) == 3
    assert len(set(numbers)) == len(numbers)
