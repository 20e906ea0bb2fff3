"""The steps, as rows, and how they are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from spanner_grpc_sessions.auth.failures import remove_secrets
from spanner_grpc_sessions.cli.doctor import identity, network, service
from spanner_grpc_sessions.cli.doctor.case import Case
from spanner_grpc_sessions.cli.doctor.finding import Finding, Row, Trouble


class Step(NamedTuple):
    """One step.

    Attributes:
        name: what it is about.
        check: looks at it; raises `Trouble` if something is wrong.
        needs: the steps without which it cannot be taken.
    """

    name: str
    check: Callable[[Case], Finding]
    needs: tuple[str, ...] = ()


STEPS: Final = (
    Step("environment", network.environment),
    Step("DNS", network.dns, ("environment",)),
    Step("TCP", network.tcp, ("DNS",)),
    Step("TLS", network.tls, ("TCP",)),
    Step("HTTP/2", network.http2, ("TLS",)),
    Step("credentials", identity.credentials, ("environment",)),
    Step("token", identity.token, ("credentials",)),
    Step("first RPC", service.first_call, ("HTTP/2", "token")),
    Step("latency", service.latency, ("first RPC",)),
    Step("multiplexed", service.multiplexed, ("first RPC",)),
    *(Step(f"permission:{one.name}", one.check, ("first RPC",)) for one in service.PERMISSIONS),
)


def take(case: Case) -> Iterator[Row]:
    """Take the steps in order, those left out whose needs failed."""
    failed: dict[str, str] = {}
    with case.stack:
        for step in STEPS:
            root = next((failed[need] for need in step.needs if need in failed), None)
            if root is not None:
                failed[step.name] = root
                yield Row(step.name, 0.0, Finding(f"not tried, because {root} failed", "skipped"), root)
                continue
            begin = time.perf_counter()
            with case.output.waiting(step.name):
                finding = _checked(step, case)
            if finding.status == "failed":
                failed[step.name] = step.name
            yield Row(step.name, time.perf_counter() - begin, finding)


def _checked(step: Step, case: Case) -> Finding:
    try:
        return step.check(case)
    except Trouble as trouble:
        return trouble.finding
    except Exception as error:  # noqa: BLE001 - a report has a row for what was not foreseen too
        remove_secrets(error)
        return Finding(f"{type(error).__name__}: {error}", "failed", "unexpected")
