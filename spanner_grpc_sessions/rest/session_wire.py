"""One session from the bytes of the wire to REST JSON, past the message: for the calls that are answered with one.

Within a call, where every cache is cold, that takes two thirds of the time. Done a hundred times in a row it gains
nothing, so batches go by way of the message.

Of protobuf's encoding (https://protobuf.dev/programming-guides/encoding) this much is needed. A message is a row of
records, one per field. A record begins with its tag, field number * 8 + wire type; after it, wire type 2 has a size and
that many bytes (a text or an inner message), wire type 0 a varint. A varint is a number in groups of seven bits, the
lowest group first, a byte each; all bytes but the last have the high bit set. Sizes are varints too. A map has a record
for each entry: a message of key (field 1) and value (field 2).

Servers write records in the order of their field numbers, and none twice. What keeps to that is read here; anything
else, right or wrong, is left to protobuf and `to_rest`. Pure: no I/O.
"""

from __future__ import annotations

import re
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.rest.encode_well_known import THREE_DIGITS, encode_timestamp, fraction
from spanner_grpc_sessions.rest.encoder import encoder_of

__all__ = ["read_session", "session_to_rest"]

# The tags of records that have a size.
_NAME, _LABEL, _CREATE_TIME, _LAST_USE_TIME, _CREATOR_ROLE = (number * 8 + 2 for number in range(1, 6))
_KEY, _VALUE = _NAME, _LABEL

_TO_NANOS: Final = 7
"""Bytes of a Timestamp before its nanos: the tag of the seconds, their varint, the tag of the nanos."""
_LONGEST_VARINT_OF_NANOS: Final = 5
_MOST_SECONDS: Final = 1024
"""Seconds whose text is kept. Sessions that are made or used together share theirs; past it the memory starts anew."""


def read_session(data: bytes) -> dict[str, Any] | spanner_pb2.Session:
    """Return the session that some bytes stand for: as REST has it if they are of the usual form, else as message.

    `session_to_rest` makes the same of both. It does not happen in one step, for this one is done within gRPC, which
    reports any exception as a status; that a session has no JSON form is for the caller to know.

    Raises:
        DecodeError: the bytes are no session.
    """
    try:
        return _usual_session(data)
    except (_Unusual, IndexError, UnicodeDecodeError):
        pass  # left first, so that what protobuf raises is not told as a consequence
    return spanner_pb2.Session.FromString(data)


def session_to_rest(session: dict[str, Any] | spanner_pb2.Session) -> dict[str, Any]:
    """Return what `to_rest` gives for a session that `read_session` has read.

    Raises:
        InvalidValue: it has no JSON form, like one with a time in the year 10000.
    """
    return session if session.__class__ is dict else _encode(session)


class _Unusual(Exception):
    """The bytes may be right or wrong: protobuf has to tell."""


def _usual_session(data: bytes) -> dict[str, Any]:
    # All in one pass and one function: a call of ours per record would cost half of what is won.
    session: dict[str, Any] = {}
    labels: dict[str, str] = {}
    at, last, length = 0, 0, len(data)
    while at < length:
        tag, size, start = data[at], data[at + 1], at + 2
        if size > 127:
            if data[start] > 127:  # a size of three bytes
                raise _Unusual
            size, start = size & 127 | data[start] << 7, start + 1
        at = start + size
        if tag == _LABEL and last <= _LABEL:
            key, value = _entry(data, start, at)
            labels[key] = value
            session["labels"] = labels
        elif tag <= last or not size:
            raise _Unusual
        elif tag == _NAME:
            session["name"] = data[start:at].decode()
        elif tag == _CREATE_TIME:
            session["createTime"] = _time(data, start, at)
        elif tag == _LAST_USE_TIME:
            session["approximateLastUseTime"] = _time(data, start, at)
        elif tag == _CREATOR_ROLE:
            session["creatorRole"] = data[start:at].decode()
        else:
            raise _Unusual
        last = tag
    if at > length:
        raise _Unusual
    return session


def _entry(data: bytes, start: int, end: int) -> tuple[str, str]:
    """Return key and value of a map's entry."""
    key_size = data[start + 1]
    middle = start + 2 + key_size
    value_size = data[middle + 1]
    if data[start] != _KEY or data[middle] != _VALUE or middle + 2 + value_size != end or key_size | value_size > 127:
        raise _Unusual
    return data[start + 2 : middle].decode(), data[middle + 2 : end].decode()


def _time(data: bytes, start: int, end: int) -> str:
    """Return the text of a Timestamp."""
    at = start + _TO_NANOS
    text = _texts[data[start:at]]
    if end - at > _LONGEST_VARINT_OF_NANOS:
        raise _Unusual
    nanos = shift = 0
    while (byte := data[at]) > 127:
        nanos |= (byte & 127) << shift
        shift += 7
        at += 1
    nanos |= byte << shift
    if at + 1 != end or nanos >= 1_000_000_000:
        raise _Unusual
    micros = nanos // 1000
    if nanos % 1000 or not micros % 1000:
        return f"{text}{fraction(nanos)}Z"
    return f"{text}.{THREE_DIGITS[micros // 1000]}{THREE_DIGITS[micros % 1000]}Z"


class _Texts(dict[bytes, str]):
    """Texts like "2026-11-24T08:00:00", by the bytes of a Timestamp before its nanos."""

    # A varint of five bytes holds all seconds from 1978 to 3058, and none that has no text.
    _usual: Final = re.compile(rb"\x08[\x80-\xff]{4}[\x00-\x7f]\x10")

    def __missing__(self, before_nanos: bytes) -> str:
        if not self._usual.fullmatch(before_nanos):
            raise _Unusual
        if len(self) >= _MOST_SECONDS:
            self.clear()
        seconds = Timestamp.FromString(before_nanos[:-1])
        text = self[before_nanos] = encode_timestamp(seconds).removesuffix("Z")
        return text


_texts: Final = _Texts()
_encode: Final = encoder_of(spanner_pb2.Session)
