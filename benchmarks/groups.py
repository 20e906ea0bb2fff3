"""The headings of the report, and its plots of cost against number or size."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["GROUPS", "OURS", "PLOTS", "Group", "Plot"]


class Group(NamedTuple):
    """The cases of one subject: their heading, and what they have in common."""

    title: str
    text: str


class Plot(NamedTuple):
    """What is drawn over what."""

    title: str
    x: str
    y: str


OURS: Final = "this library"
"""What a way has in its name that the report shows in its own colour."""

GROUPS: Final = {
    "call": Group(
        "One call",
        "What a call costs in this process. The limit is a stub on a bare channel, without token, headers, deadline "
        "and dict.",
    ),
    "concurrency": Group(
        "Many calls at a time", "Each way makes the same number of calls; a call's cost is its share of the time."
    ),
    "start": Group("Start of a process", "What a command line, a function or a worker pays before its first session."),
    "network": Group("Network, tokens, restarts", "What happens seldom, and what its callers see of it."),
    "conversion": Group(
        "Conversion to JSON and back", "to_rest and from_rest beside json_format, on the same messages."
    ),
    "sessions": Group("Many sessions created", "From nothing to a pool that has so many sessions ready."),
    "pool": Group("Pool", "A session is taken and given back at once."),
    "crowd": Group("Pool: more callers than sessions, and upkeep", "What waiting costs, and keeping sessions alive."),
    "google": Group(
        "google-cloud-spanner on this library", "Google's client as it comes, and on our pool and channel."
    ),
    "rest": Group("Beside clients of the REST API", "On Google's emulator, which has a port for each."),
    "node": Group("Beside Node", "The same server, the same call."),
}

PLOTS: Final = {
    "threads": Plot("CreateSession from threads", "threads", "time per call"),
    "tasks": Plot("CreateSession in asyncio", "calls in flight", "time per call"),
    "sessions": Plot("Sessions created", "sessions", "time for all"),
    "pool-threads": Plot("acquire and release from threads", "threads", "time per lease"),
    "pool-tasks": Plot("acquire and release in asyncio", "tasks", "time per lease"),
    "pool-size": Plot("acquire and release by size", "sessions in the pool", "time per lease"),
}
