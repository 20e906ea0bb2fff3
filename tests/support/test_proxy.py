"""The test network itself: what it passes on, holds back, and breaks is what the tests of a client stand on."""

from __future__ import annotations

import contextlib
import errno
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.measuring import least
from tests.support.proxy import CAN_VANISH, Proxy
from tests.support.waiting import WAIT


class _Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets, until the client has said that this was all."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


class _EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def echo() -> Iterator[str]:
    """Where a server listens that sends back what it gets."""
    with _EchoServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: str) -> Iterator[Proxy]:
    """A proxy before that server."""
    with Proxy(echo) as proxy:
        yield proxy


def _connect(proxy: Proxy) -> socket.socket:
    host, _, port = proxy.endpoint.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=WAIT)


def _ask(connection: socket.socket, data: bytes = b"x") -> bytes:
    connection.sendall(data)
    return connection.recv(65536)


def _is_silent(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(WAIT)
    return False


def test_bytes_and_their_end_pass_in_order(proxy: Proxy) -> None:
    """What is sent comes back whole, and the end of one direction is told to the other side only."""
    sent = b"".join(number.to_bytes(4, "big") for number in range(500_000))
    with _connect(proxy) as connection:

        def send() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = b"".join(iter(lambda: connection.recv(65536), b""))
        sender.join()
    assert received == sent
    assert proxy.accepted == 1


def test_delay_is_kept_each_way_and_connecting_takes_a_round_trip(echo: str) -> None:
    """The first answer takes two round trips, later ones take one: no less, and little more."""
    with Proxy(echo, delay=0.05) as proxy:

        def first() -> float:
            with _connect(proxy) as connection:
                return proxy.round_trips(lambda: _ask(connection))

        assert 2 <= least(first, 2.5) <= 2.5
        with _connect(proxy) as connection:
            _ask(connection)
            assert 1 <= least(lambda: proxy.round_trips(lambda: _ask(connection)), 1.5) <= 1.5


def test_delay_is_that_of_a_line_and_not_of_a_queue(echo: str) -> None:
    """Twenty messages that are sent one after the other, without waiting, come after one delay and not after twenty."""
    with Proxy(echo, delay=0.05) as proxy, _connect(proxy) as connection:
        assert _ask(connection) == b"x"
        paces = threading.Event()

        def talk() -> None:
            for number in range(20):
                connection.sendall(bytes([number]))
                paces.wait(0.002)

        def listen() -> None:
            sender = threading.Thread(target=talk)
            sender.start()
            received = b""
            while len(received) < 20:
                received += connection.recv(65536)
            sender.join()
            assert received == bytes(range(20))

        assert 1 <= least(lambda: proxy.round_trips(listen), 5) <= 5


def test_stall_holds_back_and_resume_lets_pass(proxy: Proxy) -> None:
    """Nothing comes through, in connections old and new, until everything does."""
    with _connect(proxy) as old:
        assert _ask(old) == b"x"
        proxy.stall()
        with _connect(proxy) as new:
            for connection in (old, new):
                connection.sendall(b"held")
                assert _is_silent(connection)
            proxy.resume()
            assert [connection.recv(10) for connection in (old, new)] == [b"held", b"held"]


def test_stalled_sender_has_to_wait(proxy: Proxy) -> None:
    """A stalled connection takes in what its buffers hold, and no more."""
    with _connect(proxy) as connection:
        proxy.stall()
        connection.settimeout(0.2)
        taken = 0
        with pytest.raises(TimeoutError):
            while taken < 2**28:
                taken += connection.send(bytes(65536))


def test_an_end_during_a_stall_is_passed_on_after_it(proxy: Proxy) -> None:
    """A client that goes away during a stall leaves the server a connection that ends when the stall does."""
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"
        proxy.stall()
        connection.shutdown(socket.SHUT_WR)
        assert _is_silent(connection)
        proxy.resume()
        assert connection.recv(1) == b""


def test_refuse_ends_with_listen_and_leaves_connections_alone(proxy: Proxy) -> None:
    """A connect is refused, a connection lives on, and the port stays the same."""
    endpoint = proxy.endpoint
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"
        for _ in range(2):
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                _connect(proxy)
            assert _ask(connection) == b"x"
    proxy.listen()
    assert proxy.endpoint == endpoint
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"
    assert proxy.accepted == 2


def test_cut_resets_and_new_connections_pass(proxy: Proxy) -> None:
    """A cut connection ends as a reset, not as a goodbye; the next one works."""
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"


def test_frozen_connection_stays_silent_for_ever(proxy: Proxy) -> None:
    """Neither `resume` nor the goodbye of the other end gets through, and new connections pass."""
    with _connect(proxy) as frozen:
        assert _ask(frozen) == b"x"
        proxy.freeze()
        proxy.resume()
        frozen.sendall(b"lost")
        frozen.shutdown(socket.SHUT_WR)
        assert _is_silent(frozen)
        with _connect(proxy) as connection:
            assert _ask(connection) == b"x"
        assert _is_silent(frozen)


@pytest.mark.skipif(not CAN_VANISH, reason="only Linux lets a socket drop what arrives")
def test_vanished_peer_acknowledges_nothing(proxy: Proxy) -> None:
    """TCP itself gives the connection up, as it does when a machine has gone."""
    with _connect(proxy) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 100)
        assert _ask(connection) == b"x"
        proxy.vanish()
        connection.sendall(b"lost")
        with pytest.raises(TimeoutError) as caught:
            connection.recv(1)
    assert caught.value.errno == errno.ETIMEDOUT, "the test gave up before TCP did"


def test_slowed_bytes_take_that_long_in_connections_old_and_new(proxy: Proxy) -> None:
    """Until they are slowed no more."""
    with _connect(proxy) as old, _connect(proxy) as new:
        assert _ask(old) == b"x"
        proxy.slow(0.05)
        for connection in (old, new):
            started = time.monotonic()
            assert _ask(connection) == b"x"
            assert time.monotonic() - started >= 0.1
        proxy.slow(0.0)
        assert least(lambda: _seconds(lambda: _ask(old)), 0.05) <= 0.05


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_dripping_bytes_come_one_at_a_time(proxy: Proxy) -> None:
    """None is lost, and what is left of them comes at once when the dripping ends."""
    with _connect(proxy) as connection:
        proxy.drip(0.02)
        connection.sendall(b"0123456789")
        assert connection.recv(100) == b"0"
        proxy.drip(0.0)
        rest = b""
        while len(rest) < 9:
            rest += connection.recv(100)
        assert rest == b"123456789"


def test_one_byte_is_corrupted_each_way(proxy: Proxy) -> None:
    """A server gets another byte than was sent; afterwards all passes as it is."""
    with socket.create_server(("127.0.0.1", 0)) as server, _connect(proxy) as echoed:
        assert _ask(echoed) == b"x"
        proxy.target = f"127.0.0.1:{server.getsockname()[1]}"
        with _connect(proxy) as connection:
            server.settimeout(WAIT)
            with server.accept()[0] as accepted:
                accepted.settimeout(WAIT)
                proxy.corrupt()
                for sender, receiver in ((connection, accepted), (accepted, connection)):
                    sender.sendall(bytes(3))
                    assert receiver.recv(3) == b"\0\1\0"
                    sender.sendall(bytes(3))
                    assert receiver.recv(3) == bytes(3)


def test_half_closed_connection_ends_towards_the_client_alone(proxy: Proxy) -> None:
    """The client reads the end, and may send on."""
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"
        proxy.half_close()
        proxy.half_close()
        assert connection.recv(1) == b""
        connection.sendall(b"into the void")
        with _connect(proxy) as other:
            assert _ask(other) == b"x"


def test_server_that_is_not_there_resets_the_client() -> None:
    """The proxy takes the connection before it knows; the client learns it as a reset, perhaps while it connects."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
    with Proxy(target) as proxy:
        with pytest.raises(ConnectionResetError), _connect(proxy) as connection:
            connection.recv(1)


def test_target_can_change_between_connections(proxy: Proxy, echo: str) -> None:
    """A new target is that of the connections to come."""
    with socket.create_server(("127.0.0.1", 0)) as other, _connect(proxy) as old:
        assert _ask(old) == b"x"
        proxy.target = f"127.0.0.1:{other.getsockname()[1]}"
        with _connect(proxy) as new:
            new.sendall(b"to the other")
            other.settimeout(WAIT)
            with other.accept()[0] as accepted:
                accepted.settimeout(WAIT)
                assert accepted.recv(20) == b"to the other"
        assert _ask(old) == b"x"


def test_close_ends_connections_and_threads(echo: str) -> None:
    """Nothing is left of a proxy, not even of a stalled one, and closing twice does nothing."""
    before = _event_loops()
    proxy = Proxy(echo)
    proxy.listen()
    with _connect(proxy) as connection:
        assert _ask(connection) == b"x"
        proxy.stall()
        connection.sendall(b"held")
        proxy.close()
        proxy.close()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
    assert _event_loops() == before


def _event_loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "test-event-loop"]
