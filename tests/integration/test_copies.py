"""Clients, pools, sessions and leases are shared or created again, and never copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from spanner_grpc_sessions import InvalidType
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.colours import Blocking, Colour
from tests.support.pools import multiplexed_of, pool_of

_DATABASE = "projects/p/instances/i/databases/d"


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_is_refused_in_words_and_closes_nothing(
    local: LocalSpanner, colour: Colour, make_copy: Callable[[Any], Any]
) -> None:
    """The error says what to do instead; what could not be copied goes on."""
    with colour.client(local.credentials(), options=local.client_options()) as client:
        pool, session = pool_of(client, _DATABASE), multiplexed_of(client, _DATABASE)
        lease = pool.acquire()
        for thing in (client, pool, session, lease):
            original = thing._target if isinstance(thing, Blocking) else thing
            with pytest.raises(InvalidType, match=f"^{type(original).__name__} cannot be copied or pickled: "):
                make_copy(original)
        assert client.create_session(_DATABASE)["name"]
        pool.release(lease)
        session.close()
        pool.close()
