"""All faults: a module for each noun, a row for each fault."""

from __future__ import annotations

from typing import Final

from tests.chaos.fault import Fault
from tests.chaos.faults.answers import ANSWERS
from tests.chaos.faults.network import NETWORK
from tests.chaos.faults.server import SERVER
from tests.chaos.faults.tokens import TOKENS

__all__ = ["FAULTS"]

FAULTS: Final[dict[str, Fault]] = {fault.name: fault for fault in (*NETWORK, *SERVER, *ANSWERS, *TOKENS)}
