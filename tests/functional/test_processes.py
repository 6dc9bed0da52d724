"""Master and workers: starting, dying, being replaced, ending; in the foreground and as a daemon."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .dovecot import Dovecot
from .gateway import Gateway, command, write_configuration
from .line_client import LineClient
from .mailbox import login
from .ports import claim_port
from .process import alive, children
from .waiting import LIMIT_SECONDS, wait_until

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
"""


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(dovecot.port)) as running:
        yield running


@pytest.fixture
def place(directory: Path, request: pytest.FixtureRequest) -> Path:
    """A directory for one test; short, because of the socket paths and the other users."""
    path = directory / re.sub(r"\W+", "_", request.node.name)
    path.mkdir()
    return path


@pytest.fixture
def gateway(place: Path, service: AuthService) -> Iterator[Gateway]:
    with Gateway(place, CONFIGURATION % service.port, workers=2) as running:
        yield running


def greeted(port: int) -> bool:
    """Whether somebody accepts connections on ``port`` and greets."""
    with suppress(OSError, EOFError), LineClient.plain(port) as client:
        return client.line() == b"* OK IMAP4 ready"
    return False


def test_a_killed_worker_is_replaced(gateway: Gateway, dovecot: Dovecot) -> None:
    first, second = gateway.workers
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(gateway.workers) == 2 and first not in gateway.workers, "a new worker")
    assert second in gateway.workers
    gateway.wait_for_log(rf"\[alert\] .*worker process {first} exited on signal 9")
    with LineClient.plain(gateway.port) as client:
        assert client.line() == b"* OK IMAP4 ready"
        login(client, dovecot.fresh_user())


def test_sessions_of_other_workers_survive(gateway: Gateway, dovecot: Dovecot) -> None:
    clients = []
    for _ in range(8):
        client = LineClient.plain(gateway.port)
        client.line()
        login(client, dovecot.fresh_user())
        clients.append(client)
    served = re.findall(r"\[info\] (\d+)#\d+: \*\d+ client logged in", gateway.log())
    victim = int(served[0])
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in gateway.workers, "the worker to be gone")
    for client, pid in zip(clients, served, strict=True):
        if int(pid) == victim:
            assert client.rest() == b""
        else:
            client.send(b"z NOOP\r\n")
            assert client.upto(b"z ")[-1].startswith(b"z OK")
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fast_end(gateway: Gateway, dovecot: Dovecot, number: signal.Signals) -> None:
    with LineClient.plain(gateway.port) as client:
        client.line()
        login(client, dovecot.fresh_user())
        assert gateway.stop(number) == 0
        assert client.rest() == b""
    assert not (gateway.directory / "gatepost.pid").exists()
    assert not greeted(gateway.port)


def test_graceful_end(gateway: Gateway, dovecot: Dovecot) -> None:
    workers = gateway.workers
    with LineClient.plain(gateway.port) as client:
        client.line()
        login(client, dovecot.fresh_user())
        gateway.process.signal(signal.SIGQUIT)
        # No new sessions, but the one that is there goes on as long as it likes.
        wait_until(lambda: not greeted(gateway.port), "the listeners to close")
        client.send(b"a STATUS INBOX (MESSAGES)\r\n")
        assert client.upto(b"a ")[-1].startswith(b"a OK")
        assert gateway.process.status is None
        client.send(b"b LOGOUT\r\n")
        assert b"b OK" in client.rest()
    assert gateway.process.wait() == 0
    assert not any(map(alive, workers))
    assert not (gateway.directory / "gatepost.pid").exists()


def test_workers_do_not_outlive_a_killed_master(gateway: Gateway) -> None:
    workers = gateway.workers
    assert len(workers) == 2
    gateway.process.signal(signal.SIGKILL)
    gateway.process.wait()
    wait_until(lambda: not any(map(alive, workers)), "the orphans to end")


def test_workers_are_not_root(gateway: Gateway) -> None:
    expected = {str(os.geteuid())} if os.geteuid() else {"65534"}

    def uids(pid: int) -> set[str]:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            (found,) = (line.split()[1:] for line in file if line.startswith("Uid:"))
        return set(found)

    wait_until(lambda: all(uids(pid) == expected for pid in gateway.workers), f"the workers to be {expected}")


def test_daemon(place: Path, service: AuthService, dovecot: Dovecot) -> None:
    port = claim_port()
    write_configuration(place, CONFIGURATION.format(port) % service.port, workers=1)
    configuration = place / "gatepost.conf"
    configuration.write_text(configuration.read_text().replace("daemon off;", "daemon on;"))
    pid_file = place / "gatepost.pid"
    try:
        # The pipes of whoever starts it must not stay open in the daemon: they would wait for its end.
        started = subprocess.run(command(place), capture_output=True, check=False, timeout=LIMIT_SECONDS, text=True)
        assert started.returncode == 0, started.stderr
        wait_until(lambda: pid_file.exists() and pid_file.read_text(), "the pid file")
        master = int(pid_file.read_text())
        assert os.getsid(master) == master != os.getsid(0)
        wait_until(lambda: len(children(master)) == 1, "the worker")
        with LineClient.plain(port) as client:
            assert client.line() == b"* OK IMAP4 ready"
            login(client, dovecot.fresh_user())
        workers = children(master)
        stopped = subprocess.run(
            command(place, "-s", "stop"), capture_output=True, check=False, timeout=LIMIT_SECONDS, text=True
        )
        assert stopped.returncode == 0, stopped.stderr
        wait_until(lambda: not any(map(alive, (master, *workers))), "the daemon to end")
        assert not pid_file.exists()
    finally:
        if pid_file.exists():
            with suppress(ProcessLookupError):
                os.killpg(int(pid_file.read_text()), signal.SIGKILL)


def test_the_log_is_reopened(gateway: Gateway, dovecot: Dovecot) -> None:
    log = gateway.directory / "error.log"
    moved = gateway.directory / "error.log.1"
    log.rename(moved)
    gateway.process.signal(signal.SIGUSR1)

    def a_session_is_in_the_new_file() -> bool:
        # Each worker reopens for itself, so the first session may still be in the old one.
        with LineClient.plain(gateway.port) as client:
            client.line()
            login(client, dovecot.fresh_user())
        return "client logged in" in gateway.log()

    wait_until(log.exists, "a new log file")
    wait_until(a_session_is_in_the_new_file, "a session in the new log file")
    assert "start worker process" in moved.read_text()


def test_a_port_that_is_taken(place: Path, gateway: Gateway, service: AuthService) -> None:
    other = place / "other"
    other.mkdir()
    write_configuration(other, CONFIGURATION.format(gateway.port) % service.port)
    done = subprocess.run(command(other), capture_output=True, check=False, timeout=LIMIT_SECONDS, text=True)
    assert done.returncode == 1
    assert f"bind() to 127.0.0.1:{gateway.port} failed (98: Address already in use)" in done.stderr
    assert not (other / "gatepost.pid").exists()
    # The first one has not noticed anything.
    assert greeted(gateway.port)
