"""Listening sockets on loopback and in the file system."""

import contextlib
import errno
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.config.listen import Listen
from gatepost.errors import ConfigError, Where
from gatepost.net import listener as module
from gatepost.net.bind_plan import Bind, Route
from gatepost.net.listener import BIND_TRIES, Bound, Listener, open_all

WHERE = Where("mail.conf", 7)


def bind(address: Address, **options: object) -> Bind:
    listen = Listen((address,), WHERE, **options)  # type: ignore[arg-type]
    return Bind(address, listen, Route(0, listen, address), {})


def tcp(port: int = 0, **options: object) -> Bind:
    return bind(Address(socket.AF_INET, "127.0.0.1", port), **options)


@contextlib.contextmanager
def opened(*binds: Bind) -> Iterator[tuple[Listener, ...]]:
    listeners = open_all(binds, pytest.fail)
    yield listeners
    for listener in listeners:
        listener.remove()


def refusal(*binds: Bind) -> tuple[str, list[str]]:
    """The error, and what was noticed before it."""
    notices: list[str] = []
    with pytest.raises(ConfigError) as caught:
        open_all(binds, notices.append)
    return str(caught.value), notices


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BIND_PAUSE_SECONDS", 0.0)


def test_accepts_without_waiting_and_without_delaying_small_segments() -> None:
    with opened(tcp()) as (listener,):
        assert not listener.socket.getblocking()
        with pytest.raises(BlockingIOError):
            listener.socket.accept()
        with socket.create_connection(listener.socket.getsockname()) as client:
            accepted, peer = listener.socket.accept()
            with accepted:
                assert peer == client.getsockname()
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_does_not_reach_a_program_that_is_started() -> None:
    with opened(tcp()) as (listener,):
        assert not listener.socket.get_inheritable()


def test_an_ipv6_wildcard_leaves_ipv4_to_others() -> None:
    with opened(bind(Address(socket.AF_INET6, "::1", 0))) as (listener,):
        assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    with opened(bind(Address(socket.AF_INET6, "::", 0), ipv6only=False)) as (listener,):
        assert not listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_buffers_and_keepalive_are_as_told() -> None:
    with opened(tcp(rcvbuf=20480, sndbuf=30720, keepalive=(60, 0, 3)), tcp(keepalive=False), tcp()) as listeners:
        told, off, silent = (listener.socket for listener in listeners)
        assert told.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 20480  # the kernel doubles it
        assert told.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 30720
        assert told.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        usual = silent.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == usual
        assert not off.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not silent.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_queue_is_as_long_as_told() -> None:
    with opened(tcp(backlog=7)) as (listener,):
        info = listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        assert struct.unpack_from("8x6I", info)[5] == 7  # tcpi_sacked, which is the limit of a listening socket


def test_multipath_serves_plain_clients_too() -> None:
    with opened(tcp(multipath=True)) as (listener,), socket.create_connection(listener.socket.getsockname()):
        listener.socket.accept()[0].close()


def test_an_address_in_use_is_tried_again_and_then_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = f"bind() to 127.0.0.1:{port} failed (98: Address already in use)"
        error, notices = refusal(tcp(port))
    assert error == f"{text}, still could not bind() in mail.conf:7"
    assert notices.count(text) == BIND_TRIES
    assert notices.count("try again to bind() after 500ms") == BIND_TRIES - 1


def test_an_address_that_becomes_free_is_taken() -> None:
    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    notices: list[str] = []

    def hear(text: str) -> None:
        notices.append(text)
        other.close()

    (listener,) = open_all((tcp(port),), hear)
    assert listener.socket.getsockname() == ("127.0.0.1", port)
    assert len(notices) == 2
    listener.remove()


def test_an_address_that_is_not_ours_is_an_error_at_once() -> None:
    error, notices = refusal(bind(Address(socket.AF_INET, "192.0.2.1", 0)))
    assert error == "bind() to 192.0.2.1:0 failed (99: Cannot assign requested address) in mail.conf:7"
    assert notices == []


def test_one_that_fails_takes_the_others_along(tmp_path: Path) -> None:
    path = tmp_path / "first"
    error, _ = refusal(bind(unix(str(path))), bind(Address(socket.AF_INET, "192.0.2.1", 0)))
    assert "192.0.2.1" in error
    assert not path.exists()


# Unix sockets ------------------------------------------------------------------------------------


def test_a_unix_socket_lets_all_in_and_goes_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "imap"
    with opened(bind(unix(str(path)))) as (listener,):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listener.socket.accept()[0].close()
    assert not path.exists()


def test_close_leaves_the_file_to_others(tmp_path: Path) -> None:
    path = tmp_path / "imap"
    (listener,) = open_all((bind(unix(str(path))),), pytest.fail)
    listener.close()
    assert path.exists()
    listener.remove()
    assert path.exists()


def test_a_file_left_over_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "imap"
    (dead,) = open_all((bind(unix(str(path))),), pytest.fail)
    dead.close()
    with opened(bind(unix(str(path)))) as (listener,), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        listener.socket.accept()[0].close()


@pytest.mark.parametrize("crowded", [False, True], ids=["idle", "crowded"])
def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path: Path, crowded: bool) -> None:
    path = tmp_path / "imap"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as client:
        other.bind(str(path))
        other.listen(0 if crowded else 100)  # 0: there is room for one in the queue
        if crowded:
            client.connect(str(path))
        error, _ = refusal(bind(unix(str(path))))
        assert error.startswith(
            f"bind() to unix:{path} failed (98: Address already in use), still could not bind()"
        )
        if not crowded:
            client.connect(str(path))


@pytest.mark.parametrize("kind", ["file", "directory", "datagrams"])
def test_what_is_not_ours_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "imap"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        if kind == "file":
            path.write_text("precious")
        elif kind == "directory":
            path.mkdir()
        else:
            datagrams.bind(str(path))
        error, _ = refusal(bind(unix(str(path))))
        assert "98: Address already in use" in error
        assert path.exists()


def test_a_directory_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    error, notices = refusal(bind(unix(str(tmp_path / "none" / "imap"))))
    assert f"failed ({errno.ENOENT}: {os.strerror(errno.ENOENT)})" in error
    assert notices == []


def test_a_socket_that_is_there_is_used_and_gets_its_options() -> None:
    original = socket.create_server(("127.0.0.1", 0))
    original.setblocking(False)
    bound = Bound(Address(socket.AF_INET, "127.0.0.1", original.getsockname()[1]), original, lent=True)
    with socket.create_connection(original.getsockname()):
        wanted = tcp(bound.address.port, keepalive=(60, 0, 3), rcvbuf=20480, sndbuf=30720)
        (listener,) = open_all((wanted,), pytest.fail, [bound])
        assert listener.socket is original
        assert listener.lent
        assert listener.bound.address == bound.address
        assert original.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 20480
        assert original.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert original.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        original.accept()[0].close()  # what waited in the queue is still there
        listener.remove()


def test_when_another_fails_what_is_there_stays_as_it_was() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as taken:
        bound = Bound(Address(socket.AF_INET, "127.0.0.1", there.getsockname()[1]), there)
        binds = tcp(bound.address.port, keepalive=True), tcp(taken.getsockname()[1])
        with pytest.raises(ConfigError):
            open_all(binds, lambda _: None, [bound])
        assert there.fileno() >= 0
        assert not there.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def clients(address: tuple[str, int], count: int) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    for _ in range(count):
        stack.enter_context(socket.create_connection(address))
    return stack


def waiting(listener: Listener) -> int:
    """How many connections are in its queue; they are taken out."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.socket.accept()[0].close()
            count += 1
    return count


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_lanes_share_what_comes_and_nobody_else_joins() -> None:
    port = free_port()
    lanes = open_all((tcp(port),), pytest.fail, lanes=4)
    assert len(lanes) == 4
    with clients(("127.0.0.1", port), 200):
        counts = [waiting(lane) for lane in lanes]
    assert sum(counts) == 200
    assert min(counts) > 10  # 50 are to be expected; this few come by chance less often than once in 10**9 runs
    message, _ = refusal(tcp(port))
    assert "Address already in use" in message
    for lane in lanes:
        lane.remove()


def test_lanes_stay_when_fewer_are_wanted_and_join_when_more_are() -> None:
    port = free_port()
    three = open_all((tcp(port),), pytest.fail, lanes=3)
    with clients(("127.0.0.1", port), 60):
        one = open_all((tcp(port),), pytest.fail, [lane.bound for lane in three], 1)
        assert [lane.socket for lane in one] == [lane.socket for lane in three]
        five = open_all((tcp(port),), pytest.fail, [lane.bound for lane in one], 5)
        assert [lane.socket for lane in five[:3]] == [lane.socket for lane in three]
        assert sum(map(waiting, five)) == 60
    for lane in five:
        lane.remove()


def test_a_socket_that_is_lent_or_a_file_has_one_lane(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as lent:
        place = Address(socket.AF_INET, "127.0.0.1", lent.getsockname()[1])
        assert len(open_all((tcp(place.port),), pytest.fail, [Bound(place, lent, lent=True)], 4)) == 1
    (listener,) = open_all((bind(unix(f"{tmp_path}/socket")),), pytest.fail, lanes=4)
    listener.remove()


def test_where_no_lane_can_join_workers_share(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._open

    def alone(bind: Bind, *, joins: bool = False) -> socket.socket:
        if joins:
            raise OSError(errno.EADDRINUSE, "")
        return real(bind)

    monkeypatch.setattr(module, "_open", alone)
    notices: list[str] = []
    (listener,) = open_all((tcp(),), notices.append, lanes=4)
    assert notices == ["workers share the socket of 127.0.0.1:0 (98: Address already in use)"]
    listener.remove()


def test_when_another_fails_fresh_lanes_are_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        place = Address(socket.AF_INET, "127.0.0.1", server.getsockname()[1])
        taken = other.getsockname()[1]
        with pytest.raises(ConfigError):
            open_all((tcp(place.port), tcp(taken)), lambda _text: None, [Bound(place, server)], 3)
        with clients(("127.0.0.1", place.port), 30):
            assert waiting(Listener(tcp(place.port), _unblocked(server))) == 30


def _unblocked(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    return sock


def test_what_cannot_change_on_an_open_socket_is_said() -> None:
    heard: list[str] = []
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        address = Address(socket.AF_INET6, "::", both.getsockname()[1])
        open_all((bind(address),), heard.append, [Bound(address, both)])
        open_all((bind(address, ipv6only=False),), pytest.fail, [Bound(address, both)])
    assert heard == [f"[::]:{address.port} stays with ipv6only=off: on would need a new socket"]


def test_a_file_that_is_lent_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for lent in (True, False):
        sock = socket.socket(socket.AF_UNIX)
        if not path.exists():
            sock.bind(str(path))
        Listener(bind(unix(str(path))), sock, lent).remove()
        assert path.exists() is lent
        assert sock.fileno() < 0
