"""The connection of a client: its channels and tokens, their beginning and end. Mirrored by `connection_async`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc._cython import cygrpc  # as gRPC's own channels use it, at a fork

from spanner_grpc_sessions.errors import ClientClosed, SpannerSessionsError
from spanner_grpc_sessions.errors.connecting import why_final
from spanner_grpc_sessions.options import ClientOptions
from spanner_grpc_sessions.runtime.deadline import Deadline
from spanner_grpc_sessions.runtime.fork import (
    end_of_use,
    notice_fork,
    require_grpc_usable,
    reset_after_fork,
    rest_for_fork,
    retain_after_fork,
)
from spanner_grpc_sessions.runtime.log import log
from spanner_grpc_sessions.runtime.threads import (
    can_start_thread,
    is_interruptible,
    keep_until_exit,
    no_thread,
    note_no_thread,
)
from spanner_grpc_sessions.service.rpcs import Rpc
from spanner_grpc_sessions.transport.channel import Security, Target, open_channel
from spanner_grpc_sessions.transport.connectivity import await_change, connectivity, grpc_channel, unlock
from spanner_grpc_sessions.transport.incidents import Incidents
from spanner_grpc_sessions.transport.reachability import PROBE, PROBE_TIMEOUT, not_connected, reason_of

if TYPE_CHECKING:
    from spanner_grpc_sessions.auth import Tokens


class Connection:
    """Channels to one target and the tokens for them. Safe to share between threads.

    Attributes:
        address: "host:port" of the server.
        on_emulator: calls travel in plaintext and carry no token.
        tokens: the source of the token of each call, closed with the connection.
        incidents: is told each failure, for the log.
        channel: what calls are made on while it is open, else None.
        closing: set once the connection is closed.
    """

    # What a call raises: of the two, ValueError says that the channel is closed.
    CALL_ERRORS: Final = (grpc.RpcError, ValueError)
    CLOSED_ERROR: Final = ValueError

    def __init__(self, target: Target, options: ClientOptions, tokens: Tokens) -> None:
        self.address: str = target.address
        self.on_emulator: bool = target.security == Security.PLAINTEXT
        self.tokens = tokens
        self.incidents: Incidents = Incidents(target.address, tokens)
        self._calls: dict[Rpc, Callable[..., Any]] = {}
        self.closing: threading.Event = threading.Event()
        self._target = target
        self._options = options
        self._has_choice = options.channels > 1
        self.channel: Any = None
        # Reentrant, for a signal handler may close the client while its thread opens it.
        self._changing = threading.RLock()
        # Are set when the connection closes.
        self._waiting: set[threading.Event] = set()
        # The channel, and whether this lock is held, while the process forks.
        self._held: Any = None
        self._holding = False
        reset_after_fork(self)

    def __repr__(self) -> str:
        return f"{self.address} {self._target.security} {self.state}"

    @property
    def state(self) -> str:
        """One of "new", "open" and "closed"."""
        return "closed" if self.closing.is_set() else "open" if self.channel else "new"

    def open(self) -> Any:
        """Return the channel. The first time, create it and fetch a token while it connects; wait for neither."""
        notice_fork()
        with self._changing:
            if self.closing.is_set():
                raise ClientClosed("the client is closed: create a new one")
            require_grpc_usable()
            if self._held is not None:
                return self._held  # on the thread that forks
            if self.channel is None:
                channel = self._make_channel()
                if self.closing.is_set():
                    channel.close()
                    raise ClientClosed("the client was closed while it was opened")
                self.channel = channel
                rest_for_fork(self)
                self.tokens.start()
                if self.tokens.current() is None:
                    # Otherwise the first call would wait for its token first, and for the connection afterwards.
                    for single in _channels_of(channel):
                        connectivity(single)
                log.info("opened a client of %s, %s", self.address, self._target.security)
            return self.channel

    def close(self) -> None:
        """Close the channel and the token source. Idempotent; calls in flight end as `ClientClosed`."""
        with self._changing:
            self.closing.set()
            channel, self.channel, self._held = self.channel or self._held, None, None
            self._calls.clear()
        end_of_use(self)
        # First, for what follows may be interrupted.
        self.tokens.close(timeout=0.0)
        for ready in tuple(self._waiting):
            ready.set()
        if channel is not None:
            channel.close()
            log.info("closed the client of %s, %s", self.address, self._target.security)
        self.tokens.close()

    def abandon(self) -> None:
        """End without waiting, for a client that was dropped."""
        self.closing.set()
        self.tokens.close(timeout=0.0)

    def warm_up(self, timeout: float | None) -> None:
        """Connect all channels and get a token, at the same time."""
        deadline = Deadline(timeout)
        channels = _channels_of(self.open())
        for channel in channels:
            connectivity(channel)
        if self.tokens.current() is None:
            self.tokens.wait(timeout)
        for channel in channels:
            self._await_ready(channel, deadline)

    def _await_ready(self, channel: grpc.Channel, deadline: Deadline) -> None:
        """Wait until a channel is connected; raise at the deadline, or as soon as it never will be."""
        before, reason = None, ""
        while (state := connectivity(channel)) is not grpc.ChannelConnectivity.READY:
            if self.closing.is_set():
                raise ClientClosed("the client was closed while it warmed up")
            if state is not before and state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                reason = self._failure_of(channel)
            if deadline.has_passed() or why_final(reason) is not None:
                raise not_connected(self.address, reason)
            await_change(channel, state, deadline)
            before = state

    def _failure_of(self, channel: grpc.Channel) -> str:
        """Return why a channel cannot connect, in gRPC's words; "" if it can."""
        probe: Any = channel.unary_unary(PROBE)
        try:
            probe(b"", timeout=PROBE_TIMEOUT)
        except self.CALL_ERRORS as error:
            return reason_of(self.rpc_error(error))
        return ""

    def hold(self, deadline: Deadline) -> None:
        """Let no call begin until `resume`, before a fork."""
        left = deadline.left()
        if self._changing.acquire(timeout=-1 if left is None else left):
            self._held, self.channel = self.channel, None
            self._calls.clear()
            self._holding = True

    def disown(self) -> None:
        """Keep gRPC's handlers in the child away from calls that did not end in time: they would wait for them."""
        if self._held is not None:
            for channel in _channels_of(self._held):
                cygrpc.fork_unregister_channel(grpc_channel(channel))

    def resume(self) -> None:
        """Let calls begin again, in the process that was forked."""
        if self._holding:
            self._holding = False
            self.channel, self._held = self._held, None
            if self.channel is not None:
                for channel in _channels_of(self.channel):
                    cygrpc.fork_register_channel(grpc_channel(channel))
            self._changing.release()

    def ready(self, rpc: Rpc, request: Any) -> tuple[Callable[..., Any], int]:
        """Return what makes a call, opening the connection if need be, and the number of its channel."""
        call = self._calls.get(rpc) or self._prepare(rpc)
        return call.choose(request) if self._has_choice else (call, 1)  # type: ignore[attr-defined]  # of a channel pool

    def choose(self, call: Any, request: Any) -> tuple[Callable[..., Any], int]:
        """Return what makes a call of an RPC with this request, and the number of the channel that it is made on."""
        return call.choose(request) if self._has_choice else (call, 1)

    @staticmethod
    def telling(call: Callable[..., Any], tell: Callable[[Any], None]) -> Callable[..., Any]:
        """Return a call that tells the headers of its answer."""

        def make(request: Any, *, timeout: float | None, metadata: Any) -> Any:
            answer, made = call.with_call(request, timeout=timeout, metadata=metadata)  # type: ignore[attr-defined]  # gRPC's
            tell(made.initial_metadata())
            return answer

        return make

    def begin(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make a call that goes on when this returns; gRPC may start a thread for it."""
        cause = None
        if can_start_thread():
            try:
                return call(*args, **named)
            except RuntimeError as error:
                self.retire_channel(error)
                cause = error
        raise no_thread() from cause

    def retire_channel(self, error: RuntimeError) -> None:
        """Use another channel from now on: gRPC could not start its thread for a call, and takes it for running.

        It would end neither that call nor the channel.
        """
        note_no_thread(error)
        with self._changing:
            if self.channel is not None:
                keep_until_exit(self.channel)
            self.channel = None
            self._calls.clear()

    def interrupted(self, error: BaseException) -> None:
        """Note that a call of this thread ended in an exception, which may be that of a signal handler."""
        channel = self.channel
        if channel is not None and not isinstance(error, SpannerSessionsError) and is_interruptible():
            for single in _channels_of(channel):
                unlock(single)

    def _prepare(self, rpc: Rpc) -> Callable[..., Any]:
        with self._changing:
            channel = self.open()
            make = channel.unary_stream if rpc.streams else channel.unary_unary
            call: Callable[..., Any] = make(
                rpc.path, rpc.request_class.SerializeToString, rpc.response_class.FromString
            )
            self._calls[rpc] = call
        return call

    def rpc_error(self, error: BaseException) -> grpc.RpcError:
        """Return the error of a call as gRPC's; raise `ClientClosed` if the end of the connection caused it."""
        if self.closing.is_set() or not isinstance(error, grpc.RpcError):
            raise ClientClosed.during_call() from error
        return error

    def closes_within(self, seconds: float, interrupt: threading.Event | None = None) -> bool:
        """Wait so long, or until `interrupt` is set, and return whether the connection was closed before."""
        if interrupt is None:
            return self.closing.wait(seconds)
        self._waiting.add(interrupt)
        try:
            if not self.closing.is_set():
                interrupt.wait(seconds)
        finally:
            self._waiting.discard(interrupt)
        return self.closing.is_set()

    def after_fork(self) -> None:
        """Give a forked child a channel of its own, created when it is needed."""
        closed = self.closing.is_set()
        self._changing, self.closing = threading.RLock(), threading.Event()
        if closed:
            self.closing.set()
        retain_after_fork((self.channel, self._held, dict(self._calls)))
        end_of_use(self)
        self.channel = self._held = None
        self._holding = False
        self._calls.clear()

    def _make_channel(self) -> Any:
        if self._options.channels == 1:
            return open_channel(self._target, self._options)
        from spanner_grpc_sessions.transport.channel_pool import ChannelPool  # noqa: PLC0415 - most clients have one

        return ChannelPool([open_channel(self._target, self._options) for _ in range(self._options.channels)])


def _channels_of(channel: Any) -> tuple[grpc.Channel, ...]:
    channels: tuple[grpc.Channel, ...] = getattr(channel, "channels", (channel,))
    return channels
