"""What a step finds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What a step finds.

    Attributes:
        text: a sentence or less, for people; if something is wrong, what it is and what to do.
        status: how the step ended.
        cause: a short name of what is wrong, the same in all versions; "" if nothing is.
        data: more, for programs.
    """

    text: str
    status: Status = "ok"
    cause: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A step that was taken.

    Attributes:
        step: its name.
        seconds: how long it took.
        finding: how it ended.
        because: the step whose failure left it out; "" if it was taken.
    """

    step: str
    seconds: float
    finding: Finding
    because: str = ""

    def body(self) -> dict[str, Any]:
        """Return it as JSON."""
        finding = self.finding
        body = {"step": self.step, "status": finding.status, "seconds": round(self.seconds, 6), "text": finding.text}
        if finding.cause:
            body["cause"] = finding.cause
        if self.because:
            body["because"] = self.because
        return {**body, **finding.data}


class Trouble(Exception):
    """Something is wrong: a finding that ends its step."""

    def __init__(self, cause: str, text: str, **data: Any) -> None:
        super().__init__(text)
        self.finding: Finding = Finding(text, "failed", cause, data)
