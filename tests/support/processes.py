"""Processes that tests start: whether they can fork, whether they end by themselves, and how their programs fork."""

from __future__ import annotations

import os
from typing import Final

import grpc
import pytest

from tests.support.colours import ASYNC, Colour

__all__ = ["FORK", "needs_fork", "require_an_end"]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

FORK: Final = """
import os, sys

def fork(in_child, leave=os._exit):
    child = os.fork()
    if not child:
        try:
            in_child()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        leave(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
"""The beginning of a program that forks: `fork(in_child)` returns in the parent, once the child has ended well."""


def require_an_end(colour: Colour = ASYNC) -> None:
    """Skip a test of a process that is to end by itself where gRPC may keep it, some time or other, for ever."""
    if colour.name == "async" and grpc.__version__ == "1.66.2":
        pytest.skip("grpcio 1.66.2 now and then waits for its own asyncio thread for ever, when the interpreter ends")
