"""The fuzz targets: each holds for a number of drawn inputs, for the inputs of its corpus, and for any bytes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fuzz import (
    __main__ as program,
    fuzz_command_line,
    fuzz_names,
    fuzz_routes,
    fuzz_tokens,
    fuzz_trailers,
    fuzz_wire,
)
from tests.fuzz.targets import TARGETS
from tests.support.thorough import tries

_CORPUS: Final = Path(__file__).with_name("corpus")


# That of `from_rest` has tests of its own, message by message.
@pytest.mark.parametrize(
    "module",
    [fuzz_command_line, fuzz_names, fuzz_routes, fuzz_tokens, fuzz_trailers, fuzz_wire],
    ids=lambda module: module.__name__.rpartition("fuzz_")[2],
)
def test_a_target_holds(module: Any) -> None:
    """Right, nearly right and wrong input does what it should, or is refused as it should be."""
    tries(200)(module.fuzz)()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_takes_any_bytes(name: str) -> None:
    """A fuzzer passes bytes; most are too short for an input, and some are one. So are those that are kept."""
    bytes_of = random.Random(0)  # noqa: S311 - repeatable on purpose
    drawn = [TARGETS[name](bytes_of.randbytes(size)) for size in range(0, 2_000, 100)]
    assert any(drawn)
    for kept in sorted((_CORPUS / name).glob("*")):
        TARGETS[name](kept.read_bytes())


def test_the_program_runs_them_all() -> None:
    """No target is forgotten."""
    assert set(program._TARGETS) == set(TARGETS)
