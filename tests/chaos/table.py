"""The table at the end: on the terminal, as JSON, and as one page that needs nothing beside it."""

from __future__ import annotations

import html
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.chaos.page import page

__all__ = ["Row", "command", "failures", "text", "write"]

Row = Mapping[str, Any]


def _recovery(row: Row) -> str:
    if row.get("recovery") is None:
        return "never" if row.get("ended") else "-"
    return f"{row['recovery']:.2f} s"


def _left(row: Row) -> str:
    return " + ".join(str(len(names)) for names in row.get("left", {}).values()) or "-"


# What a column is called, and how it is filled.
_COLUMNS: Final[dict[str, Callable[[Row], str]]] = {
    "fault": lambda row: row["fault"],
    "what breaks": lambda row: row["breaks"],
    "times": lambda row: f"{row.get('times', 0):,}",
    "calls": lambda row: f"{row.get('calls', 0):,}",
    "errors": lambda row: f"{sum(row.get('errors', {}).values()):,}",
    "wrong": lambda row: str(row.get("wrong", 0) + row.get("foreign", 0)),
    "slots lost": lambda row: str(row.get("slots", "-")),
    "late": lambda row: str(row.get("late", "-")),
    "left": _left,
    "recovery": _recovery,
    "bound": lambda row: f"{row['bound']:g} s",
}
_WORDS: Final = frozenset({"fault", "what breaks"})


def failures(row: Row) -> list[str]:
    """Return what is not as it must be."""
    if "skipped" in row:
        return []
    if "ended" not in row:
        return [row.get("broke", "it did not end")]
    wrong = [f"{row[what]} {words}" for what, words in _OFFENCES.items() if row[what]]
    wrong += [f"{what} left: {', '.join(names)}" for what, names in row["left"].items() if names]
    if not row["recovered"]:
        wrong.append(f"recovery: {_recovery(row)}, bound {row['bound']:g} s")
    return wrong


_OFFENCES: Final = {
    "wrong": "wrong answers",
    "foreign": "exceptions that are not ours",
    "slots": "slots lost",
    "late": "callers past their deadline",
}


def command(row: Row) -> str:
    """Return the command that repeats a round."""
    return f"make chaos FAULT='{row['fault']}' SEED={row['seed']}"


def text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal, and after it what has failed with the command that repeats it."""
    cells = [list(_COLUMNS), *([fill(row) for fill in _COLUMNS.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(_padded(name, cell, width) for name, cell, width in zip(_COLUMNS, line, widths, strict=True))
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for row in rows:
        if "skipped" in row:
            lines.append(f"\nskipped {row['fault']}: {row['skipped']}")
        if wrong := failures(row):
            lines += [f"\nFAILED {row['fault']}: {'; '.join(wrong)}", f"  again: {command(row)}"]
            lines += [f"  {what}: {each}" for what, texts in row.get("examples", {}).items() for each in texts]
            lines += [f"  {each}" for each in row.get("after", ())]
    return "\n".join(lines) + "\n"


def _padded(name: str, cell: str, width: int) -> str:
    return cell.ljust(width) if name in _WORDS else cell.rjust(width)


def write(folder: Path, rows: Sequence[Row]) -> Path:
    """Write chaos.json and chaos.html into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in ("spanner-grpc-sessions", "grpcio", "protobuf", "google-auth")},
    }
    (folder / "chaos.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1))
    written = folder / "chaos.html"
    written.write_text(page("Broken on purpose", _body(about, rows)), encoding="utf-8")
    return written


def _body(about: Mapping[str, str], rows: Sequence[Row]) -> str:
    failed = sum(bool(failures(row)) for row in rows)
    skipped = sum("skipped" in row for row in rows)
    calls = sum(row.get("calls", 0) for row in rows)
    head = "".join(f"<th class={_kind(name)}>{html.escape(name)}</th>" for name in _COLUMNS)
    lines = "".join(_line(row) for row in rows)
    facts = " · ".join(f"{html.escape(name)} {html.escape(value)}" for name, value in about.items())
    return f"""
<h1>Broken on purpose</h1>
<p>{len(rows)} faults under the load of 16 threads and 64 tasks, {calls:,} calls.
{failed} failed, {skipped} skipped.</p>
<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>
<p class="note">Errors are those of the library that callers got: a fault may cause them. Wrong: an answer to another
request, a session leased twice, an exception that is not the library's. Late: callers that waited for longer than 1.2
times their timeout, less what a plain timer of the same process was late by. Left: threads + descriptors after the
end. Recovery: from the end of the fault until every kind of call succeeds. It runs on loopback.</p>
<p class="note">{facts}</p>"""


def _kind(name: str) -> str:
    return "word" if name in _WORDS else "number"


def _line(row: Row) -> str:
    cells = [f"<td class={_kind(name)}>{html.escape(fill(row))}</td>" for name, fill in _COLUMNS.items()]
    if "skipped" in row:
        state, note = "skipped", f"skipped: {row['skipped']}"
    else:
        state, note = ("failed", "; ".join(failures(row))) if failures(row) else ("passed", "")
    more = f"<tr class=note><td colspan={len(_COLUMNS)}>{html.escape(note)}</td></tr>" if note else ""
    return f"<tr class={state}>{''.join(cells)}</tr>{more}"
