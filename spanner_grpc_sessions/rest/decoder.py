"""From REST JSON to message: one function per message class, compiled from the descriptor. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from spanner_grpc_sessions.rest.codegen import descriptor_of
from spanner_grpc_sessions.rest.decode_compiler import DecodeCompiler
from spanner_grpc_sessions.rest.parse_error import REFUSED, Refusal

__all__ = ["decoder_of", "from_rest"]

M = TypeVar("M", bound=Message)


def from_rest(message_class: type[M], mapping: Mapping[str, Any]) -> M:
    """Return the message that a REST body stands for.

    Args:
        message_class: any class of proto3 messages, those of google.spanner.v1 above all.
        mapping: the body; it is only read. Any mapping will do, at every level. Keys are the JSON or the proto names
            of fields, and None stands for an absent field.

    Returns:
        The message that `google.protobuf.json_format.ParseDict` makes of it.

    Raises:
        InvalidValue: a value breaks a rule, or a field is unknown. The text begins with the path to the culprit, in
            the caller's own keys: "session.labels.env: expected string, got 7".
        InvalidType: a value has the wrong JSON type, told in the same way; or `message_class` is not a class of
            protobuf messages.
    """
    try:
        decode = _decoders[message_class]
    except (KeyError, TypeError):
        decode = decoder_of(message_class)
    message: M = decode(mapping)
    return message


def decoder_of(message_class: type[M]) -> Callable[[Mapping[str, Any]], M]:
    """Return the function that makes messages of one class from mappings, compiling it at the first request.

    Raises:
        InvalidType: `message_class` is not a class of protobuf messages.
    """
    descriptor = descriptor_of(message_class, "from_rest takes a class of protobuf messages")
    fill = _compiler.function(descriptor)
    expected = _compiler.expected_of_message(descriptor)

    def decode(mapping: Mapping[str, Any]) -> M:
        message = message_class()
        try:
            fill(message, mapping, 1)
        except Refusal as refusal:
            raise refusal.error(descriptor.name) from None
        except REFUSED:
            raise expected.refusal(mapping).error(descriptor.name) from None
        return message

    return _decoders.setdefault(message_class, decode)


_compiler = DecodeCompiler()
_decoders: dict[type[Message], Callable[[Any], Any]] = {}
