"""RSA keys of a test run: making or reading one takes 40 ms, so a few of them serve all servers in turn."""

from __future__ import annotations

import functools
import itertools

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

# More than the servers of any one test, so that these have different keys.
_KEYS = 5

_generate, _load = rsa.generate_private_key, serialization.load_pem_private_key


def share_keys(patch: pytest.MonkeyPatch) -> None:
    """Make each RSA key once, and read each PEM text once."""
    turn = itertools.count()
    generate = functools.cache(lambda _, *args, **kwargs: _generate(*args, **kwargs))
    patch.setattr(rsa, "generate_private_key", lambda *args, **kwargs: generate(next(turn) % _KEYS, *args, **kwargs))
    patch.setattr(serialization, "load_pem_private_key", functools.cache(_load))
