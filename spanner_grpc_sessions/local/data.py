"""The RPCs of data: statements and reads with the answers that a test has told, and transactions around them."""

from __future__ import annotations

import itertools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import ListValue
from google.rpc import code_pb2, status_pb2
from spanner_grpc_sessions_pb import result_set_pb2, spanner_pb2, type_pb2

from spanner_grpc_sessions.local.answers import Answer, Answers, encode_rows, fits_statement, pieces
from spanner_grpc_sessions.local.calls import Call
from spanner_grpc_sessions.local.faults import Fault
from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.local.transactions import Selected, Transactions

_Meet = Callable[[Fault], None]

NO_FAULT: Final = Fault(None, None, "", (), 0.0, False, inf)
_INT64: Final = (type_pb2.StructType.Field(type=type_pb2.Type(code=type_pb2.INT64)),)
# The ping of a session, which every Spanner answers.
_SELECT_1: Final = Answer(_INT64, encode_rows([[1]], _INT64), None, NO_FAULT, None, None, inf)
_is_select_1: Final = fits_statement(re.compile(r"select\s+1\s*;?", re.IGNORECASE))
_PARTITIONS: Final = 2
# Streams that can be resumed.
_MAX_STREAMS: Final = 100


@dataclass(frozen=True, slots=True)
class _Result:
    """The answer to a statement or a read, before it has the form of a ResultSet or of a stream."""

    answer: Answer
    fields: Iterable[type_pb2.StructType.Field]
    rows: tuple[ListValue, ...]
    selected: Selected

    def metadata(self) -> result_set_pb2.ResultSetMetadata:
        return result_set_pb2.ResultSetMetadata(
            row_type=type_pb2.StructType(fields=self.fields), transaction=self.selected.begun
        )

    def stats(self, mode: int) -> result_set_pb2.ResultSetStats | None:
        if mode == spanner_pb2.ExecuteSqlRequest.PROFILE:
            stats = result_set_pb2.ResultSetStats()
            stats.query_stats.update({"rows_returned": str(len(self.rows))})
            return stats
        if self.answer.row_count is None:
            return None
        if self.selected.partitioned:
            return result_set_pb2.ResultSetStats(row_count_lower_bound=self.answer.row_count)
        return result_set_pb2.ResultSetStats(row_count_exact=self.answer.row_count)


class DataRpcs:
    """What the RPCs of data do. They raise `RpcStatus`."""

    def __init__(self, store: SessionStore, transactions: Transactions, answers: Answers) -> None:
        self._store = store
        self._transactions = transactions
        self._answers = answers
        self._streams: OrderedDict[bytes, list[result_set_pb2.PartialResultSet]] = OrderedDict()
        self._serial = itertools.count(1)

    def functions(self) -> dict[str, Callable[[Call, float, _Meet], Any]]:
        """Return the function of each RPC."""
        return {
            "ExecuteSql": self._whole,
            "ExecuteStreamingSql": self._streamed,
            "Read": self._whole,
            "StreamingRead": self._streamed,
            "ExecuteBatchDml": self._execute_batch,
            "BeginTransaction": self._begin,
            "Commit": self._commit,
            "Rollback": self._rollback,
            "PartitionQuery": self._partition,
            "PartitionRead": self._partition,
            "BatchWrite": self._batch_write,
        }

    def _whole(self, call: Call, now: float, meet: _Meet) -> result_set_pb2.ResultSet:
        result = self._result(call, now, meet)
        return result_set_pb2.ResultSet(
            metadata=result.metadata(),
            rows=result.rows,
            stats=result.stats(getattr(call.request, "query_mode", 0)),
            precommit_token=result.selected.token,
        )

    def _streamed(self, call: Call, now: float, meet: _Meet) -> Iterator[result_set_pb2.PartialResultSet]:
        request: Any = call.request
        if request.resume_token:
            self._store.use(request.session, now)
            return iter(self._resumed(request.resume_token))
        result = self._result(call, now, meet)
        return self._broken(self._pieces(call, result), result.answer, meet)

    def _pieces(self, call: Call, result: _Result) -> list[result_set_pb2.PartialResultSet]:
        first = result_set_pb2.PartialResultSet(metadata=result.metadata())
        stream = list(pieces(result.rows, first, result.answer.chunk_size))
        stats = result.stats(getattr(call.request, "query_mode", 0))
        if stats is not None:
            stream[-1].stats.CopyFrom(stats)
        if result.selected.token is not None:
            stream[-1].precommit_token.CopyFrom(result.selected.token)
        if result.answer.chunk_size is not None:
            self._make_resumable(stream)
        return stream

    def _make_resumable(self, stream: list[result_set_pb2.PartialResultSet]) -> None:
        serial = next(self._serial)
        for number, piece in enumerate(stream, 1):
            # Within a cut value a stream cannot be resumed.
            if not piece.chunked_value:
                piece.resume_token = b"%d/%d" % (serial, number)
        self._streams[b"%d" % serial] = stream
        if len(self._streams) > _MAX_STREAMS:
            self._streams.popitem(last=False)

    def _resumed(self, token: bytes) -> list[result_set_pb2.PartialResultSet]:
        serial, _, number = token.partition(b"/")
        stream = self._streams.get(serial)
        if stream is None or not number.isdigit():
            raise RpcStatus("INVALID_ARGUMENT", f"Invalid resume token {token!r}: it is not of a recent stream.")
        return stream[int(number) :]

    @staticmethod
    def _broken(
        stream: list[result_set_pb2.PartialResultSet], answer: Answer, meet: _Meet
    ) -> Iterator[result_set_pb2.PartialResultSet]:
        if answer.broken_after is None:
            yield from stream
        else:
            yield from stream[: answer.broken_after]
            meet(answer.fault)

    def _result(self, call: Call, now: float, meet: _Meet) -> _Result:
        request: Any = call.request
        session = self._store.use(request.session, now)
        answer = self._find(call)
        if answer.broken_after is None:
            meet(answer.fault)
        writes = answer.row_count is not None
        selected = self._transactions.select(session, request.transaction, now, writes=writes)
        rows = answer.rows_for(call)
        if request.partition_token:
            rows = _part(rows, request.partition_token)
        if call.table:
            return _Result(answer, *_read(call, answer, rows), selected)
        planned = request.query_mode == spanner_pb2.ExecuteSqlRequest.PLAN
        return _Result(answer, answer.fields, () if planned else rows, selected)

    def _find(self, call: Call) -> Answer:
        answer = self._answers.take(call)
        if answer is not None:
            return answer
        if _is_select_1(call):
            return _SELECT_1
        if call.table:
            told = f"answer_read({call.table!r}, columns=..., rows=...)"
        else:
            told = f"answer({call.sql.strip()!r}, columns=..., rows=...)"
        raise RpcStatus(
            "UNIMPLEMENTED", f"LocalSpanner has no SQL engine and no data. Tell it what to answer: LocalSpanner.{told}."
        )

    def _execute_batch(self, call: Call, now: float, meet: _Meet) -> spanner_pb2.ExecuteBatchDmlResponse:
        request: Any = call.request
        session = self._store.use(request.session, now)
        selected = self._transactions.select(session, request.transaction, now, writes=True)
        response = spanner_pb2.ExecuteBatchDmlResponse(precommit_token=selected.token, status=status_pb2.Status())
        for statement in request.statements:
            try:
                answer = self._statement(call, statement, meet)
            except RpcStatus as status:
                # The statements before it stay done, and those after it are not begun.
                response.status.code = code_pb2.Code.Value(status.status)
                response.status.message = status.message
                break
            result = _Result(answer, answer.fields, (), selected)
            response.result_sets.add(metadata=result.metadata(), stats=result.stats(0))
            selected = Selected()
        return response

    def _statement(self, call: Call, statement: Any, meet: _Meet) -> Answer:
        alone = spanner_pb2.ExecuteSqlRequest(
            sql=statement.sql, params=statement.params, param_types=statement.param_types
        )
        answer = self._find(replace(call, request=alone))
        meet(answer.fault)
        if answer.row_count is None:
            raise RpcStatus("INVALID_ARGUMENT", f"The statement is no DML: its answer has no row_count: {alone.sql}")
        return answer

    def _begin(self, call: Call, now: float, _: _Meet) -> Any:
        request: Any = call.request
        return self._transactions.begin(self._store.use(request.session, now), request.options, now)

    def _commit(self, call: Call, now: float, _: _Meet) -> Any:
        request: Any = call.request
        return self._transactions.commit(self._store.use(request.session, now), request, now)

    def _rollback(self, call: Call, now: float, _: _Meet) -> Empty:
        request: Any = call.request
        self._transactions.rollback(self._store.use(request.session, now), request.transaction_id)
        return Empty()

    def _partition(self, call: Call, now: float, _: _Meet) -> spanner_pb2.PartitionResponse:
        request: Any = call.request
        session = self._store.use(request.session, now)
        selected = self._transactions.select(session, request.transaction, now)
        count = min(request.partition_options.max_partitions or _PARTITIONS, _PARTITIONS)
        tokens = [b"%d/%d" % (number, count) for number in range(count)]
        partitions = [spanner_pb2.Partition(partition_token=token) for token in tokens]
        return spanner_pb2.PartitionResponse(partitions=partitions, transaction=selected.begun)

    def _batch_write(self, call: Call, now: float, _: _Meet) -> Iterator[spanner_pb2.BatchWriteResponse]:
        request: Any = call.request
        self._store.use(request.session, now)
        for number, _group in enumerate(request.mutation_groups):
            response = spanner_pb2.BatchWriteResponse(indexes=[number], status=status_pb2.Status())
            response.commit_timestamp.FromMicroseconds(round(now * 1e6))
            yield response


def _part(rows: tuple[ListValue, ...], token: bytes) -> tuple[ListValue, ...]:
    number, _, count = token.partition(b"/")
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise RpcStatus("INVALID_ARGUMENT", f"Invalid partition token {token!r}.")
    return rows[int(number) :: int(count)]


def _read(
    call: Call, answer: Answer, rows: tuple[ListValue, ...]
) -> tuple[list[type_pb2.StructType.Field], tuple[ListValue, ...]]:
    """Return the columns and rows of a read: the columns that it asks for, and no more rows than its limit."""
    request: Any = call.request
    places = {field.name: place for place, field in enumerate(answer.fields)}
    for name in request.columns:
        if name not in places:
            raise RpcStatus("NOT_FOUND", f"Column not found in table {call.table}: {name}")
    chosen = [places[name] for name in request.columns]
    selected = tuple(ListValue(values=[row.values[place] for place in chosen]) for row in rows)
    return [answer.fields[place] for place in chosen], selected[: request.limit or None]
