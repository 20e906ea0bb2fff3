"""Forks under load: a child works with what it inherits, or an error of the library says why not, at once."""

from __future__ import annotations

import functools
import os
import select
import signal
from typing import TYPE_CHECKING, Any, Final

from spanner_grpc_sessions import PoolOptions, SessionPool, SessionsClient, SpannerSessionsError
from tests.chaos.fault import Fault
from tests.chaos.side import DATABASE

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

__all__ = ["FORKS"]

_fault = functools.partial(Fault, noun="forks", every=0.3)
# Seconds: of a child's own calls, and after which it counts as hung.
_TIMEOUT: Final = 5.0
_HUNG: Final = 20


def _use(rig: Rig) -> None:
    """Use all that the load uses, and a client that is new."""
    site = rig.sites[0]
    uses: list[Any] = [
        lambda: site.client.create_session(DATABASE, timeout=_TIMEOUT),
        lambda: site.pool.release(site.pool.acquire(timeout=_TIMEOUT)),
        lambda: site.client.ping_session(site.multiplexed.name, timeout=_TIMEOUT),
    ]
    rig.draw.choice(uses)()


def _phase(rig: Rig) -> Any:
    """Have a client of its own in a drawn phase; return what a child does with it, and what ends it here."""
    client = SessionsClient(rig.credentials(), options=rig.options())
    pool = SessionPool(client, DATABASE, options=PoolOptions(min_size=2, max_size=4, keep_alive_after=0.05))
    phases: list[Any] = [
        lambda: None,
        client.open,
        lambda: client.warm_up(timeout=_TIMEOUT),
        lambda: client.create_session(DATABASE, timeout=_TIMEOUT),
        lambda: pool.open(timeout=_TIMEOUT),
        client.close,
    ]
    rig.draw.choice(phases)()
    use = rig.draw.choice([lambda: client.create_session(DATABASE, timeout=_TIMEOUT), lambda: pool.acquire(_TIMEOUT)])

    def end() -> None:
        pool.close(timeout=1.0)
        client.close()

    return use, end


def _fork_under_load(rig: Rig) -> None:
    _fork(rig, functools.partial(_use, rig))


def _fork_in_a_phase(rig: Rig) -> None:
    use, end = _phase(rig)
    try:
        _fork(rig, use)
    finally:
        end()


def _fork(rig: Rig, use: Any) -> None:
    """Fork a child that uses something, and note how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _in_child(use, writing)
    os.close(writing)
    try:
        ended, _, _ = select.select([reading], [], [], 2 * _HUNG)
        if not ended:
            os.kill(child, signal.SIGKILL)
        outcome = os.read(reading, 1000).decode(errors="replace")
    finally:
        os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if outcome not in {"works", "ours"}:
        rig.books.offend("wrong", f"a forked child: {outcome or f'exit code {code}'}")


def _in_child(use: Any, writing: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_HUNG)
    try:
        use()
        outcome = "works"
    except SpannerSessionsError:
        outcome = "ours"
    except BaseException as error:  # noqa: BLE001 - told to the parent
        outcome = f"foreign: {error!r}"
    os.write(writing, outcome.encode()[:1000])
    os._exit(0)


FORKS: Final = (
    _fault(
        name="fork",
        breaks="forks under load of threads and tasks; a child uses what it inherits",
        strike=_fork_under_load,
    ),
    _fault(
        name="fork of threads",
        short=True,
        breaks="forks under load of threads alone; a child uses what it inherits",
        strike=_fork_under_load,
        forms=("sync",),
    ),
    _fault(
        name="fork in a phase",
        breaks="forks in every phase of a client: new, open, warm, called, with a pool, closed",
        strike=_fork_in_a_phase,
        forms=("sync",),
    ),
)
