"""All fuzz targets, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.fuzz import (
    fuzz_command_line,
    fuzz_from_rest,
    fuzz_names,
    fuzz_routes,
    fuzz_tokens,
    fuzz_trailers,
    fuzz_wire,
)
from tests.fuzz.target import one_input

__all__ = ["TARGETS"]

_PROPERTIES: Final = {
    "names": fuzz_names.fuzz,
    "from_rest": fuzz_from_rest.fuzz,
    "routes": fuzz_routes.fuzz,
    "trailers": fuzz_trailers.fuzz,
    "command_line": fuzz_command_line.fuzz,
    "tokens": fuzz_tokens.fuzz,
    "wire": fuzz_wire.fuzz,
}

TARGETS: Final[dict[str, Callable[[bytes], object]]] = {name: one_input(each) for name, each in _PROPERTIES.items()}
"""Each takes the bytes of one input, and raises if what it tests is wrong."""
