"""A fuzz target: JSON of every kind for `from_rest`, checked by `oracle`.

    python -m tests.fuzz.fuzz_from_rest [arguments of libFuzzer]

With atheris installed, this is a libFuzzer program that runs until it finds a difference, guided by the coverage of the
library. Without atheris it tries random inputs for a minute. `pytest` runs a bounded number of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.fuzz.inputs import bodies
from tests.fuzz.oracle import assert_agreement
from tests.support.messages import message_classes
from tests.unit.rest.kinds import WELL_KNOWN, kinds_class

__all__ = ["TARGETS", "fuzz"]

_KINDS = kinds_class()
TARGETS = [
    *message_classes(),
    _KINDS,
    *(type(getattr(_KINDS(), f"wk_{name.lower()}")) for name in WELL_KNOWN),
]
"""The messages of the service, one with a field of every kind, and the well-known types on their own."""


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def fuzz(data: st.DataObject) -> None:
    """Draw a message class and JSON for it, and compare the result with the reference."""
    message_class = data.draw(st.sampled_from(TARGETS))
    assert_agreement(message_class, data.draw(bodies(message_class)))


def main() -> None:
    """Fuzz until a difference is found, or without atheris for a minute."""
    one_input: Any = fuzz.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # hypothesis adds it to the function
    if importlib.util.find_spec("atheris"):
        atheris = importlib.import_module("atheris")
        atheris.instrument_all()
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
        return
    tries, end = 0, time.monotonic() + 60
    while time.monotonic() < end:
        one_input(os.urandom(2000))
        tries += 1
    sys.stdout.write(f"{tries} inputs, no difference; install atheris to search on, guided by coverage\n")


if __name__ == "__main__":
    main()
