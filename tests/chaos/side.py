"""What the far side consists of: LocalSpanner or the emulator, a token endpoint, a proxy, and lies."""

from __future__ import annotations

import os
import random
import re
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from google.protobuf.struct_pb2 import ListValue, Value
from spanner_grpc_sessions_pb import result_set_pb2

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.local import LocalSpanner, server as local_server
from spanner_grpc_sessions.local.data import DataRpcs
from spanner_grpc_sessions.local.servicer import Servicer
from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.testing import OwnEmulator
from tests.chaos.lies import LIES
from tests.support.keys import share_keys
from tests.support.proxy import Proxy
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DATABASE", "Side"]

DATABASE: Final = "projects/test-project/instances/chaos/databases/db"
# Calls that are dropped each keep a thread until their callers give up.
_WORKERS: Final = 100
_SQL: Final = re.compile(r"SELECT '([-a-z0-9]+)'( FROM UNNEST\(\[1, 2, 3\]\))?")


class Side:
    """A context manager. Callers connect to `proxy`.

    Args:
        age: seconds after which the server sends GOAWAY to a connection; None for never.
        lifetime: seconds that a token lives.
        emulator: use Google's emulator instead of LocalSpanner.

    Raises:
        EmulatorUnavailable: there is none here.
    """

    def __init__(self, *, age: float | None = None, lifetime: float = 3600.0, emulator: bool = False) -> None:
        self._stack = ExitStack()
        self._draw = random.Random(0)  # noqa: S311 - repeatable on purpose
        self._lie: str | None = None
        self.lifetime = lifetime
        self._patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        share_keys(self._patch)
        functions = DataRpcs.functions
        own = {"ExecuteSql": self._query, "ExecuteStreamingSql": self._stream}
        self._patch.setattr(DataRpcs, "functions", lambda data: {**functions(data), **own})
        self._tell_lies()
        if age is not None:
            limits = (("grpc.max_connection_age_ms", int(age * 1000)), ("grpc.max_connection_age_grace_ms", 5_000))
            self._patch.setattr(local_server, "_SERVER_OPTIONS", (*local_server._SERVER_OPTIONS, *limits))
        self.own = OwnEmulator(os.environ) if emulator else None
        self.spanner = LocalSpanner(workers=_WORKERS)
        self.tokens = TokenServer()
        self.proxy = Proxy("")

    def __enter__(self) -> Self:
        if self.own is not None:
            self._stack.enter_context(self.own)
            self.create_database()
            self.proxy.target = self.own.emulator.grpc_endpoint
        else:
            self._stack.enter_context(self.spanner)
            self.proxy.target = self.spanner.endpoint
        self._stack.enter_context(self.tokens)
        self.tokens.issue = self.issue
        self.tokens.lifetime = int(self.lifetime)
        self._stack.enter_context(self.proxy)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def where(self) -> dict[str, Any]:
        """Return what callers need to connect."""
        root = None if self.own is not None else self.spanner.root_certificates
        return {"endpoint": self.proxy.endpoint, "root": root, "token_uri": self.tokens.uri}

    def issue(self, _: int) -> str:
        """Return a token that the server takes."""
        return self.spanner.issue_token(lifetime=self.lifetime)

    def issue_false(self, false: bool) -> None:
        """Have the token endpoint issue tokens that the server does not take, or stop that."""
        self.tokens.issue = "false-{}".format if false else self.issue

    def set_tokens(self, name: str, value: Any) -> None:
        """Set an attribute of the token endpoint."""
        setattr(self.tokens, name, value)

    def restart(self) -> None:
        """Stop the server, and start it on the same port."""
        self.spanner.stop()
        self.spanner.start()

    def forget(self, share: float) -> int:
        """Drop a share of the sessions, drawn; return how many."""
        forgotten = 0
        for session in self.spanner.sessions:
            if self._draw.random() < share:
                with suppress(InvalidValue):  # its caller has deleted it
                    self.spanner.forget(session["name"])
                    forgotten += 1
        return forgotten

    def drop_database(self) -> None:
        """Drop the database."""
        self.spanner.drop_database(DATABASE)

    def restore_database(self) -> None:
        """Have a database of this name again, without its sessions."""
        self.spanner._store._dropped.discard(DATABASE)

    def restart_emulator(self) -> None:
        """Start the emulator that was killed, with the database."""
        assert self.own is not None
        self.own.start()
        self.create_database()

    def create_database(self) -> None:
        """Create the database in the emulator."""
        assert self.own is not None
        self.own.emulator.create_database(instance="chaos")

    def lie(self, kind: str | None) -> None:
        """Tell a kind of lies in half of the answers, or stop."""
        self._lie = kind

    def _tell_lies(self) -> None:
        answer = Servicer._answer

        def lying(servicer: Any, method: str, function: Any, request: Any, context: Any) -> Any:
            answers = answer(servicer, method, function, request, context)
            lie = LIES[self._lie] if self._lie and self._draw.random() < 0.5 else None
            if lie is None:
                return answers
            return iter([lie(each) for each in answers]) if hasattr(answers, "__next__") else lie(answers)

        self._patch.setattr(Servicer, "_answer", lying)

    def _query(self, call: Any, now: float, _: Any) -> result_set_pb2.ResultSet:
        return result_set_pb2.ResultSet(rows=[ListValue(values=[self._value(call.request, now)])])

    def _stream(self, call: Any, now: float, _: Any) -> Any:
        value = self._value(call.request, now)
        return iter([result_set_pb2.PartialResultSet(values=[value]) for _ in range(3)])

    def _value(self, request: Any, now: float) -> Value:
        self.spanner._store.use(request.session, now)
        match = _SQL.fullmatch(request.sql)
        if match is None and request.sql.upper() != "SELECT 1":
            raise RpcStatus("UNIMPLEMENTED", "no such SQL here")
        return Value(string_value=match[1] if match else "1")
