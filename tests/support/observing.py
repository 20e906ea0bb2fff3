"""An observer that remembers."""

from __future__ import annotations

from typing import Any

from spanner_grpc_sessions.observers import CallInfo

__all__ = ["Watcher"]


class Watcher:
    """An observer that remembers what it was told, and asks for one header.

    Attributes:
        begun: the calls that have begun.
        ended: those that have ended, each with the mark that it was given.
        mark: what every call is given.
        server_timing: asks what the server's parts took.
    """

    server_timing = False

    def __init__(self) -> None:
        self.begun: list[CallInfo] = []
        self.ended: list[tuple[CallInfo, object]] = []
        self.mark = object()

    def begin(self, call: CallInfo) -> tuple[tuple[tuple[str, str], ...], Any]:
        """Remember the call."""
        self.begun.append(call)
        return (("x-watched", "yes"),), self.mark

    def end(self, call: CallInfo, mark: Any) -> None:
        """Remember the call and its mark."""
        self.ended.append((call, mark))
