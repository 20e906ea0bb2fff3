"""The conversions that a process has compiled, and how a test forgets them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spanner_grpc_sessions.rest import codegen, decoder, encoder, routes

__all__ = ["forgetting"]


def forgetting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes the next use of each message class and of each REST path its first."""
    before = [(module, module._functions) for module in (encoder, decoder)]

    def forget() -> None:
        for module, functions in before:
            # Names that are generated end in a number.
            given = {name: value for name, value in functions.namespace.items() if not name[-1].isdigit()}
            fresh = codegen.Functions(functions._writer, functions.well_known, given)
            monkeypatch.setattr(module, "_functions", fresh)
        monkeypatch.setattr(encoder, "_encoders", {})
        monkeypatch.setattr(decoder, "_decoders", {})
        for kept in (routes.http_rule, routes._match, routes._patterns):
            kept.cache_clear()

    return forget
