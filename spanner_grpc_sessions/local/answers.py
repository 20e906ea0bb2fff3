"""What a test tells the server to answer: rows for a statement or a table, row counts of DML, errors."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Value
from spanner_grpc_sessions_pb import result_set_pb2
from spanner_grpc_sessions_pb.type_pb2 import StructType, Type, TypeCode

from spanner_grpc_sessions.errors import InvalidType, InvalidValue, checks
from spanner_grpc_sessions.errors.checks import short
from spanner_grpc_sessions.local.calls import Call
from spanner_grpc_sessions.local.faults import Fault, checked_fault
from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.local.values import encode, parse_type

Columns = Mapping[str, "str | Type"]
# Rows as sequences or mappings of Python values, or a function of the call that returns them.
Rows = Iterable[Any] | Callable[[Call], Iterable[Any]]
Statement = str | re.Pattern[str] | Callable[[Call], bool]


@dataclass(slots=True, eq=False)
class Answer:
    """What a statement, or a read of a table, is answered with.

    Attributes:
        fields: the columns of the rows.
        rows: on the wire, or a function of the call that returns them as Python values.
        row_count: of DML; None for what is no DML.
        fault: the error and the delay.
        broken_after: the pieces of a stream that come before the error; None for an error in place of an answer.
        chunk_size: the most characters in a piece of a stream; None for one piece.
        times: for how many more calls it is good.
    """

    fields: tuple[StructType.Field, ...]
    rows: tuple[ListValue, ...] | Callable[[Call], Iterable[Any]]
    row_count: int | None
    fault: Fault
    broken_after: int | None
    chunk_size: int | None
    times: float

    def rows_for(self, call: Call) -> tuple[ListValue, ...]:
        """Return the rows on the wire."""
        if not callable(self.rows):
            return self.rows
        try:
            return encode_rows(self.rows(call), self.fields)
        except Exception as error:
            raise _raised("the rows of an answer", error) from error


class Answers:
    """The answers that a test has told. Safe to share between threads.

    Those with a number of times are used first, in the order they were told, and then the newest one without.
    """

    def __init__(self) -> None:
        self._answers: list[tuple[Callable[[Call], bool], Answer]] = []
        self._lock = threading.Lock()

    def add(self, fits: Callable[[Call], bool], answer: Answer) -> None:
        """Keep an answer for the calls that it fits."""
        with self._lock:
            self._answers.append((fits, answer))

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._answers.clear()

    def take(self, call: Call) -> Answer | None:
        """Return the answer for a call, if there is one, and count it."""
        with self._lock:
            answers = [answer for fits, answer in self._answers if fits(call)]
            limited = [answer for answer in answers if answer.times < inf]
            if not limited:
                return answers[-1] if answers else None
            taken = limited[0]
            taken.times -= 1
            if not taken.times:
                self._answers = [entry for entry in self._answers if entry[1] is not taken]
            return taken


def fits_statement(sql: Statement) -> Callable[[Call], bool]:
    """Return what tells whether a call has a statement: its text, a pattern of all of it, or a function of the call.

    Raises:
        InvalidType: it is none of these.
    """
    if callable(sql):
        return partial(_is_chosen, sql)
    if isinstance(sql, re.Pattern):
        return lambda call: sql.fullmatch(call.sql.strip()) is not None
    if not isinstance(sql, str):
        raise InvalidType(f"sql must be a str, a compiled pattern or a function of the call, got {short(sql)}")
    text = checks.text("sql", sql).strip()
    return lambda call: call.sql.strip() == text


def _is_chosen(choose: Callable[[Call], bool], call: Call) -> bool:
    try:
        return bool(call.sql) and bool(choose(call))
    except Exception as error:
        raise _raised("the function of an answer that chooses calls", error) from error


def _raised(what: str, error: Exception) -> RpcStatus:
    return RpcStatus("INTERNAL", f"{what} raised {type(error).__name__}: {error}")


def fits_table(table: str, index: str) -> Callable[[Call], bool]:
    """Return what tells whether a call reads a table, by its primary key or by an index."""
    checks.text("table", table)
    checks.text("index", index)
    return lambda call: call.table == table and getattr(call.request, "index", "") == index


def fields_of(columns: Columns) -> tuple[StructType.Field, ...]:
    """Return columns as a result has them."""
    if not isinstance(columns, Mapping):
        raise InvalidType(f"columns must be a mapping of names to types, got {short(columns)}")
    return tuple(
        StructType.Field(name=checks.text("each name of columns", name), type=parse_type(kind))
        for name, kind in columns.items()
    )


def encode_rows(rows: Iterable[Any], fields: tuple[StructType.Field, ...]) -> tuple[ListValue, ...]:
    """Return rows on the wire.

    Raises:
        InvalidType, InvalidValue: a row does not fit the columns.
    """
    row_type = Type(code=TypeCode.STRUCT, struct_type=StructType(fields=fields))
    encoded = []
    for number, row in enumerate(checks.iterable("rows", rows, "rows")):
        if row is None or isinstance(row, str | bytes):
            raise InvalidType(f"each of rows must be a sequence or a mapping of values, got {short(row)}")
        try:
            encoded.append(encode(row, row_type).list_value)
        except (InvalidType, InvalidValue) as error:
            raise type(error)(f"row {number}: {error}") from error
    return tuple(encoded)


def new_answer(
    columns: Columns,
    rows: Rows,
    row_count: int | None,
    error: str | None,
    message: str,
    delay: float,
    times: int | None,
    chunk_size: int | None,
    broken_after: int | None,
) -> Answer:
    """Return an answer of these; see `LocalSpanner.answer`."""
    fields = fields_of(columns)
    fault = checked_fault(None, error, message, delay, drop=False, retry_delay=None, details=(), times=times)
    if row_count is not None:
        checks.whole("row_count", row_count, 0)
    if chunk_size is not None:
        checks.whole("chunk_size", chunk_size, 1)
    if broken_after is not None:
        checks.whole("broken_after", broken_after, 0)
        if error is None:
            raise InvalidValue("broken_after says when the error comes: error is missing")
    encoded = rows if callable(rows) else encode_rows(rows, fields)
    return Answer(fields, encoded, row_count, fault, broken_after, chunk_size, fault.times)


def pieces(
    rows: Iterable[ListValue], first: result_set_pb2.PartialResultSet, chunk_size: int | None
) -> Iterator[result_set_pb2.PartialResultSet]:
    """Yield the rows as the pieces of a stream, in pieces of so many characters.

    A text that does not fit is cut, as Spanner does; all else stays in one piece.
    """
    piece, room = first, inf if chunk_size is None else chunk_size
    for value in (value for row in rows for value in row.values):
        text = value.string_value if value.WhichOneof("kind") == "string_value" else None
        while text is not None and len(text) > room:
            piece.values.add(string_value=text[: int(room)])
            piece.chunked_value = True
            yield piece
            text = text[int(room) :]
            piece, room = result_set_pb2.PartialResultSet(), chunk_size or inf
        piece.values.append(value if text is None else Value(string_value=text))
        room -= len(text) if text is not None else len(str(value))
        if room <= 0:
            yield piece
            piece, room = result_set_pb2.PartialResultSet(), chunk_size or inf
    yield piece
