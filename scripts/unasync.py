"""Writes the sync twin of each asyncio module in the list below.

    python scripts/unasync.py          write the twins
    python scripts/unasync.py --check  fail if a twin is not what it would write

A twin differs from its source by the substitutions below alone. What differs by more is written by hand in both forms.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "spanner_grpc_sessions"
FILES: Final = {
    "calls/call_async.py": "calls/call.py",
    "client_async.py": "client.py",
    "google_cloud/pool_async.py": "google_cloud/pool.py",
    "pool/pool_async.py": "pool/pool.py",
}
BANNER: Final = "# Generated from {} by scripts/unasync.py. Do not edit: edit that file and run `make sync`.\n"
RULES: Final = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # The sentences of docstrings.
        (r"The client for asyncio: session RPCs as coroutines", "The client: session RPCs as calls"),
        (r" in asyncio, from", ", from"),
        (r"The session pool for asyncio:", "The session pool:"),
        (r"For the tasks of one event loop\.", "Safe to share between threads."),
        (r"Safe to share between tasks of one loop\.", "Safe to share between threads."),
        (r"or what it returned cannot be awaited\.", "or is a coroutine function or a generator function."),
        # What waits.
        (r'checks\.awaitable\("[^"]*", (.*)\)', r"\1"),
        (r"async def ", "def "),
        (r"\bawait ", ""),
        (r"__a(enter|exit|iter|next)__", r"__\1__"),
        (r"\bwait_async\b", "wait"),
        (r"for session in sessions:\n +yield session", "yield from sessions"),
        (r" +(if get_running_loop\(\).*\n +(notice_fork\(\)\n +)?)?self\._runner\.require_loop\(\)\n", ""),
        (r"from asyncio import get_running_loop\n", ""),
        (r"import Awaitable, Callable", "import Callable"),
        (r"Awaitable\[_Result\]", "_Result"),
        # Only grpc.aio needs the class; a tuple is a tuple.
        (r"AsyncMetadata\((\(.*\))\)", r"\1"),
        (r"import REQUEST_ID, AsyncMetadata, ", "import REQUEST_ID, "),
        # Names.
        (r"\bspanner_v1\._async\.", "spanner_v1."),
        (
            r"from spanner_grpc_sessions\.google_cloud\.bases_async import AbstractSessionPool, Session\n",
            (
                "from google.cloud.spanner_v1.pool import AbstractSessionPool\n"
                "from google.cloud.spanner_v1.session import Session\n"
            ),
        ),
        (r"\bAsyncIterator\b", "Iterator"),
        (r"\bAsync(?=[A-Z])", ""),
        (r"\bSpannerAsyncStub\b", "SpannerStub"),
        (r" +import grpc\.aio\n", ""),
        (r"\bgrpc\.aio\.Channel\b", "grpc.Channel"),
        # gRPC's sync interceptors have no class in common.
        (r"\bgrpc\.aio\.ClientInterceptor\b", "Any"),
        (r"(?<=[a-z])_async\b", ""),
    )
]  # fmt: skip


def main() -> int:
    """Write or check the twins; return the exit status."""
    unused = set(RULES)
    stale = []
    for source, target in FILES.items():
        text = _formatted(_twin(source, unused))
        path = PACKAGE / target
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(target)
    for pattern, _ in unused:
        print(f"no source matches the rule {pattern.pattern!r}", file=sys.stderr)
    for target in stale:
        print(f"{target} is not what its source gives: run `make sync`", file=sys.stderr)
    return 1 if unused or stale else 0


def _twin(source: str, unused: set[tuple[re.Pattern[str], str]]) -> str:
    text = (PACKAGE / source).read_text()
    for rule in RULES:
        text, count = rule[0].subn(rule[1], text)
        if count:
            unused.discard(rule)
    return BANNER.format(source) + text


def _formatted(text: str) -> str:
    # Shorter lines may be joined, and imports come in another order.
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", "spanner_grpc_sessions/twin.py", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return text


if __name__ == "__main__":
    sys.exit(main())
