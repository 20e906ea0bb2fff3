"""The steps that call Spanner: the first RPC, twenty more, the multiplexed session, and each permission."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from spanner_grpc_sessions.cli.doctor import diagnosis
from spanner_grpc_sessions.cli.doctor.case import Case
from spanner_grpc_sessions.cli.doctor.finding import Finding, Trouble
from spanner_grpc_sessions.cli.doctor.identity import why_rejected
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import CredentialsError, SpannerSessionsError
from spanner_grpc_sessions.errors.rpc import RpcError, Unauthenticated

_MORE: Final = 20
# Seconds.
_LAST_WAIT: Final = 1.0
_CREATE: Final = "spanner.sessions.create"
_GET: Final = "spanner.sessions.get"


def first_call(case: Case) -> Finding:
    """Create the doctor's session, over a connection of gRPC."""
    client = SessionsClient(case.credentials, options=case.options)
    case.client = case.stack.enter_context(client)
    try:
        session = case.client.create_session(case.database, timeout=case.timeout)
    except Unauthenticated as error:
        raise (why_rejected(case) or _trouble(case, error, _CREATE)) from error
    except RpcError as error:
        raise _trouble(case, error, _CREATE) from error
    except CredentialsError as error:
        raise Trouble("token", f"{error}: correct the credentials.") from error
    case.session = session["name"]
    case.stack.callback(_clean_up, case)
    text = f"CreateSession, which needs {_CREATE}"
    attempts = case.output.calls.last_attempts
    if attempts > 1:
        return Finding(f"{text}, after {attempts} attempts", "warning", "attempts", {"attempts": attempts})
    return Finding(text)


def latency(case: Case) -> Finding:
    """Time twenty more calls, one after the other."""
    times = []
    for _ in range(_MORE):
        begin = time.perf_counter()
        try:
            case.client.get_session(case.session, timeout=case.timeout)
        except RpcError as error:
            raise _trouble(case, error, _GET) from error
        times.append((time.perf_counter() - begin) * 1e3)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    p50, p90, p99 = cuts[49], cuts[89], cuts[98]
    text = f"{_MORE} GetSession: p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms"
    return Finding(text, data={"milliseconds": {"p50": p50, "p90": p90, "p99": p99}})


def multiplexed(case: Case) -> Finding:
    """Find out whether the server has multiplexed sessions. One cannot be deleted, and costs nothing."""
    try:
        session = case.client.create_session(case.database, multiplexed=True, timeout=case.timeout)
    except RpcError as error:
        if error.status in {"INVALID_ARGUMENT", "UNIMPLEMENTED"}:
            text = f"The server has none ({error.message}): use SessionPool."
            return Finding(text, "warning", "no-multiplexed", error.to_rest())
        raise _trouble(case, error, _CREATE) from error
    if session.get("multiplexed"):
        return Finding("supported")
    case.client.delete_session(session["name"], timeout=case.timeout)
    text = "The server gave an ordinary session instead, as emulators before 1.5.29 do: use SessionPool."
    return Finding(text, "warning", "no-multiplexed")


def _clean_up(case: Case) -> None:
    """Delete the session, after Ctrl-C too. It ends within an hour if that fails."""
    if case.session:
        with suppress(SpannerSessionsError):
            case.client.delete_session(case.session, timeout=_LAST_WAIT)


class Permission(NamedTuple):
    """A permission, and a call that needs it and changes nothing."""

    name: str
    call: Callable[[Case], None]

    def check(self, case: Case) -> Finding:
        """Make the call."""
        try:
            self.call(case)
        except RpcError as error:
            raise _trouble(case, error, self.name) from error
        return Finding(self.name)


def _list(case: Case) -> None:
    case.client.list_sessions(case.database, page_size=1, timeout=case.timeout)


def _get(case: Case) -> None:
    case.client.get_session(case.session, timeout=case.timeout)


def _select(case: Case) -> None:
    case.client.ping_session(case.session, timeout=case.timeout)


def _delete(case: Case) -> None:
    case.client.delete_session(case.session, timeout=case.timeout)
    case.session = ""


def _read_only(case: Case) -> None:
    _begin(case, {"readOnly": {"strong": True}})


def _read_write(case: Case) -> None:
    transaction = _begin(case, {"readWrite": {}})
    _post(case, "rollback", {"transactionId": transaction["id"]})


def _begin(case: Case, options: dict[str, Any]) -> Any:
    return _post(case, "beginTransaction", {"options": options})


def _post(case: Case, method: str, body: dict[str, Any]) -> Any:
    return case.client.rest("POST", f"/v1/{case.session}:{method}", body, timeout=case.timeout)


# That of the first call has been seen. The session is deleted last.
PERMISSIONS: Final = (
    Permission(_GET, _get),
    Permission("spanner.sessions.list", _list),
    Permission("spanner.databases.select", _select),
    Permission("spanner.databases.beginReadOnlyTransaction", _read_only),
    Permission("spanner.databases.beginOrRollbackReadWriteTransaction", _read_write),
    Permission("spanner.sessions.delete", _delete),
)


def _trouble(case: Case, error: RpcError, permission: str) -> Trouble:
    return diagnosis.of_call(error, case.database, case.target.address, case.who, permission)
