"""A fuzz target: JSON of every kind for `from_rest`, checked by `oracle`."""

from __future__ import annotations

from hypothesis import given, strategies as st

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


@given(data=st.data())
def fuzz(data: st.DataObject) -> None:
    """Draw a message class and JSON for it, and compare the result with the reference."""
    message_class = data.draw(st.sampled_from(TARGETS))
    assert_agreement(message_class, data.draw(bodies(message_class)))
