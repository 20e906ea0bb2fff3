"""Random messages and random JSON, in both directions, beside protobuf's `json_format`."""

from __future__ import annotations

import json
from typing import Final

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, strategies as st

from spanner_grpc_sessions.rest import to_rest
from tests.fuzz.fuzz_from_rest import TARGETS
from tests.fuzz.inputs import bodies
from tests.fuzz.oracle import assert_agreement, read
from tests.support.messages import message_classes, messages
from tests.support.thorough import tries

CLASSES: Final = message_classes()


@pytest.mark.parametrize("message_class", CLASSES, ids=lambda message_class: message_class.DESCRIPTOR.full_name)
@tries(130)
@given(data=st.data())
def test_random_messages_agree_in_both_directions(message_class: type[Message], data: st.DataObject) -> None:
    """They are written and read back as by the reference; over 10,000 messages if THOROUGH is set."""
    message = data.draw(messages(message_class))
    body = to_rest(message)
    reference = json_format.MessageToDict(message)
    assert json.dumps(body) == json.dumps(reference)  # where the order shows too
    assert isinstance(read(message_class, body), message_class)
    assert_agreement(message_class, body)


@pytest.mark.parametrize("message_class", TARGETS, ids=lambda message_class: message_class.DESCRIPTOR.full_name)
@tries(80)
@given(data=st.data())
def test_random_json_is_read_or_refused_as_by_the_reference(message_class: type[Message], data: st.DataObject) -> None:
    """Right, nearly right and wrong JSON gives the same message, or one of our two exceptions with the path."""
    assert_agreement(message_class, data.draw(bodies(message_class)))
