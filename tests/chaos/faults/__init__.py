"""All faults: a module for each noun, a row for each fault."""

from __future__ import annotations

from typing import Final

from tests.chaos.fault import Fault
from tests.chaos.faults.answers import ANSWERS
from tests.chaos.faults.clocks import CLOCKS
from tests.chaos.faults.emulator import EMULATOR
from tests.chaos.faults.forks import FORKS
from tests.chaos.faults.interrupts import INTERRUPTS
from tests.chaos.faults.limits import LIMITS
from tests.chaos.faults.network import NETWORK
from tests.chaos.faults.server import SERVER
from tests.chaos.faults.tokens import TOKENS

__all__ = ["FAULTS"]

_ALL: Final = (*NETWORK, *SERVER, *ANSWERS, *EMULATOR, *TOKENS, *CLOCKS, *FORKS, *INTERRUPTS, *LIMITS)

FAULTS: Final[dict[str, Fault]] = {fault.name: fault for fault in _ALL}
