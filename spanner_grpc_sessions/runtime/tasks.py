"""Tasks of what goes on in the background of an object, in asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

__all__ = ["spawn"]

_Result = TypeVar("_Result")


def spawn(coroutine: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
    """Start a task in a context of its own: what serves all is no part of the trace of the caller who came first."""
    return Context().run(asyncio.get_running_loop().create_task, coroutine)
