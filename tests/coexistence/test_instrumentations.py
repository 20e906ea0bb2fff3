"""Instrumentations that change gRPC for the whole process, or sit on our channel, see every call once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).with_name("instrumented.py")
_PACKAGES = {"otel": "opentelemetry.instrumentation", "sentry": "sentry_sdk"}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("colour", ["sync", "asyncio"])
@pytest.mark.parametrize("instrumentation", ["otel", "otel-channel", "sentry"])
def test_every_call_is_seen_once(instrumentation: str, colour: str, channels: int) -> None:
    """The client's own calls and those of stubs, streams and failures among them; all of them work as without it."""
    package = _PACKAGES[instrumentation.partition("-")[0]]
    if find_spec(package.partition(".")[0]) is None or find_spec(package) is None:
        pytest.skip(f"{package} is not installed beside the lowest versions")
    process = subprocess.run(
        [sys.executable, _PROGRAM, instrumentation, colour, str(channels)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    report = json.loads(process.stdout)
    seen = Counter(name for name, _ in report["spans"])
    arrived = Counter(report["calls"])
    if instrumentation == "otel-channel":
        # A call, a stream and two failures of stubs; a future too where there are futures.
        assert seen == {"ExecuteSql": 2 if colour == "sync" else 1, "ExecuteStreamingSql": 2, "GetSession": 1}
    else:
        assert seen == arrived
    if instrumentation != "sentry":
        # Sentry tells no failure of a call.
        failed = Counter(name for name, failed in report["spans"] if failed)
        assert failed == {"GetSession": seen["GetSession"], "ExecuteStreamingSql": 1}
