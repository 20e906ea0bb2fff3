"""What is measured of pools and multiplexed sessions, in both colours, and what observers are told of them."""

from __future__ import annotations

import dataclasses
import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from spanner_grpc_sessions import PoolTimeout
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.clocks import HandMovedClock
from tests.support.colours import COLOURS, Colour
from tests.support.observing import Watcher
from tests.support.pools import Rig, multiplexed_of, pool_of, rig_of
from tests.support.scripted import Gate, scripted_server
from tests.support.servers import Server
from tests.support.waiting import WAIT, until

try:
    from opentelemetry.sdk.metrics.export import Histogram, Sum
except ImportError:
    pytest.skip("opentelemetry-sdk is not installed", allow_module_level=True)

from spanner_grpc_sessions.telemetry import OpenTelemetry
from tests.support.watching import Watch, attributes

_STATE = "db.client.connection.state"
_POOL = "db.client.connection.pool.name"


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the test sees."""
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def rig(plain: LocalSpanner, colour: Colour, watch: Watch) -> Iterator[Rig]:
    """A client of each colour that is watched."""
    options = plain.client_options(observer=watch.observer)
    with rig_of(colour, AnonymousCredentials(), options, plain) as rig:
        yield rig


@pytest.fixture
def name(rig: Rig, plain: LocalSpanner) -> str:
    """The name of the first pool of the rig's database."""
    return f"{plain.endpoint}/{rig.database}"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate, closed; it lets all go at the end."""
    gate = Gate()
    yield gate
    gate.open.set()


def _drop(things: list[Any]) -> None:
    things.clear()
    gc.collect()


class _Failing(Watcher):
    """An observer whose methods for pools fail."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method

    def _tell(self, method: str) -> None:
        if method == self._method:
            raise LookupError(method)

    def watch_pool(self, pool: Any) -> None:
        self._tell("watch_pool")

    def sessions_created(self, mark: Any, count: int, seconds: float) -> None:
        self._tell("sessions_created")

    def session_acquired(self, mark: Any, seconds: float) -> None:
        self._tell("session_acquired")

    def session_released(self, mark: Any, seconds: float) -> None:
        self._tell("session_released")

    def acquire_timed_out(self, mark: Any) -> None:
        self._tell("acquire_timed_out")


def test_names_and_attributes_are_those_of_the_conventions(rig: Rig, plain: LocalSpanner, watch: Watch) -> None:
    """As are units, kinds and buckets; each point has the attributes of its pool and no others."""
    pool = rig.pool(min_size=2, max_size=2)
    pool.release(pool.acquire())
    leases = [pool.acquire(), pool.acquire()]
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0)
    until(lambda: watch.of_pools("create_time"))
    found = {name: metric for name, metric in watch.metrics.items() if name.startswith("db.")}
    assert {name.removeprefix("db.client.connection."): metric.unit for name, metric in found.items()} == {
        "count": "{connection}",
        "max": "{connection}",
        "idle.min": "{connection}",
        "pending_requests": "{request}",
        "timeouts": "{timeout}",
        "create_time": "s",
        "wait_time": "s",
        "use_time": "s",
    }
    host, _, port = plain.endpoint.partition(":")
    common = {
        _POOL: f"{plain.endpoint}/{rig.database}",
        "db.system.name": "gcp.spanner",
        "db.namespace": rig.database,
        "server.address": host,
        "server.port": int(port),
    }
    for metric in found.values():
        data = metric.data
        for point in data.data_points:
            assert {key: value for key, value in attributes(point).items() if key != _STATE} == common
        if metric.unit == "s":
            assert isinstance(data, Histogram)
            assert {point.explicit_bounds for point in data.data_points} == {
                (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
            }
        else:
            assert isinstance(data, Sum)
            assert data.is_monotonic == (metric.unit == "{timeout}")
    assert len(leases) == 2


def test_both_servers_are_measured(server: Server, colour: Colour, watch: Watch) -> None:
    """A pool and a multiplexed session live side by side on one database."""
    database = server.new_database()
    options = dataclasses.replace(server.options(), observer=watch.observer)
    with colour.client(server.credentials(), options=options) as client:
        session = multiplexed_of(client, database)
        pool = pool_of(client, database, min_size=1, max_size=3)
        session.open()
        pool.open()
        pool.release(pool.acquire())
        stem = f"{client._connection.address}/{database}"
        until(lambda: set(watch.of_pools("create_time")) == {stem, f"{stem}/multiplexed"})
        assert watch.of_pools("max") == {stem: 3, f"{stem}/multiplexed": 1}
        assert watch.of_pools("idle.min") == {stem: 1, f"{stem}/multiplexed": 0}
        assert set(watch.of_pools("use_time")) == {stem}
        pool.close()
        session.close()
        assert watch.of_pools("max") == {}


def test_sessions_are_counted_by_state(rig: Rig, watch: Watch, name: str) -> None:
    """Those that callers hold are used, all others are idle; a session that is deleted is neither."""
    pool = rig.pool(min_size=3, max_size=5)
    assert watch.of_pools("count", _STATE) == {"idle": 0, "used": 0}
    pool.open()
    lease = pool.acquire()
    assert watch.of_pools("count", _STATE) == {"idle": 2, "used": 1}
    pool.release(lease)
    assert watch.of_pools("count", _STATE) == {"idle": 3, "used": 0}
    assert (watch.of_pools("max"), watch.of_pools("idle.min")) == ({name: 5}, {name: 3})


def test_wait_and_use_are_timed(rig: Rig, watch: Watch, name: str) -> None:
    """An idle session costs no wait; who waits for one is counted meanwhile, and then timed."""
    pool = rig.pool(min_size=1, max_size=1)
    pool.open()
    lease = pool.acquire()
    assert watch.of_pools("wait_time") == {name: (1, 0.0)}
    rig.clock.advance(7)
    (waiting,) = rig.wait_in_line(pool)
    assert watch.of_pools("pending_requests") == {name: 1}
    assert watch.of_pools("use_time") == {}
    rig.clock.advance(3)
    pool.release(lease)
    again = waiting.result(WAIT)
    assert watch.of_pools("wait_time") == {name: (2, 3.0)}
    assert watch.of_pools("use_time") == {name: (1, 10.0)}
    rig.clock.advance(5)
    pool.release(again)
    assert watch.of_pools("use_time") == {name: (2, 15.0)}
    assert watch.of_pools("pending_requests") == {name: 0}


def test_a_session_that_needs_a_ping_is_waited_for_once(rig: Rig, watch: Watch, name: str) -> None:
    """The fast path finds it and leaves it: one acquire is one wait."""
    pool = rig.pool(min_size=1, max_size=1, validate_after=10.0)
    pool.open()
    rig.clock._ahead += 20  # no thread is woken: only the acquire acts
    pool.release(pool.acquire())
    assert (watch.of_pools("wait_time")[name][0], watch.of_pools("use_time")[name][0]) == (1, 1)


@pytest.mark.parametrize("leak_after", [None, 60.0], ids=["", "leaks"])
def test_every_way_to_use_a_session_is_timed(rig: Rig, watch: Watch, name: str, leak_after: float | None) -> None:
    """A function, a lease, one that was invalidated, and where leaks are looked for."""
    pool = rig.pool(min_size=1, max_size=2, leak_after=leak_after)
    pool.release(pool.acquire())
    pool.run(rig.function(lambda lease: lease.name))
    lease = pool.acquire()
    rig.on(lease).invalidate()
    pool.release(lease)
    assert (watch.of_pools("wait_time")[name][0], watch.of_pools("use_time")[name][0]) == (3, 3)


def test_timeouts_are_counted(rig: Rig, watch: Watch, name: str) -> None:
    """They got no session, so their wait is no wait time."""
    pool = rig.pool(min_size=1, max_size=1)
    lease = pool.acquire()
    before = watch.of_pools("wait_time")
    for _ in range(2):
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
    assert watch.of_pools("timeouts") == {name: 2}
    assert watch.of_pools("wait_time") == before
    pool.release(lease)


def test_creation_is_timed_for_each_session(colour: Colour, watch: Watch, gate: Gate) -> None:
    """Sessions of one call took as long as the call; a call that fails creates nothing."""
    with scripted_server(BatchCreateSessions=gate.batch_create, DeleteSession=gate.delete) as options:
        with rig_of(colour, AnonymousCredentials(), dataclasses.replace(options, observer=watch.observer)) as rig:
            pool = rig.pool(min_size=3, max_size=3)
            opening = rig.start(pool.open)
            until(lambda: gate.arrived == 1)
            rig.clock.advance(2)
            gate.open.set()
            opening.result(WAIT)
            # They are measured one after the other.
            until(lambda: list(watch.of_pools("create_time").values()) == [(3, 6.0)])


def test_a_failed_creation_is_not_timed(rig: Rig, plain: LocalSpanner, watch: Watch) -> None:
    """It made no session."""
    plain.faults.add("BatchCreateSessions", status="PERMISSION_DENIED")
    pool = rig.pool(min_size=1)
    with pytest.raises(Exception, match="PERMISSION_DENIED"):
        pool.open()
    assert watch.of_pools("create_time") == {}


def test_a_multiplexed_session_is_measured(colour: Colour, watch: Watch, gate: Gate) -> None:
    """It is used once it exists; those who wait for it are counted and timed, and readers of its name are not."""
    clock = HandMovedClock()
    with scripted_server(CreateSession=gate.create) as options:
        with rig_of(colour, AnonymousCredentials(), dataclasses.replace(options, observer=watch.observer)) as rig:
            session = multiplexed_of(rig.client, rig.database, clock=clock)
            name = f"{options.endpoint}/{rig.database}/multiplexed"
            opening = [rig.start(session.open) for _ in range(2)]
            until(lambda: watch.of_pools("pending_requests") == {name: 2} and gate.arrived == 1)
            assert watch.of_pools("count", _STATE) == {"idle": 0, "used": 0}
            clock.advance(4)
            gate.open.set()
            for each in opening:
                each.result(WAIT)
            assert session.name
            assert watch.of_pools("count", _STATE) == {"idle": 0, "used": 1}
            assert watch.of_pools("pending_requests") == {name: 0}
            assert watch.of_pools("wait_time") == {name: (2, 8.0)}
            until(lambda: watch.of_pools("create_time") == {name: (1, 4.0)})
            session.close()
            assert watch.of_pools("count") == {}


def test_pools_of_one_database_have_names_of_their_own(rig: Rig, watch: Watch, name: str) -> None:
    """A name is free again once its pool is closed."""
    first, second = rig.pool(max_size=1), rig.pool(max_size=2)
    second.release(second.acquire())
    assert watch.of_pools("max") == {name: 1, f"{name}#2": 2}
    assert set(watch.of_pools("wait_time")) == {f"{name}#2"}
    first.close()
    third = rig.pool(max_size=3)
    assert watch.of_pools("max") == {name: 3, f"{name}#2": 2}
    assert third.stats().size == 0


def test_observers_with_one_provider_share_its_instruments(plain: LocalSpanner, watch: Watch) -> None:
    """OpenTelemetry ignores the callbacks of an instrument that exists: each client may make an observer."""
    for colour in COLOURS:
        options = plain.client_options(observer=OpenTelemetry(meter_provider=watch.meters))
        with rig_of(colour, AnonymousCredentials(), options, plain) as rig:
            pool = rig.pool(max_size=7)
            assert watch.of_pools("max") == {f"{plain.endpoint}/{rig.database}": 7}
            pool.close()


def test_a_closed_pool_is_measured_no_more(rig: Rig, watch: Watch, name: str) -> None:
    """Neither its sessions nor a lease that comes back later."""
    pool = rig.pool(min_size=2)
    lease = pool.acquire()
    pool.close(timeout=0.05)
    assert [watch.of_pools(each) for each in ("count", "max", "idle.min", "pending_requests")] == [{}] * 4
    pool.release(lease)
    assert watch.of_pools("use_time") == {}


def test_a_dropped_pool_is_measured_no_more(rig: Rig, watch: Watch, name: str) -> None:
    """The meter does not keep it alive."""
    pools = [rig.loose_pool(min_size=1)]
    pools[0].open()
    assert watch.of_pools("count", _STATE) == {"idle": 1, "used": 0}
    with pytest.warns(ResourceWarning, match="unclosed"):
        _drop(pools)
    assert watch.of_pools("count") == {}
    until(lambda: not rig.background())


def test_a_dropped_multiplexed_session_is_measured_no_more(rig: Rig, watch: Watch) -> None:
    """Nor is it kept alive."""
    sessions = [multiplexed_of(rig.client, rig.database)]
    sessions[0].open()
    assert watch.of_pools("count", _STATE) == {"idle": 0, "used": 1}
    with pytest.warns(ResourceWarning, match="unclosed"):
        _drop(sessions)
    assert watch.of_pools("count") == {}


def test_a_forked_child_measures_its_own_pool(rig: Rig, watch: Watch, name: str) -> None:
    """What it has of its parent's is measured no more, and takes no name."""
    pool = rig.pool(min_size=1)
    pool.after_fork()
    assert watch.of_pools("max") == {name: 100}
    pool.open()
    assert watch.of_pools("count", _STATE) == {"idle": 1, "used": 0}
    pool.close()
    pool.after_fork()
    assert watch.of_pools("max") == {}


@pytest.mark.parametrize(
    "method", ["watch_pool", "sessions_created", "session_acquired", "session_released", "acquire_timed_out"]
)
def test_an_observer_that_fails_changes_nothing(
    plain: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """Its exceptions are logged; no session is lost and no caller fails."""
    with rig_of(colour, AnonymousCredentials(), plain.client_options(observer=_Failing(method)), plain) as rig:
        pool = rig.pool(min_size=1, max_size=1)
        lease = pool.acquire()
        (waiting,) = rig.wait_in_line(pool)
        pool.release(lease)
        again = waiting.result(WAIT)
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        pool.release(again)
        pool.release(pool.acquire())
        session = multiplexed_of(rig.client, rig.database)
        session.open()
        session.close()
        assert (pool.stats().size, pool.stats().idle) == (1, 1)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.getMessage() for record in logged} == {"the observer of a pool failed"}
    assert {str(record.exc_info[1]) for record in logged if record.exc_info} == {method}


def test_an_observer_of_calls_alone_is_told_of_calls(
    plain: LocalSpanner, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    """It need not have the methods for pools."""
    watcher = Watcher()
    with rig_of(colour, AnonymousCredentials(), plain.client_options(observer=watcher), plain) as rig:
        pool = rig.pool(min_size=1)
        pool.release(pool.acquire())
        session = multiplexed_of(rig.client, rig.database)
        session.open()
        session.close()
    assert {"BatchCreateSessions", "CreateSession"} <= {call.method for call in watcher.begun}
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("observer", [None, Watcher()], ids=["none", "calls alone"])
def test_a_pool_that_is_not_watched_pays_nothing(plain: LocalSpanner, colour: Colour, observer: Any) -> None:
    """Its fast path is that of the core: the methods of a deque, and nothing between."""
    with rig_of(colour, AnonymousCredentials(), plain.client_options(observer=observer), plain) as rig:
        pool = rig.pool(min_size=1)
        pool = getattr(pool, "_target", pool)
        assert (pool._take, pool._put) == (pool._core.idle.pop, pool._core.idle.append)


def test_threads_and_tasks_share_the_meter(rig: Rig, watch: Watch, name: str) -> None:
    """Each use of many side by side is counted, while the metrics are read."""
    pool = rig.pool(min_size=2, max_size=2)
    callers, uses, done = 8, 50, threading.Event()

    def use() -> None:
        for _ in range(uses):
            pool.release(pool.acquire())

    def read() -> None:
        while not done.is_set():
            counts = watch.of_pools("count", _STATE)
            assert 0 <= counts["used"] <= 2

    reader = rig.start(read)
    for each in [rig.start(use) for _ in range(callers)]:
        each.result(WAIT)
    done.set()
    reader.result(WAIT)
    assert watch.of_pools("wait_time")[name][0] == watch.of_pools("use_time")[name][0] == callers * uses


_GLOBAL = """
from google.auth.credentials import AnonymousCredentials
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from spanner_grpc_sessions import ClientOptions, SessionPool, SessionsClient
from spanner_grpc_sessions.telemetry import OpenTelemetry

reader = InMemoryMetricReader()
meters = MeterProvider([reader], shutdown_on_exit=False)
observers = [OpenTelemetry()]
metrics.set_meter_provider(meters)
observers += [OpenTelemetry(), OpenTelemetry(meter_provider=meters)]
options = [ClientOptions(endpoint="localhost:1", plaintext=True, observer=observer) for observer in observers]
clients = [SessionsClient(AnonymousCredentials(), options=each) for each in options]
pools = [SessionPool(client, "projects/p/instances/i/databases/d") for client in clients]
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
(metric,) = [metric for metric in scope.metrics if metric.name == "db.client.connection.max"]
names = [point.attributes["db.client.connection.pool.name"] for point in metric.data.data_points]
print(sorted(name.partition("/databases/")[2] for name in names))
"""


def test_the_global_provider_may_come_later() -> None:
    """Observers that were made before it, and after it, and with it by name, measure through the same instruments."""
    arguments = [sys.executable, "-W", "error", "-c", _GLOBAL]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("['d', 'd#2', 'd#3']\n", "")
