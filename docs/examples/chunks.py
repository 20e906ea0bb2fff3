"""From the pieces of a streamed result to its rows, by the rules of PartialResultSet. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.struct_pb2 import Value
from spanner_grpc_sessions_pb import result_set_pb2

Cell: TypeAlias = "str | float | bool | list[Cell] | dict[str, Cell] | None"
"""A value as in JSON. The documentation of TypeCode says how each type is written: an INT64 is a str."""

_MOST_HELD = 100
"""The most pieces that wait for a resume token: they take memory."""


class RowJoiner:
    """The rows of one stream, which may break and be resumed.

    Pieces since the last resume token come again when the stream is resumed, so their rows are held back until the next
    token. If none comes for long, the rows are returned all the same, and the stream cannot be resumed until the next
    token.

    Attributes:
        resume_token: for the request that resumes the stream.
        resumable: whether it can be resumed without returning rows twice.
    """

    def __init__(self) -> None:
        self.resume_token = b""
        self.resumable = True
        self._held: list[result_set_pb2.PartialResultSet] = []
        self._width = 0
        self._row: list[Cell] = []
        self._chunked = False

    def add(self, piece: result_set_pb2.PartialResultSet) -> list[list[Cell]]:
        """Take the next piece, and return the rows that are final now."""
        self._held.append(piece)
        if piece.resume_token:
            self.resume_token, self.resumable = piece.resume_token, True
        elif self.resumable and len(self._held) <= _MOST_HELD:
            return []
        else:
            self.resumable = False
        return self._release()

    def forget(self) -> None:
        """Drop the pieces since the last resume token: they come again."""
        self._held.clear()

    def finish(self) -> list[list[Cell]]:
        """Return the last rows, at the end of the stream.

        Raises:
            ValueError: it ended within a row.
        """
        rows = self._release()
        if self._row:
            raise ValueError(f"the stream ended after {len(self._row)} of {self._width} columns")
        return rows

    def _release(self) -> list[list[Cell]]:
        rows = [row for piece in self._held for row in self._rows(piece)]
        self._held.clear()
        return rows

    def _rows(self, piece: result_set_pb2.PartialResultSet) -> Iterator[list[Cell]]:
        if piece.metadata.row_type.fields:
            self._width = len(piece.metadata.row_type.fields)
        last = len(piece.values) - 1
        for number, value in enumerate(piece.values):
            cell = to_cell(value)
            if self._chunked:
                cell = join(self._row.pop(), cell)
            self._row.append(cell)
            self._chunked = piece.chunked_value and number == last
            if len(self._row) == self._width and not self._chunked:
                yield self._row
                self._row = []


def to_cell(value: Value) -> Cell:
    """Return a value as Python has it."""
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [to_cell(item) for item in value.list_value.values]
    if kind == "struct_value":
        return {name: to_cell(field) for name, field in value.struct_value.fields.items()}
    if kind is None or kind == "null_value":
        return None
    cell: Cell = getattr(value, kind)
    return cell


def join(head: Cell, tail: Cell) -> Cell:
    """Return the value that was split into these two.

    Strings are joined; lists too, and where they meet, two strings, lists or objects become one by the same rules;
    objects key by key.

    Raises:
        ValueError: two values that are not pieces of one.
    """
    if isinstance(head, str) and isinstance(tail, str):
        return head + tail
    if isinstance(head, list) and isinstance(tail, list):
        if head and tail and _can_join(head[-1], tail[0]):
            return [*head[:-1], join(head[-1], tail[0]), *tail[1:]]
        return head + tail
    if isinstance(head, dict) and isinstance(tail, dict):
        return head | {name: join(head[name], cell) if name in head else cell for name, cell in tail.items()}
    raise ValueError(f"a {type(tail).__name__} cannot go on where a {type(head).__name__} was cut")


def _can_join(head: Cell, tail: Cell) -> bool:
    return type(head) is type(tail) and isinstance(head, str | list | dict)
