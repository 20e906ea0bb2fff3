"""The rules for sessions, without any gRPC."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from google.rpc import error_details_pb2
from spanner_grpc_sessions_pb import spanner_pb2

from spanner_grpc_sessions.errors import InvalidName, InvalidValue
from spanner_grpc_sessions.local.status import RpcStatus
from spanner_grpc_sessions.local.store import SessionStore
from spanner_grpc_sessions.service.limits import IDLE_LIMIT, LIFETIME_LIMIT

DATABASE = "projects/p/instances/i/databases/d"
OTHER = "projects/p/instances/i/databases/other"
NOW = 1_800_000_000.0


def make_store(*databases: str) -> SessionStore:
    """Return a store whose session ids count up."""
    ids = itertools.count()
    return SessionStore(lambda: f"s{next(ids):04}", databases or None)


def create(
    store: SessionStore,
    database: str = DATABASE,
    *,
    labels: Mapping[str, str] | None = None,
    multiplexed: bool = False,
    now: float = NOW,
) -> spanner_pb2.Session:
    """Create a session."""
    request = spanner_pb2.CreateSessionRequest(database=database, session=template(labels, multiplexed))
    return store.create(request, now)


def batch(
    store: SessionStore, count: int, labels: Mapping[str, str] | None = None, multiplexed: bool = False
) -> list[spanner_pb2.Session]:
    """Create several sessions at once."""
    request = spanner_pb2.BatchCreateSessionsRequest(database=DATABASE, session_count=count)
    request.session_template.CopyFrom(template(labels, multiplexed))
    return list(store.batch_create(request, NOW).session)


def template(labels: Mapping[str, str] | None, multiplexed: bool) -> spanner_pb2.Session:
    """Return the session of a request."""
    return spanner_pb2.Session(labels=labels, creator_role="reader", multiplexed=multiplexed)


def page(
    store: SessionStore, size: int = 0, token: str = "", text: str = "", now: float = NOW
) -> spanner_pb2.ListSessionsResponse:
    """Return a page of the list."""
    request = spanner_pb2.ListSessionsRequest(database=DATABASE, page_size=size, page_token=token, filter=text)
    return store.page(request, now)


def delete(store: SessionStore, name: str) -> None:
    """Delete a session."""
    store.delete(spanner_pb2.DeleteSessionRequest(name=name), NOW)


def test_a_new_session_keeps_what_was_asked_and_is_named_by_the_server() -> None:
    """A session has its labels, its role, the name of its database, and both times at its creation."""
    session = create(make_store(), labels={"env": "dev"})
    at = {"seconds": int(NOW)}
    assert session == spanner_pb2.Session(
        name=f"{DATABASE}/sessions/s0000",
        labels={"env": "dev"},
        creator_role="reader",
        create_time=at,
        approximate_last_use_time=at,
    )


@pytest.mark.parametrize("key", ["a", "a1", "a-b", "a" * 63])
@pytest.mark.parametrize("value", ["", "a", "a1", "a-b", "a" * 63])
def test_labels_of_the_documented_form_are_taken(key: str, value: str) -> None:
    """Keys of 1 to 63 and values of 0 to 63 characters are fine."""
    assert create(make_store(), labels={key: value}).labels == {key: value}


@pytest.mark.parametrize("text", ["A", "1a", "-a", "a-", "a_b", "é", "a" * 64, "a\n", " a"])
def test_other_labels_are_refused(text: str) -> None:
    """A text outside the form is refused as a key and as a value, also in a batch."""
    for labels in ({text: "a"}, {"a": text}):
        with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Invalid label"):
            create(make_store(), labels=labels)
        with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Invalid label"):
            batch(make_store(), 1, labels)


def test_a_label_key_is_not_empty() -> None:
    """An empty value is legal, an empty key is not."""
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Invalid label key"):
        create(make_store(), labels={"": "a"})


def test_sixty_four_labels_are_the_most() -> None:
    """The 65th label is one too many."""
    labels = {f"k{index}": "v" for index in range(64)}
    create(make_store(), labels=labels)
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Too many labels: 65"):
        create(make_store(), labels={**labels, "more": "v"})


@pytest.mark.parametrize(("asked", "made"), [(0, 0), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)])
def test_a_batch_is_capped_at_one_hundred(asked: int, made: int) -> None:
    """A batch gives at most 100 sessions, without complaint, and each has labels and role."""
    sessions = batch(make_store(), asked, {"env": "dev"})
    assert len({session.name for session in sessions}) == made
    assert all(session.labels == {"env": "dev"} and session.creator_role == "reader" for session in sessions)


def test_a_negative_batch_is_refused() -> None:
    """No less than nothing can be made."""
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Invalid number of sessions -1"):
        batch(make_store(), -1)


def test_a_multiplexed_session_takes_no_labels_no_batch_and_no_delete() -> None:
    """The three things that Spanner refuses for multiplexed sessions, and the session lives on."""
    store = make_store()
    session = create(store, multiplexed=True)
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Multiplexed sessions do not support labels"):
        create(store, labels={"env": "dev"}, multiplexed=True)
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Multiplexed sessions cannot be created in a batch"):
        batch(store, 1, multiplexed=True)
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Multiplexed sessions may not be deleted"):
        delete(store, session.name)
    assert store.alive(NOW) == [session]


def test_an_idle_session_is_dropped_after_more_than_an_hour() -> None:
    """An hour to the second is still fine; use starts the hour again; a multiplexed session is never idle."""
    store = make_store()
    session, multiplexed = create(store), create(store, multiplexed=True)
    used = store.use(session.name, NOW + IDLE_LIMIT)
    session.approximate_last_use_time.seconds += int(IDLE_LIMIT)
    assert used == session
    late = NOW + 2 * IDLE_LIMIT + 0.001
    with pytest.raises(RpcStatus, match="NOT_FOUND: Session not found"):
        store.use(session.name, late)
    assert store.use(multiplexed.name, late).create_time.seconds == NOW


@pytest.mark.parametrize("multiplexed", [False, True])
def test_every_session_is_dropped_after_more_than_28_days(multiplexed: bool) -> None:
    """Use does not keep a session beyond its age."""
    store = make_store()
    name = create(store, multiplexed=multiplexed).name
    for hours in range(int(LIFETIME_LIMIT / IDLE_LIMIT) + 1):
        store.use(name, NOW + hours * IDLE_LIMIT)
    with pytest.raises(RpcStatus, match="NOT_FOUND"):
        store.use(name, NOW + LIFETIME_LIMIT + 0.001)
    assert store.alive(NOW) == []


def test_a_missing_session_is_named_in_resource_info() -> None:
    """NOT_FOUND carries type and name of what is missing, for get and for delete."""
    name = f"{DATABASE}/sessions/gone"
    for call in (lambda: make_store().use(name, NOW), lambda: delete(make_store(), name)):
        with pytest.raises(RpcStatus) as raised:
            call()
        assert raised.value.message == f"Session not found: {name}"
        assert raised.value.details == (
            error_details_pb2.ResourceInfo(
                resource_type="type.googleapis.com/google.spanner.v1.Session",
                resource_name=name,
                description="Session does not exist.",
            ),
        )


def test_a_session_can_be_deleted_once() -> None:
    """The second delete finds nothing."""
    store = make_store()
    name = create(store).name
    delete(store, name)
    with pytest.raises(RpcStatus, match="NOT_FOUND: Session not found"):
        delete(store, name)


def test_only_the_given_databases_exist() -> None:
    """With a list of databases every other one is missing, and said to be a database."""
    store = make_store(DATABASE)
    create(store)
    with pytest.raises(RpcStatus, match=f"NOT_FOUND: Database not found: {OTHER}") as raised:
        create(store, OTHER)
    info = raised.value.details[0]
    assert isinstance(info, error_details_pb2.ResourceInfo)
    assert info.resource_type == "type.googleapis.com/google.spanner.admin.database.v1.Database"
    with pytest.raises(InvalidName):
        make_store("nope")


def test_a_dropped_database_is_missing_and_its_sessions_with_it() -> None:
    """Calls about the sessions of a dropped database say that the database is missing; others are untouched."""
    store = make_store()
    session, other = create(store), create(store, OTHER)
    store.drop_database(DATABASE)
    for call in (lambda: store.use(session.name, NOW), lambda: create(store), lambda: page(store)):
        with pytest.raises(RpcStatus, match="NOT_FOUND: Database not found"):
            call()
    assert store.alive(NOW) == [other]


@pytest.mark.parametrize("name", ["", "nope", "projects/p/instances/i/databases/", DATABASE + "/sessions/"])
def test_malformed_names_are_refused(name: str) -> None:
    """A name of another form is INVALID_ARGUMENT everywhere, not NOT_FOUND."""
    store = make_store()
    for call in (lambda: store.use(name, NOW), lambda: delete(store, name), lambda: create(store, name)):
        with pytest.raises(RpcStatus, match="INVALID_ARGUMENT"):
            call()


def test_a_list_comes_in_pages_in_order_of_names() -> None:
    """The pages together are all sessions, each once, without the multiplexed one and those of other databases."""
    store = make_store()
    names = [session.name for session in batch(store, 7)]
    create(store, multiplexed=True)
    create(store, OTHER)
    first = page(store, 3)
    second = page(store, 3, first.next_page_token)
    third = page(store, 3, second.next_page_token)
    listed = [session.name for part in (first, second, third) for session in part.sessions]
    assert listed == sorted(names)
    assert [len(part.sessions) for part in (first, second, third)] == [3, 3, 1]
    assert third.next_page_token == ""
    assert page(store, 7).next_page_token == ""


def test_a_page_goes_on_after_a_session_that_was_deleted_meanwhile() -> None:
    """The token remembers a place, not a session."""
    store = make_store()
    names = [session.name for session in batch(store, 4)]
    first = page(store, 2)
    delete(store, names[1])
    assert [session.name for session in page(store, 2, first.next_page_token).sessions] == names[2:]


@pytest.mark.parametrize(("size", "given"), [(0, 1000), (-1, 1000), (1001, 1000), (999, 999)])
def test_a_page_has_at_most_one_thousand_sessions(size: int, given: int) -> None:
    """No size, a negative one and a larger one all mean 1000."""
    store = make_store()
    for _ in range(11):
        batch(store, 100)
    assert len(page(store, size).sessions) == given


@pytest.mark.parametrize("token", ["x", "!!", "é", "AAAA", "cHJvamVjdHM=", f"{DATABASE}/sessions/s0001"])
def test_a_made_up_page_token_is_refused(token: str) -> None:
    """A token that the server has not given is INVALID_ARGUMENT."""
    with pytest.raises(RpcStatus, match="INVALID_ARGUMENT: Invalid page token"):
        page(make_store(), token=token)


def test_a_list_is_filtered_by_labels_and_drops_the_old() -> None:
    """Only the sessions with the label are listed, and none that has been idle too long."""
    store = make_store()
    create(store, labels={"env": "dev"})
    wanted = create(store, labels={"env": "dev"}, now=NOW + 10)
    create(store, labels={"env": "prod"}, now=NOW + 10)
    assert page(store, text="labels.env:dev", now=NOW + IDLE_LIMIT + 5).sessions == [wanted]


def test_forgetting_drops_a_session_and_refuses_what_is_not_there() -> None:
    """A test that forgets a wrong name hears of it."""
    store = make_store()
    name = create(store).name
    store.forget(name)
    assert store.alive(NOW) == []
    with pytest.raises(InvalidValue, match="no session"):
        store.forget(name)
    with pytest.raises(InvalidName):
        store.forget("nope")
