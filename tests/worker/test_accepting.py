"""Accepting, as clients meet it: limits, pauses, and which server they come to."""

import contextlib
import os
import re
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from gatepost.address import Address
from gatepost.config.listen import Listen
from gatepost.errors import Where
from gatepost.net.bind_plan import Bind, Route
from gatepost.net.listener import Listener
from gatepost.worker.accepting import own_lanes
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient
from tests.functional.process import alive
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.waiting import wait_until

from .scene import GREETING, SERVER, echo, logged_in


def closed_at_once(port: int) -> bool:
    """Whether a new connection is closed without a greeting."""
    with LineClient.plain(port) as client:
        try:
            client.line()
        except (EOFError, ConnectionResetError):
            return True
        return False


def test_more_connections_than_allowed_are_closed_and_room_is_used_again(open_path: Path) -> None:
    with (
        ScriptedBackend(echo) as backend,
        Gateway(open_path, SERVER.format(backend=backend.port), connections=6) as gateway,
    ):
        first, second = logged_in(gateway.port), logged_in(gateway.port)
        with LineClient.plain(gateway.port) as third:
            assert third.line() == GREETING  # one listener, two relays with two sockets each, one session: 6
            assert closed_at_once(gateway.port)
            gateway.wait_for_log(r"\[alert\].* 6 worker_connections are not enough\n")
            # It may stay, but there is no room for its connection to the backend.
            third.send(b"a LOGIN u p\r\n")
            assert third.line() == b"* BAD internal server error"
            gateway.wait_for_log(
                r"\[alert\].* 6 worker_connections are not enough while connecting to upstream, client:"
            )
            second.close()
            gateway.wait_for_log("proxied session done")
            logged_in(gateway.port).close()
        first.send(b"still here\r\n")
        assert first.line() == b"still here"
        first.close()


def test_without_descriptors_it_pauses_and_recovers(open_path: Path) -> None:
    with (
        ScriptedBackend(echo) as backend,
        Gateway(open_path, SERVER.format(backend=backend.port), main="worker_rlimit_nofile 40;") as gateway,
        logged_in(gateway.port) as client,
        contextlib.ExitStack() as crowd,
    ):
        waiting = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(40)]
        gateway.wait_for_log(r"\[crit\].*accept4\(\) failed \(24: Too many open files\)")
        client.send(b"others go on\r\n")
        assert client.line() == b"others go on"
        for served in waiting:  # each makes room for the next
            assert served.line() == GREETING
            served.close()


@pytest.mark.parametrize(
    ("protocol", "greeting", "login", "words"),
    [
        ("imap", GREETING, b"a LOGIN u secret", b"* BAD internal server error"),
        ("pop3", b"+OK POP3 ready", b"USER u\r\nPASS secret", b"-ERR internal server error"),
        ("smtp", b"220", b"AUTH PLAIN AHUAc2VjcmV0", b"451 4.3.2 Internal server error"),
    ],
)
@pytest.mark.parametrize("by_service", [False, True])
def test_a_login_without_descriptors_is_answered_and_costs_nobody_else(
    open_path: Path, protocol: str, greeting: bytes, login: bytes, words: bytes, by_service: bool
) -> None:
    mail = f"server {{{{ listen 127.0.0.1:{{0}}; protocol {protocol}; }}}}"
    mail += "auth_http 127.0.0.1:{backend}/;" if by_service else "proxy_pass 127.0.0.1:{backend};"
    with (
        ScriptedBackend(echo) as backend,
        Gateway(
            open_path, mail.replace("{backend}", str(backend.port)), main="worker_rlimit_nofile 40;"
        ) as gateway,
        contextlib.ExitStack() as crowd,
    ):
        waiting = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(40)]
        gateway.wait_for_log(r"accept4\(\) failed \(24: Too many open files\)")
        client = waiting.pop(0)
        assert client.line().startswith(greeting)
        if protocol == "smtp":
            client.send(b"EHLO me\r\n")
            client.upto(b"250 ")
        client.send(login + b"\r\n")
        if protocol == "pop3":
            assert client.line() == b"+OK"
        assert client.line() == words
        failed = r"\[crit\].*(socket\(\)|connect\(\) to [\d.:]+) failed \(24: Too many open files\) while "
        gateway.wait_for_log(failed + ("in http auth state" if by_service else "connecting to upstream"))
        client.close()
        for served in waiting:  # each makes room for the next
            assert served.line().startswith(greeting)
            served.close()


def test_a_covered_address_goes_to_its_own_server(open_path: Path) -> None:
    mail = (
        "proxy_pass 127.0.0.1:9; "
        "server {{ listen *:{0}; protocol imap; }} "
        "server {{ listen 127.0.0.1:{0}; protocol imap; imap_capabilities COVERED; }}"
    )
    with Gateway(open_path, mail) as gateway, LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        client.send(b"a CAPABILITY\r\n")
        assert client.line() == b"* CAPABILITY COVERED AUTH=PLAIN"
        client.send(b"b LOGOUT\r\n")
        gateway.wait_for_log(rf"client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:{gateway.port}")


def lanes(count: int) -> list[Listener]:
    address = Address(socket.AF_INET, "127.0.0.1", 143)
    listen = Listen((address,), Where("mail.conf", 1))
    bind = Bind(address, listen, Route(0, listen, address), {})
    return [Listener(bind, socket.socket()) for _ in range(count)]


@pytest.mark.parametrize(
    ("count", "workers", "expected"),
    [
        (1, 1, [[0]]),
        (4, 4, [[0], [1], [2], [3]]),
        (1, 3, [[0], [0], [0]]),
        (2, 3, [[0], [1], [0]]),
        (5, 2, [[0, 2, 4], [1, 3]]),
    ],
)
def test_each_lane_is_somebodys_and_everybody_has_one(count: int, workers: int, expected: list[list[int]]) -> None:
    some = lanes(count)
    own = [own_lanes(some, slot, workers) for slot in range(workers)]
    assert [[some.index(lane) for lane in each] for each in own] == expected
    for lane in some:
        lane.close()


def accepted(gateway: Gateway) -> Counter[int]:
    """How many clients each worker has accepted."""
    return Counter(int(pid) for pid in re.findall(r"(\d+)#\d+: \*\d+ client ", gateway.log()))


def test_clients_spread_over_the_workers(open_path: Path) -> None:
    with (
        Gateway(open_path, SERVER.format(backend=9), workers=4) as gateway,
        contextlib.ExitStack() as crowd,
    ):
        gateway.wait_until_serving()
        for _ in range(200):
            assert crowd.enter_context(LineClient.plain(gateway.port)).line() == GREETING
        counts = accepted(gateway)
        assert sum(counts.values()) == 200
        assert set(counts) == set(gateway.workers)
        assert min(counts.values()) > 10  # 50 are to be expected


def test_who_waits_for_a_worker_that_hangs_is_served_by_another(open_path: Path) -> None:
    with Gateway(open_path, SERVER.format(backend=9), workers=2) as gateway, contextlib.ExitStack() as crowd:
        hanging = gateway.workers[0]
        os.kill(hanging, signal.SIGSTOP)
        try:
            clients = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(40)]
            for client in clients:
                assert client.line() == GREETING
            assert hanging not in accepted(gateway)
        finally:
            os.kill(hanging, signal.SIGCONT)


def test_who_waits_for_a_worker_that_dies_is_served(open_path: Path) -> None:
    unix = open_path / "socket"
    mail = SERVER.format(backend=9) + f"server {{{{ listen unix:{unix}; protocol imap; }}}}"
    with Gateway(open_path, mail, workers=2) as gateway, contextlib.ExitStack() as crowd:
        gone = gateway.workers
        for worker in gone:
            os.kill(worker, signal.SIGSTOP)
        clients = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(40)]
        clients += [crowd.enter_context(LineClient.unix(unix)) for _ in range(40)]
        for worker in gone:
            os.kill(worker, signal.SIGKILL)
        for client in clients:
            assert client.line() == GREETING
        assert set(accepted(gateway)).isdisjoint(gone)


@pytest.mark.parametrize(("before", "after"), [(4, 1), (1, 4)])
def test_who_waits_while_the_number_of_workers_changes_is_served(open_path: Path, before: int, after: int) -> None:
    with Gateway(open_path, SERVER.format(backend=9), workers=before) as gateway, contextlib.ExitStack() as crowd:
        old = gateway.workers
        for worker in old:
            os.kill(worker, signal.SIGSTOP)
        clients = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(60)]
        path = gateway.directory / "gatepost.conf"
        path.write_text(path.read_text().replace(f"worker_processes {before};", f"worker_processes {after};"))
        gateway.process.signal(signal.SIGHUP)
        wait_until(lambda: len(gateway.workers) == before + after, "the new workers")
        for client in clients:
            assert client.line() == GREETING
        for worker in old:
            os.kill(worker, signal.SIGCONT)
        wait_until(lambda: not any(alive(worker) for worker in old), "the old workers to end")
