"""Sockets that others have opened: as systemd, nginx and a master before us pass them."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.net.inherited import MAX_FDS, Passed, adopt, close_unused, from_nginx, from_systemd

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def passed_on(sock: socket.socket) -> Iterator[Passed]:
    """The descriptor of ``sock`` as a process has it after exec: nobody's object, inheritable, blocking."""
    sock.setblocking(True)
    os.set_inheritable(sock.fileno(), True)
    fd = sock.detach()
    yield Passed(fd, "mail.socket")
    with contextlib.suppress(OSError):
        os.close(fd)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_systemd_says_how_many_and_what_they_are_called() -> None:
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "imap:pop3", "PATH": "/bin"}
    assert from_systemd(environment, 7) == [
        Passed(3, "imap", lent=True),
        Passed(4, "pop3", lent=True),
        Passed(5, "unknown", lent=True),
    ]
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "8", "LISTEN_FDS": "1"},  # for a process that started us
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "7"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "-1"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "many"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "\u0661"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "0", "LISTEN_PIDFDID": "12"},
    ],
)
def test_what_is_not_meant_for_us_is_not_passed_on_either(environment: dict[str, str]) -> None:
    assert from_systemd(environment, 7) == []
    assert environment == {}


def test_the_number_has_a_limit() -> None:
    assert len(from_systemd({"LISTEN_PID": "7", "LISTEN_FDS": "9" * 9}, 7)) == MAX_FDS
    assert from_systemd({"LISTEN_PID": "7", "LISTEN_FDS": "9" * 5000}, 7) == []
    assert from_nginx({"NGINX": "9" * 5000 + ";"}) == []
    assert len(from_nginx({"NGINX": "9;" * (MAX_FDS + 10)})) == MAX_FDS


@pytest.mark.parametrize(
    ("text", "fds"), [("4;5;", [4, 5]), ("4", [4]), ("", []), (";;", []), ("x;-1;6;", [6]), ("\u0661;", [])]
)
def test_nginx_separates_numbers_by_semicolons(text: str, fds: list[int]) -> None:
    environment = {"NGINX": text}
    found = from_nginx(environment)
    assert [passed.fd for passed in found] == fds
    assert not any(passed.lent for passed in found)
    assert environment == {}
    assert from_nginx(environment) == []


def test_a_tcp_socket_is_ready_for_use() -> None:
    original = socket.create_server((LOOPBACK, 0))
    port = original.getsockname()[1]
    with passed_on(original) as passed:
        (bound,) = adopt([passed], pytest.fail)
        with bound.socket:
            assert bound.address == Address(socket.AF_INET, LOOPBACK, port)
            assert not bound.lent
            assert not bound.socket.getblocking()
            assert not bound.socket.get_inheritable()
            with socket.create_connection((LOOPBACK, port)):
                bound.socket.accept()[0].close()


def test_ipv6_and_unix_sockets_are_known_by_their_addresses(tmp_path: Path) -> None:
    path = str(tmp_path / "s\udcff")
    six, local = socket.create_server(("::1", 0), family=socket.AF_INET6), socket.socket(socket.AF_UNIX)
    local.bind(os.fsencode(path))
    local.listen()
    port = six.getsockname()[1]
    with passed_on(six) as first, passed_on(local) as second:
        found = adopt([first, Passed(second.fd, "local", lent=True)], pytest.fail)
        assert [bound.address for bound in found] == [Address(socket.AF_INET6, "::1", port), unix(path)]
        assert [bound.lent for bound in found] == [False, True]
        for bound in found:
            bound.socket.close()


def test_what_is_no_listening_stream_socket_is_reported_and_left_alone(tmp_path: Path) -> None:
    heard: list[str] = []
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((LOOPBACK, 0))
    silent = socket.socket()
    silent.bind((LOOPBACK, 0))
    file = os.open(tmp_path, os.O_RDONLY)
    left, right = socket.socketpair()
    with right, passed_on(datagrams) as one, passed_on(silent) as two, passed_on(left) as three:
        fds = [one.fd, two.fd, three.fd, file]
        assert adopt([*(Passed(fd, "x") for fd in fds), Passed(2, "x"), Passed(99999, "x")], heard.append) == ()
        assert all(map(is_open, [*fds, 2]))
    os.close(file)
    told = 'descriptor {} ("x") was passed, but is no listening socket: {}'
    reasons = [
        "it is for other kinds of traffic",
        "it does not listen",
        "it does not listen",
        "it is no socket",
        "it is a standard stream",
        "Bad file descriptor",
    ]
    assert heard == [told.format(fd, why) for fd, why in zip([*fds, 2, 99999], reasons, strict=True)]


def test_those_that_nobody_wants_are_reported_and_closed() -> None:
    heard: list[str] = []
    with (
        passed_on(socket.create_server((LOOPBACK, 0))) as one,
        passed_on(socket.create_server((LOOPBACK, 0))) as two,
    ):
        wanted, other = adopt([one, two], pytest.fail)
        with wanted.socket:
            close_unused((wanted, other), [wanted.socket], heard.append)
            assert heard == [
                f'the listening socket {other.address} was passed, but no "listen" has its address: closed'
            ]
            assert is_open(one.fd)
            assert not is_open(two.fd)
