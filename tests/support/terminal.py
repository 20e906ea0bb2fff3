"""Terminals in the place of the standard streams."""

from __future__ import annotations

import io
import re

import pytest

__all__ = ["Terminal"]

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal(io.StringIO):
    """A terminal of 80 columns that takes colours; what is printed stays."""

    def isatty(self) -> bool:
        """Return True."""
        return True

    @property
    def plain(self) -> str:
        """What was printed, without colours and movements."""
        return _CONTROL.sub("", self.getvalue())

    @classmethod
    def of(cls, patch: pytest.MonkeyPatch, *streams: str) -> list[Terminal]:
        """Put one in the place of each of `stdin`, `stdout` and `stderr` that is named."""
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLUMNS", "80")
        patch.delenv("NO_COLOR", raising=False)
        terminals = []
        for stream in streams:
            terminals.append(cls())
            patch.setattr(f"sys.{stream}", terminals[-1])
        return terminals
