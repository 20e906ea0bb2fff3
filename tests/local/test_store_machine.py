"""The store against a naive model of it, under any order of calls."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.local.store import SessionStore

DATABASES = st.sampled_from([f"projects/p/instances/i/databases/d{index}" for index in range(3)])
LABELS = st.sampled_from([{}, {"env": "dev"}, {"env": "prod", "team": "a"}])
SECONDS = st.sampled_from([1.0, 1800.0, 3600.0, 3601.0, 86400.0 * 27, 86400.0 * 29])


@dataclass
class Known:
    """What the model remembers of a session."""

    database: str
    labels: dict[str, str]
    multiplexed: bool
    created: float
    used: float


class StoreMachine(RuleBasedStateMachine):
    """Does the same to the store and to a plain dict, and compares."""

    def __init__(self) -> None:
        super().__init__()
        ids = itertools.count()
        self.store = SessionStore(lambda: f"s{next(ids)}")
        self.now = 1_800_000_000.0
        self.known: dict[str, Known] = {}
        self.dropped: set[str] = set()
        self.names = ["projects/p/instances/i/databases/d0/sessions/never"]

    @rule(database=DATABASES, labels=LABELS, multiplexed=st.booleans())
    def create(self, database: str, labels: dict[str, str], multiplexed: bool) -> None:
        """Create a session where that is allowed, and meet the right refusal elsewhere."""
        template = spanner_pb2.Session(labels=labels, multiplexed=multiplexed)
        request = spanner_pb2.CreateSessionRequest(database=database, session=template)
        call = partial(self.store.create, request, self.now)
        if multiplexed and labels:
            with pytest.raises(RpcStatus, match="INVALID_ARGUMENT"):
                call()
        elif database in self.dropped:
            with pytest.raises(RpcStatus, match="NOT_FOUND: Database"):
                call()
        else:
            session = call()
            assert session.name not in self.names
            self.names.append(session.name)
            self.known[session.name] = Known(database, labels, multiplexed, self.now, self.now)

    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        """Use any session that ever was."""
        name = data.draw(st.sampled_from(self.names))
        if name in self.known:
            assert self.store.use(name, self.now).approximate_last_use_time.seconds == self.now
            self.known[name].used = self.now
        else:
            with pytest.raises(RpcStatus, match="NOT_FOUND"):
                self.store.use(name, self.now)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete any session that ever was."""
        name = data.draw(st.sampled_from(self.names))
        known, request = self.known.get(name), spanner_pb2.DeleteSessionRequest(name=name)
        if known and not known.multiplexed:
            self.store.delete(request, self.now)
            del self.known[name]
        else:
            with pytest.raises(RpcStatus, match="INVALID_ARGUMENT" if known else "NOT_FOUND"):
                self.store.delete(request, self.now)

    @rule(seconds=SECONDS)
    def grow_old(self, seconds: float) -> None:
        """Let time pass, and drop what the rules say."""
        self.now += seconds
        for name, known in list(self.known.items()):
            idle = self.now - known.used > 3600 and not known.multiplexed
            if idle or self.now - known.created > 28 * 86400:
                del self.known[name]

    @rule(database=DATABASES)
    def drop(self, database: str) -> None:
        """Drop a database."""
        self.store.drop_database(database)
        self.dropped.add(database)
        self.known = {name: known for name, known in self.known.items() if known.database != database}

    @rule(database=DATABASES, size=st.integers(1, 4), label=st.sampled_from(["", "env"]))
    def list_all(self, database: str, size: int, label: str) -> None:
        """Walk all pages of a list."""
        if database in self.dropped:
            return
        expected = sorted(
            name
            for name, known in self.known.items()
            if known.database == database and not known.multiplexed and (not label or label in known.labels)
        )
        request = spanner_pb2.ListSessionsRequest(database=database, page_size=size)
        request.filter = f"labels.{label}:*" if label else ""
        pages = [self.store.page(request, self.now)]
        while pages[-1].next_page_token:
            request.page_token = pages[-1].next_page_token
            pages.append(self.store.page(request, self.now))
        assert all(len(page.sessions) == size for page in pages[:-1])
        assert [session.name for page in pages for session in page.sessions] == expected

    @rule()
    def compare(self) -> None:
        """The store has exactly the sessions of the model. No invariant: looking drops old sessions."""
        alive = {
            session.name: Known(
                session.name.partition("/sessions/")[0],
                dict(session.labels),
                session.multiplexed,
                session.create_time.seconds,
                session.approximate_last_use_time.seconds,
            )
            for session in self.store.alive(self.now)
        }
        assert alive == self.known


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
