"""Terminals in the place of the standard streams."""

from __future__ import annotations

import io
import re

import pytest

__all__ = ["Terminal"]

_PARTS = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)")
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

    @property
    def screen(self) -> list[str]:
        """The lines that can be seen now, the first one too."""
        lines = [""]
        row = column = 0
        for part in filter(None, _PARTS.split(self.getvalue())):
            if part == "\n":
                row, column = row + 1, 0
                lines += [""] * (row >= len(lines))
            elif part == "\r":
                column = 0
            elif match := re.fullmatch(r"\x1b\[(\d*)([AK])", part):
                row -= int(match[1]) if match[2] == "A" else 0
                lines[row] = lines[row] if match[2] == "A" else ""
            elif not part.startswith("\x1b"):
                lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
                column += len(part)
        return [line for line in lines if line.strip()]

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
