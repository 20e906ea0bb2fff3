"""The far side: server, token endpoint and network, in a process of their own, so that they share nothing with callers.

    with Far(age=0.5) as far:
        far("spanner.faults.add", "GetSession", status="UNAVAILABLE")

A call names a function of `Side` by its path; its result comes back by a pipe.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Far"]

_END_TIMEOUT: Final = 20.0


class Far:
    """The process, and how to call it. A context manager; safe to share between threads.

    Args:
        settings: of its `Side`.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.far"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._send(self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        with self._process as process:
            process.stdin.close()  # type: ignore[union-attr]  # it has a pipe
            try:
                process.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()

    def __call__(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the far side by its path, or read a value."""
        with self._lock:
            self._send((path, args, kwargs))
            assert self._process is not None
            failed, answer = pickle.load(self._process.stdout)  # type: ignore[arg-type]  # noqa: S301 - from our own process
        if failed:
            raise RuntimeError(f"the far side failed at {path}: {answer}")
        return answer

    def _send(self, what: Any) -> None:
        assert self._process is not None
        pipe = self._process.stdin
        assert pipe is not None
        pickle.dump(what, pipe)
        pipe.flush()


def _serve(asked: BinaryIO, answered: BinaryIO) -> None:
    from tests.chaos.side import Side  # the caller of the process needs none of it

    with Side(**pickle.load(asked)) as side:  # noqa: S301 - from the process that started this one
        while True:
            try:
                path, args, kwargs = pickle.load(asked)  # noqa: S301
            except EOFError:
                return
            try:
                found: Any = side
                for name in path.split("."):
                    found = getattr(found, name)
                answer = (False, found(*args, **kwargs) if callable(found) else found)
            except Exception as error:  # noqa: BLE001 - for the caller
                answer = (True, repr(error))
            pickle.dump(answer, answered)
            answered.flush()


def main() -> None:
    """Serve until the pipe ends. What prints goes to stderr, for stdout is the pipe."""
    pipe, sys.stdout = sys.stdout.buffer, sys.stderr
    _serve(sys.stdin.buffer, pipe)


if __name__ == "__main__":
    main()
