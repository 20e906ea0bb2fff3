"""Values that were cut, and streams that were broken, are whole again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value
from hypothesis import given, strategies as st
from spanner_grpc_sessions_pb import result_set_pb2

from chunks import Cell, RowJoiner, join, to_cell

_LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5)
CELLS = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


def to_value(cell: Any) -> Value:
    """Return a cell as the server sends it."""
    if cell is None:
        return Value(null_value=NullValue.NULL_VALUE)
    if isinstance(cell, list):
        return Value(list_value=ListValue(values=map(to_value, cell)))
    if isinstance(cell, dict):
        return Value(struct_value=Struct(fields={name: to_value(field) for name, field in cell.items()}))
    kinds = {bool: "bool_value", float: "number_value", str: "string_value"}
    return Value(**{kinds[type(cell)]: cell})


def _can_be_cut(cell: Cell) -> bool:
    return isinstance(cell, str | list | dict)


def cut(data: st.DataObject, cell: Any) -> tuple[Any, Any]:
    """Cut a string, list or object somewhere, as a server may."""
    place = data.draw(st.integers(0, len(cell)), "place")
    if isinstance(cell, str):
        return cell[:place], cell[place:]
    if isinstance(cell, dict):
        items = list(cell.items())
        head, tail = dict(items[:place]), dict(items[place:])
        for name in list(tail)[:1]:
            if _can_be_cut(tail[name]) and data.draw(st.booleans(), "within"):
                head[name], tail[name] = cut(data, tail[name])
        return head, tail
    before, after = cell[:place], cell[place:]
    if after and _can_be_cut(after[0]) and data.draw(st.booleans(), "within"):
        first, rest = cut(data, after[0])
        return [*before, first], [rest, *after[1:]]
    if before and after and _can_be_cut(before[-1]) and type(before[-1]) is type(after[0]):
        # Two that would become one are kept apart by an empty one between them.
        after = [type(before[-1])(), *after]
    return before, after


def pieces_of(data: st.DataObject, rows: list[list[Any]], width: int) -> list[result_set_pb2.PartialResultSet]:
    """Return rows as the pieces of a stream, cut anywhere; each third or so has a resume token, its number."""
    pieces = [result_set_pb2.PartialResultSet(metadata={"row_type": {"fields": [{}] * width}})]
    for cell in (cell for row in rows for cell in row):
        rest = cell
        while _can_be_cut(rest) and data.draw(st.booleans(), "cut"):
            head, rest = cut(data, rest)
            pieces[-1].values.append(to_value(head))
            pieces[-1].chunked_value = True
            pieces.append(result_set_pb2.PartialResultSet())
        pieces[-1].values.append(to_value(rest))
        if data.draw(st.booleans(), "end of the piece"):
            pieces.append(result_set_pb2.PartialResultSet())
    for number, piece in enumerate(pieces):
        if data.draw(st.integers(0, 2), "token") == 0:
            piece.resume_token = str(number).encode()
    return pieces


@given(CELLS)
def test_cells_are_values(cell: Any) -> None:
    """A value becomes what it is in JSON."""
    assert to_cell(to_value(cell)) == cell


@given(CELLS.filter(_can_be_cut), st.data())
def test_a_value_that_was_cut_is_whole_again(cell: Any, data: st.DataObject) -> None:
    """However often it is cut."""
    whole, rest = cut(data, cell)
    while data.draw(st.booleans(), "again"):
        head, rest = cut(data, rest)
        whole = join(whole, head)
    assert join(whole, rest) == cell


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width))), st.data())
def test_a_stream_that_breaks_gives_each_row_once(rows: list[list[Any]], data: st.DataObject) -> None:
    """Wherever it is cut and wherever it breaks: it goes on after the last resume token."""
    pieces = pieces_of(data, rows, width=len(rows[0]) if rows else 1)
    joiner, read = RowJoiner(), []
    for _ in range(data.draw(st.integers(0, 3), "breaks")):
        begin = int(joiner.resume_token) + 1 if joiner.resume_token else 0
        for piece in pieces[begin : data.draw(st.integers(begin, len(pieces)), "break")]:
            read += joiner.add(piece)
        joiner.forget()
    begin = int(joiner.resume_token) + 1 if joiner.resume_token else 0
    for piece in pieces[begin:]:
        read += joiner.add(piece)
    assert read + joiner.finish() == rows


@pytest.mark.parametrize(
    ("head", "tail", "whole"),
    [
        (["a", "b"], ["c", "d"], ["a", "bc", "d"]),
        (["a", ["b", "c"]], [["d"], "e"], ["a", ["b", "cd"], "e"]),
        (["a"], [None], ["a", None]),
        ([1.0], [2.0], [1.0, 2.0]),
        ([True], [True], [True, True]),
        ({"a": "1"}, {"a": "2", "b": None}, {"a": "12", "b": None}),
        ([], ["a"], ["a"]),
    ],
)
def test_the_rules_of_chunks(head: Any, tail: Any, whole: Any) -> None:
    """Where lists meet, strings, lists and objects become one, and all else stays apart."""
    assert join(head, tail) == whole


@pytest.mark.parametrize(("head", "tail"), [("a", ["b"]), (1.0, 2.0), (None, None), ({"a": 1.0}, {"a": 2.0})])
def test_what_cannot_be_cut_is_refused(head: Any, tail: Any) -> None:
    """Numbers, booleans and null are never cut, and two kinds never one value."""
    with pytest.raises(ValueError, match="cannot go on"):
        join(head, tail)


def test_a_stream_that_ends_within_a_row_is_refused() -> None:
    """Half a row is an error, not the end."""
    joiner = RowJoiner()
    joiner.add(result_set_pb2.PartialResultSet(metadata={"row_type": {"fields": [{}, {}]}}, values=[to_value("a")]))
    with pytest.raises(ValueError, match="1 of 2 columns"):
        joiner.finish()


def test_rows_are_not_held_back_for_ever() -> None:
    """Without resume tokens rows come after a while; from then to the next token, a break would give rows twice."""
    joiner, read = RowJoiner(), []
    for number in range(1000):
        piece = result_set_pb2.PartialResultSet(values=[to_value(float(number))])
        piece.metadata.row_type.fields.add()
        read += joiner.add(piece)
    assert 800 < len(read) <= 1000
    assert not joiner.resumable
    read += joiner.add(result_set_pb2.PartialResultSet(resume_token=b"here"))
    assert joiner.resumable
    assert [math.floor(row[0]) for row in read] == list(range(1000))
