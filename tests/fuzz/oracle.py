"""What `from_rest` must do with any input: the same as `json_format.ParseDict`, but raising only our two exceptions."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.rest import from_rest

__all__ = ["NEWEST", "assert_agreement", "parsed", "read"]


def parsed(message_class: type[Message], value: Any) -> Message | None:
    """Return the message that the reference makes of JSON, or None if it raises any exception."""
    try:
        # A copy, because the reference changes what it parses an Any from.
        return json_format.ParseDict(copy.deepcopy(value), message_class())
    except Exception:  # noqa: BLE001 - ValueError, KeyError, AttributeError, RecursionError... depending on the input
        return None


def read(message_class: type[Message], value: Any) -> Message | str:
    """Return the message that `from_rest` makes of JSON, or its error message, which has to be well formed."""
    try:
        return from_rest(message_class, value)
    except (InvalidValue, InvalidType) as refusal:
        # One line that can be printed, and short for any input.
        text = str(refusal)
        assert ": " in text
        assert text.isprintable()
        assert len(text.encode()) < 1000
        return text


def assert_agreement(message_class: type[Message], value: Any) -> None:
    """Fail unless `from_rest` agrees with the reference on a value and does not change it."""
    before = pickle.dumps(value)
    ours, theirs = read(message_class, value), parsed(message_class, value)
    assert pickle.dumps(value) == before
    if isinstance(ours, Message) and theirs is not None:
        assert _content(ours) == _content(theirs)
    elif NEWEST and (isinstance(ours, Message) or theirs is not None):
        assert isinstance(ours, str), "the reference refuses this"
        assert _is_wrapped_enum(ours), f"the reference takes this: {ours}"


def _content(message: Message) -> bytes:
    # A message with NaN is not equal to itself; its bytes are.
    return message.SerializeToString(deterministic=True)


def _is_wrapped_enum(refusal: str) -> bool:
    """Return whether an enum number beyond 32 bits was refused: the reference takes it modulo 2**32."""
    match = re.search(r": expected name or number of \w+, got (.*)", refusal)
    return match is not None and not -(2**31) <= int(ast.literal_eval(match[1])) < 2**31


def _nested(levels: int) -> list[Any]:
    return [_nested(levels - 1)] if levels else []


# Releases of protobuf before 7 count the depth of a Value in another way, and before 6 they take no tuples.
NEWEST: Final = parsed(Value, _nested(60)) is None and parsed(Value, ([],)) is not None
