"""A page that needs nothing beside it, light and dark."""

from __future__ import annotations

import html
from typing import Final

__all__ = ["page"]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --quiet: #666b73; --line: #d9dce1; --ground: #fff; --bad: #b3261e;
  --good: #1a7f37; --mark: #2f6fde; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6ea; --quiet: #9aa0a8; --line: #3a3f46; --ground: #16181b; --bad: #ff8a80; --good: #6fce8a;
    --mark: #7aa7ff; } }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: var(--ink); background: var(--ground);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td:first-child { white-space: nowrap; font-weight: 600; }
tr.passed td:first-child::before { content: "\\2713\\a0"; color: var(--good); }
tr.failed td:first-child::before { content: "\\2717\\a0"; color: var(--bad); }
tr.failed td:first-child { color: var(--bad); }
tr.skipped { color: var(--quiet); }
tr.note td { border-top: 0; color: var(--quiet); font-weight: 400; white-space: normal; padding-top: 0; }
.note { color: var(--quiet); font-size: .87rem; max-width: 60rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--quiet); font: 11px system-ui, sans-serif; }
svg .line { fill: none; stroke: var(--mark); stroke-width: 1.5; } svg .axis { stroke: var(--line); }
"""


def page(title: str, body: str) -> str:
    """Return a whole page of HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )
