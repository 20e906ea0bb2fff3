"""The google.api.http rules of RPCs: how REST spells each of them. Read from the descriptors. Pure: no I/O.

The grammar is that of google/api/http.proto. Of it only what Spanner uses is understood: one path with one variable,
and a body that is the whole request or none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

__all__ = ["HttpRule", "rule_of"]

_TEMPLATE: Final = re.compile(r"(?P<before>[^{}]*)\{(?P<variable>\w+)=(?P<pattern>[^{}]+)\}(?P<after>[^{}]*)")


@dataclass(frozen=True, slots=True)
class HttpRule:
    """How REST spells an RPC.

    Attributes:
        http_method: "GET", "POST" and so on.
        before: of the path, what comes before its variable: "/v1/".
        variable: the request field that a part of the path fills.
        pattern: the form of that part, with "*" for one segment: "projects/*/instances/*/databases/*".
        after: what follows the variable: "/sessions:batchCreate".
        whole_body: whether the body is the request, less the variable. Else there is no body, and what the request
            says is said in the query.
    """

    http_method: str
    before: str
    variable: str
    pattern: str
    after: str
    whole_body: bool

    @property
    def path(self) -> re.Pattern[str]:
        """What the paths of the RPC look like; the group `variable` is the part that fills the variable."""
        segments = re.escape(self.pattern).replace(re.escape("*"), "[^/]+")
        return re.compile(f"{re.escape(self.before)}(?P<variable>{segments}){re.escape(self.after)}")

    def path_of(self, value: str) -> str:
        """Return the path for a value of the variable."""
        return f"{self.before}{value}{self.after}"


def rule_of(method: MethodDescriptor) -> HttpRule:
    """Return the rule of an RPC.

    Raises:
        NotImplementedError: the RPC has no rule, or one that uses more of the grammar.
    """
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    http_method = rule.WhichOneof("pattern") or "custom"
    match = _TEMPLATE.fullmatch(getattr(rule, http_method)) if http_method != "custom" else None
    if not match or rule.body not in {"", "*"} or rule.additional_bindings:
        raise NotImplementedError(f"the HTTP rule of {method.full_name} is not understood: {rule}")
    before, variable, pattern, after = match.groups()
    return HttpRule(http_method.upper(), before, variable, pattern, after, whole_body=rule.body == "*")
