"""The logger of this library, whose lines never raise: a handler of the user's that fails must not lose a session.

Its arguments may come from a server or a caller, and make no line of their own: they are escaped and cut.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

from spanner_grpc_sessions.errors.checks import one_line

# Characters of a line.
_LONGEST: Final = 3000


class _Log:
    """Logs as `logging.Logger` does; prints what a handler or filter raises, as `logging` does for its own handlers."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.isEnabledFor: Callable[[int], bool] = logger.isEnabledFor

    def debug(self, text: str, *args: object) -> None:
        self._tell(logging.DEBUG, text, args)

    def info(self, text: str, *args: object) -> None:
        self._tell(logging.INFO, text, args)

    def warning(self, text: str, *args: object) -> None:
        self._tell(logging.WARNING, text, args)

    def exception(self, text: str, *args: object) -> None:
        self._tell(logging.ERROR, text, args, exc_info=True)

    def _tell(self, level: int, text: str, args: tuple[object, ...], **options: Any) -> None:
        try:
            if args and self.isEnabledFor(level):
                line = text % args
                if not line.isprintable() or len(line) > _LONGEST:
                    text, args = "%s", (one_line(line, _LONGEST),)
            # The line is that of the caller of `info` and its like.
            self._logger.log(level, text, *args, stacklevel=3, **options)
        except Exception:  # noqa: BLE001 - the user's code
            if logging.raiseExceptions and sys.stderr is not None:
                traceback.print_exc()


log: Final = _Log(logging.getLogger("spanner_grpc_sessions"))
