"""Datagrams to a syslog daemon: their form, and what a daemon that is slow, gone or new does."""

import errno
import os
import re
import socket
import time
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.syslog import FACILITIES, Connection, SyslogServer
from tests.syslog_daemon import Daemon

STAMP = r"[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d"


def test_the_form_is_that_of_rfc_3164(tmp_path: Path) -> None:
    host = os.uname().nodename.lower()
    with Daemon(tmp_path / "s") as daemon:
        connection = Connection(daemon.server(facility="mail", tag="edge_1"))
        assert connection.send(6, b"client \xff logged in") is None
        (datagram,) = daemon.datagrams()
        connection.close()
    assert re.fullmatch(rf"<22>{STAMP} {re.escape(host)} edge_1: client ".encode() + b"\xff logged in", datagram)


def test_the_day_has_two_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", lambda: time.struct_time((2026, 2, 3, 4, 5, 6, 1, 34, 0)))
    with Daemon(tmp_path / "s") as daemon:
        connection = Connection(daemon.server(hostname=False))
        assert connection.send(3, b"x") is None
        assert daemon.datagrams() == [b"<187>Feb  3 04:05:06 gatepost: x"]
        connection.close()


@pytest.mark.parametrize(
    ("facility", "severity", "number"), [("kern", 0, 0), ("mail", 7, 23), ("cron", 1, 121), ("local7", 4, 188)]
)
def test_facility_and_severity_are_one_number(tmp_path: Path, facility: str, severity: int, number: int) -> None:
    with Daemon(tmp_path / "s") as daemon:
        connection = Connection(daemon.server(facility=facility))
        assert connection.send(severity, b"") is None
        assert daemon.datagrams()[0].startswith(b"<%d>" % number)
        connection.close()


def test_every_facility_has_its_number() -> None:
    assert len(FACILITIES) == 24
    assert FACILITIES.index("local0") == 16


def test_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.settimeout(30)
        daemon.bind(("127.0.0.1", 0))
        connection = Connection(SyslogServer(Address(socket.AF_INET, *daemon.getsockname()), hostname=False))
        assert connection.send(5, b"one") is None
        assert connection.send(5, b"two") is None
        assert [daemon.recv(100)[-5:] for _ in range(2)] == [b": one", b": two"]
        connection.close()


def test_refused_datagrams_of_udp_cost_no_later_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claimed:
        claimed.bind(("127.0.0.1", 0))
        place = claimed.getsockname()
    connection = Connection(SyslogServer(Address(socket.AF_INET, *place)))
    assert connection.send(5, b"lost") is None  # nobody can know yet
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.settimeout(30)
        daemon.bind(place)
        assert connection.send(5, b"heard") is None
        assert daemon.recv(100).endswith(b": heard")
    connection.close()


def test_a_daemon_that_was_restarted_gets_the_next_line(tmp_path: Path) -> None:
    with Daemon(tmp_path / "s") as daemon:
        connection = Connection(daemon.server())
        assert connection.send(5, b"one") is None
    with Daemon(tmp_path / "s") as daemon:
        assert connection.send(5, b"two") is None
        (text,) = daemon.texts()
        assert text.endswith(": two")
    connection.close()


def test_a_daemon_that_is_not_there_is_an_answer_not_an_error(tmp_path: Path) -> None:
    connection = Connection(SyslogServer(unix(str(tmp_path / "s"))))
    for _ in range(2):
        error = connection.send(5, b"lost")
        assert error is not None
        assert error.errno == errno.ENOENT
    with Daemon(tmp_path / "s") as daemon:
        assert connection.send(5, b"heard") is None
        assert len(daemon.datagrams()) == 1
    connection.close()


def test_a_daemon_that_takes_nothing_is_not_waited_for(tmp_path: Path) -> None:
    limit = 100_000  # lines; the queue of a unix socket is a few hundred
    with Daemon(tmp_path / "s") as daemon:
        connection = Connection(daemon.server())
        sent = 0
        while connection.send(5, b"x" * 2000) is None:
            sent += 1
            assert sent < limit
        error = connection.send(5, b"lost")
        assert isinstance(error, BlockingIOError)
        assert len(daemon.datagrams()) == sent
        assert connection.send(5, b"heard") is None
        connection.close()


def test_a_file_that_is_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    error = Connection(SyslogServer(unix(str(path)))).send(5, b"lost")
    assert error is not None
    assert error.errno == errno.ECONNREFUSED


def test_failures_leave_no_socket_behind(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    connection = Connection(SyslogServer(unix(str(tmp_path / "s"))))
    for _ in range(5):
        connection.send(5, b"lost")
    assert len(os.listdir("/proc/self/fd")) == before
