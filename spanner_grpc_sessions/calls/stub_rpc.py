"""An RPC of a stub: what its calls are sent with, who is told of them, and how they fail. For both stub channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import grpc

from spanner_grpc_sessions.calls.headers import REQUEST_ID, Metadata, with_headers
from spanner_grpc_sessions.calls.preparation import Report
from spanner_grpc_sessions.calls.retry import Attempts
from spanner_grpc_sessions.errors import ClientClosed, CredentialsError, InvalidType, SpannerSessionsError
from spanner_grpc_sessions.errors.finished_call import as_failed_call
from spanner_grpc_sessions.errors.origin import was_never_taken_up
from spanner_grpc_sessions.errors.rpc import RpcError, from_grpc
from spanner_grpc_sessions.observers import CallInfo, Observation, observe
from spanner_grpc_sessions.options import DEFAULT, MAX_TIMEOUT, CallMetadata, RetryOptions
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.service.rpcs import Rpc, rpc_of

if TYPE_CHECKING:
    from spanner_grpc_sessions.auth import Tokens
    from spanner_grpc_sessions.auth.token import TokenHeaders
    from spanner_grpc_sessions.calls.call import Caller
    from spanner_grpc_sessions.calls.call_async import AsyncCaller
    from spanner_grpc_sessions.transport.incidents import Incidents

# A caller's own headers take the place of ours, but for those that come with the token.
RESERVED: Final = frozenset({"authorization", "x-goog-user-project"})
Attempt = tuple[Any, "TokenHeaders | None"]
_PLUGIN_FAILED: Final = "Getting metadata from plugin failed with error: "


class StubRpc:
    """An RPC of a stub. The messages may be of any class with the fields of ours.

    Args:
        caller: makes the client's own calls, with the same headers and to the same observer.
        path: of the RPC, on the wire.
        report: is told each failure.
        retry: which failures are repeated.
        serialize: makes bytes of a request; None if its callers do.
        one_request: of a call; an iterator of requests is used up by the first attempt, which is then the only one.
    """

    def __init__(
        self,
        caller: Caller | AsyncCaller,
        path: str,
        report: Report | None,
        retry: RetryOptions,
        serialize: Callable[[Any], bytes] | None,
        *,
        one_request: bool,
    ) -> None:
        self.path = path
        self.rpc: Rpc = rpc_of(path)
        self.retry: RetryOptions = retry if one_request else RetryOptions.none()
        self.serialize = serialize
        self.one_request = one_request
        self._preparation = caller.preparation
        self._observer = caller.observer
        self._address = caller.connection.address
        self.incidents: Incidents = caller.connection.incidents
        self._report = report

    @property
    def reports(self) -> bool:
        """Whether failures are reported."""
        return self._report is not None

    def name_of(self, request: Any) -> str:
        """Return the name of the database or session in a request that is sent now; empty if it has none."""
        name: str = "" if self.rpc.on is None else getattr(request, self.rpc.on, "")
        return name

    def observe(self, name: str) -> Observation | None:
        """Return the observation of a call that begins, or None if nothing observes."""
        return observe(self._observer, self.rpc.name, name, self._address)

    def prepare(
        self,
        request: Any,
        name: str,
        timeout: float | None,
        metadata: CallMetadata | None,
        observation: Observation | None = None,
    ) -> tuple[Any, Metadata, float | None, str]:
        """Return what a call sends, its headers without token and request id, its time in seconds, and its request id.

        Headers in `metadata` take the place of ours, which is how Google's clients send their own. Without a request id
        among them, the last one returned is empty.
        """
        rpc, sent = self.rpc, self._sent(request)
        if observation is not None and observation.headers:
            metadata = with_headers(metadata, observation.headers, RESERVED)
        if not name and rpc.on is not None and not hasattr(request, rpc.on):
            # No message, but bytes for example: it is sent without what its fields would tell.
            rpc = _untold(rpc)
        message = request if rpc.writes is None else _message(request)
        if message is None:
            rpc = _untold(rpc)
        limit = DEFAULT if timeout is None else _bounded(timeout)
        headers, left = self._preparation.prepare(rpc, name, message, limit, metadata, RESERVED)
        if left == 0:
            # At a deadline of this very moment, a quick answer might still come in time.
            left = -1.0
        if metadata and (own := [value for key, value in headers if key == REQUEST_ID]):
            return sent, tuple(pair for pair in headers if pair[0] != REQUEST_ID), left, str(own[-1])
        return sent, headers, left, ""

    def next_request_id(self, channel: int) -> str:
        """Return the request id of the first attempt of a call on the channel of this number."""
        return f"{self._preparation.next_number(channel)}1"

    def attempts(self, request_id: str, deadline: Deadline, observed: CallInfo | None) -> Attempts:
        """Return the attempts of a call, of which the one with this request id was the first."""
        number, _, attempt = request_id.rpartition(".")
        if not attempt.isdigit():
            # A request id that is not made as Google's: the attempts are counted behind it.
            number, attempt = request_id, "1"
        return Attempts(
            self.rpc,
            f"{number}.",
            self.retry,
            deadline,
            observed,
            first=int(attempt),
            of_stub=True,
            resends=self.one_request,
            incidents=self.incidents,
        )

    def failure(
        self, error: Any, request_id: str, name: str, token: TokenHeaders | None, *, closed: bool, attempts: int = 1
    ) -> SpannerSessionsError:
        """Return the exception to raise for one of gRPC; report it."""
        if closed and (not isinstance(error, grpc.RpcError) or error.code() is grpc.StatusCode.CANCELLED):
            return as_failed_call(ClientClosed.during_call())
        failure = from_grpc(error, method=self.rpc.name, request_id=request_id, attempts=attempts)
        if failure.message.startswith(_PLUGIN_FAILED):
            # gRPC reports an unavailable server, but it was the token that could not be fetched.
            return as_failed_call(CredentialsError(failure.message.removeprefix(_PLUGIN_FAILED)))
        self.incidents.note(failure, token)
        self.tell(failure, name)
        return failure

    def tell(self, failure: BaseException, name: str) -> None:
        """Report the failure of a call about the database or session of this name."""
        if self._report is not None and isinstance(failure, RpcError):
            self._report(failure, name)

    def _sent(self, request: Any) -> Any:
        """Return what every attempt of a call sends: its caller may change the message while the call is in flight."""
        if not self.one_request:
            return request
        try:
            data = request if self.serialize is None else self.serialize(request)
        except Exception as error:
            raise InvalidType(
                f"{self.rpc.name}: cannot serialize a request of type {type(request).__name__}: {error}"
            ) from error
        if not isinstance(data, bytes):
            raise InvalidType(f"{self.rpc.name}: a request must be serialized to bytes, got {type(data).__name__}")
        return data


class CallState:
    """What a call of a stub in flight knows, in both forms.

    Args:
        attempt: gRPC's object for the first attempt, and the token that it carries, None if that is not known.
        rpc: the RPC.
        name: of the database or session that the call is about.
        request_id: of the first attempt.
        connection: is asked whether it was closed.
        observation: is ended with the call.
        left: the seconds that the call may take from now.
        repeats: another attempt may follow, until the first message of a stream is there, as the channel's options say;
            otherwise only that of a call that the server never took up.
        again: makes an attempt with a request id and the seconds left, and returns the same of it.

    Attributes:
        request_id: the x-goog-spanner-request-id header of the last attempt.
    """

    _failed: SpannerSessionsError | None = None
    _callbacks: tuple[Callable[[Any], None], ...] = ()
    # Whether the caller cancelled, and whether that was between two attempts.
    _gave_up = _cancelled = False

    def __init__(
        self,
        attempt: Attempt,
        rpc: StubRpc,
        name: str,
        request_id: str,
        connection: Any,
        observation: Observation | None,
        left: float | None,
        repeats: bool,
        again: Callable[[str, float | None], Attempt],
    ) -> None:
        self._call, self._token = attempt
        self._rpc = rpc
        self._name = name
        self.request_id: str = request_id
        self._connection = connection
        self._observation = observation
        self._again = again
        self._left, self._since = left, monotonic()
        self._attempts = self._begin_attempts() if repeats and rpc.retry.statuses else None

    def __getattr__(self, name: str) -> Any:
        if name == "_call":
            # It is not there yet: the object is being made.
            raise AttributeError(name)
        return getattr(self._call, name)

    def _failure(self, error: BaseException) -> SpannerSessionsError:
        if self._failed is None:
            closed = self._connection.closing.is_set()
            attempts = 1 if self._attempts is None else self._attempts.count
            self._failed = self._rpc.failure(
                error, self.request_id, self._name, self._token, closed=closed, attempts=attempts
            )
            self._failed.__cause__ = error
        return self._failed

    def _begin_attempts(self) -> Attempts:
        observed = self._observation.call if self._observation else None
        return self._rpc.attempts(self.request_id, Deadline(self._left, self._since), observed)

    def _pause_after(self, failure: SpannerSessionsError) -> float | None:
        """Return the seconds to wait before another attempt, or None if there should be none."""
        if not isinstance(failure, RpcError):
            return None
        if self._attempts is None and was_never_taken_up(failure):
            self._attempts = self._begin_attempts()
        return None if self._attempts is None else self._attempts.pause_after(failure)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call back with this object when the call has ended, as `grpc.Future` and `grpc.aio.Call` do."""
        if self._attempts is None:
            self._call.add_done_callback(lambda _: fn(self))
        else:
            self._callbacks += (fn,)

    def _settle(self) -> None:
        """Note that there will be no other attempt."""
        self._attempts = None
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            self.add_done_callback(callback)

    def _repeat(self, attempts: Attempts) -> None:
        self._failed = None
        self.request_id = attempts.request_id()
        self._call, self._token = self._again(self.request_id, attempts.deadline.left())


def of_call(name: str) -> Callable[..., Any]:
    """Return the method of this name of gRPC's own object for a call, for a class of calls."""

    def method(self: CallState, *args: Any) -> Any:
        return getattr(self._call, name)(*args)

    method.__name__ = name
    return method


def waiting_for_token(tokens: Tokens, credentials: grpc.CallCredentials | None) -> grpc.CallCredentials:
    """Return call credentials that wait for a token, beside a caller's own: gRPC waits, and not the caller."""
    from spanner_grpc_sessions.auth.call_credentials import call_credentials  # noqa: PLC0415 - seldom needed

    ours = call_credentials(tokens)
    return ours if credentials is None else grpc.composite_call_credentials(ours, credentials)


@lru_cache(maxsize=64)
def _untold(rpc: Rpc) -> Rpc:
    return replace(rpc, on=None, writes=None)


def _bounded(timeout: float) -> float:
    """Return a timeout as gRPC understands it: one below 0 has passed already, and none is longer than we can count."""
    is_number = isinstance(timeout, float | int) and not isinstance(timeout, bool)
    return min(max(timeout, 0.0), MAX_TIMEOUT) if is_number else timeout


def _message(request: Any) -> Any:
    if hasattr(request, "WhichOneof"):
        return request
    # google-cloud-spanner wraps its messages, and their class unwraps them.
    unwrap = getattr(type(request), "pb", None)
    return None if unwrap is None else unwrap(request)
