"""A reload from outside: what goes on, what changes, and what a mistake does."""

import os
import re
import signal
import socket
import threading
from pathlib import Path

from gatepost.master.pidfile import owner
from tests.functional.gateway import Gateway, write_configuration
from tests.functional.line_client import LineClient
from tests.functional.ports import claim_port
from tests.functional.process import children
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.upgrading import pid_in
from tests.functional.waiting import wait_until
from tests.worker.scene import GREETING, SERVER, echo, logged_in

PLAIN = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"
CAPABLE = "proxy_pass 127.0.0.1:9; imap_capabilities {words}; server {{ listen 127.0.0.1:{port}; protocol imap; }}"


def reload(gateway: Gateway, mail: str, *, workers: int = 1) -> None:
    """Put ``mail`` into force; returns when the workers of before have gone or drain."""
    before = gateway.workers
    write_configuration(gateway.directory, mail, workers=workers)
    gateway.process.signal(signal.SIGHUP)
    wait_until(lambda: len(set(gateway.workers) - set(before)) == workers, "new workers")


def capabilities(port: int) -> bytes:
    with LineClient.plain(port) as client:
        assert client.line() == GREETING
        client.send(b"a CAPABILITY\r\n")
        return client.line()


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_session_goes_on_and_new_ones_meet_the_new_configuration(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend, Gateway(open_path, SERVER.format(backend=backend.port)) as gateway:
        (old,) = gateway.workers
        with logged_in(gateway.port) as client:
            reload(gateway, CAPABLE.format(words="NEW", port=gateway.port))
            wait_until(lambda: capabilities(gateway.port) == b"* CAPABILITY NEW AUTH=PLAIN", "the new words")
            client.send(b"not cut\r\n")
            assert client.line() == b"not cut"
            assert old in gateway.workers
        wait_until(lambda: old not in gateway.workers, "the old worker to end with its last session")


def test_a_mistake_changes_nothing_and_is_said_with_its_line(open_path: Path) -> None:
    with Gateway(open_path, PLAIN) as gateway:
        before = gateway.workers
        write_configuration(open_path, "nonsense;")
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(
            r'\[emerg\].*unknown directive "nonsense" in .*gatepost\.conf:\d+; the old configuration stays in force'
        )
        assert gateway.workers == before
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING


def test_a_file_that_a_full_disk_has_emptied_changes_nothing(open_path: Path) -> None:
    with Gateway(open_path, PLAIN) as gateway:
        (open_path / "gatepost.conf").write_text("")
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(
            r'\[emerg\].*no "events" section in configuration; the old configuration stays in force'
        )
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING


def test_an_address_that_cannot_be_bound_changes_nothing(open_path: Path) -> None:
    with (
        Gateway(open_path, PLAIN) as gateway,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        port = taken.getsockname()[1]
        before = gateway.workers
        both = f"listen 127.0.0.1:{gateway.port}; listen 127.0.0.1:{claim_port()}; listen 127.0.0.1:{port};"
        write_configuration(open_path, f"proxy_pass 127.0.0.1:9; server {{ {both} protocol imap; }}")
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(rf"\[emerg\].*bind\(\) to 127\.0\.0\.1:{port} failed .* stays in force")
        assert gateway.workers == before
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING


def test_listeners_come_and_go(open_path: Path) -> None:
    with Gateway(open_path, PLAIN) as gateway:
        other = claim_port()
        reload(gateway, CAPABLE.format(words="A", port=other))
        with LineClient.plain(other) as client:
            assert client.line() == GREETING
        wait_until(lambda: refused(gateway.port), "the old address to be closed")


def test_the_number_of_workers_follows(open_path: Path) -> None:
    with Gateway(open_path, PLAIN) as gateway:
        mail = CAPABLE.format(words="A", port=gateway.port)
        reload(gateway, mail, workers=3)
        wait_until(lambda: len(gateway.workers) == 3, "three workers, and no others")
        reload(gateway, mail, workers=1)
        wait_until(lambda: len(gateway.workers) == 1, "one worker, and no others")


def test_nobody_is_refused_during_many_reloads(open_path: Path) -> None:
    with Gateway(open_path, PLAIN) as gateway:
        mail = CAPABLE.format(words="A", port=gateway.port)
        over = threading.Event()
        served: list[bytes] = []
        failures: list[BaseException] = []

        def knock() -> None:
            try:
                while not over.is_set():
                    served.append(capabilities(gateway.port))
            except (OSError, EOFError, AssertionError) as error:
                failures.append(error)

        knocking = [threading.Thread(target=knock) for _ in range(4)]
        for thread in knocking:
            thread.start()
        wait_until(lambda: failures or served, "a client to be served")  # the master rests by then
        descriptors = open_descriptors(gateway)
        for _ in range(20):
            before = len(served)
            reload(gateway, mail)
            wait_until(lambda: failures or len(served) > before, "a client to be served")  # noqa: B023 - at once
        over.set()
        for thread in knocking:
            thread.join(30)
        assert failures == []
        wait_until(lambda: len(gateway.workers) == 1, "one worker, and no others")
        assert open_descriptors(gateway) == descriptors
        assert children(gateway.process.pid) == gateway.workers


def open_descriptors(gateway: Gateway) -> int:
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def test_a_log_that_was_moved_away_is_made_anew(open_path: Path) -> None:
    with Gateway(open_path, PLAIN) as gateway:
        log = open_path / "error.log"
        log.rename(open_path / "error.log.1")
        reload(gateway, CAPABLE.format(words="A", port=gateway.port))
        wait_until(lambda: capabilities(gateway.port) == b"* CAPABILITY A AUTH=PLAIN", "the new words")
        wait_until(lambda: log.exists() and "connected to" in log.read_text(), "the new worker's lines")
        assert "start worker process" in log.read_text()


def test_the_pid_file_goes_where_the_configuration_says(open_path: Path) -> None:
    def moved(gateway: Gateway, path: Path) -> None:
        file = open_path / "gatepost.conf"
        file.write_text(re.sub("pid .*;", f"pid {path};", file.read_text()))
        gateway.process.signal(signal.SIGHUP)

    old, new = open_path / "gatepost.pid", open_path / "moved.pid"
    with Gateway(open_path, PLAIN) as gateway:
        moved(gateway, open_path / "none" / "moved.pid")
        gateway.wait_for_log(rf'\[emerg\].*none/moved.pid" failed \(2: .*\); the pid file stays "{old}"')
        moved(gateway, new)
        wait_until(lambda: pid_in(new) == gateway.process.pid and not old.exists(), "the pid file to move")
        assert owner(str(new)) == gateway.process.pid
        assert gateway.stop() == 0
        assert not new.exists()


def test_a_reload_while_it_ends_is_too_late(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend:
        gateway = Gateway(open_path, SERVER.format(backend=backend.port))
        with logged_in(gateway.port) as client:
            before = gateway.workers
            gateway.process.signal(signal.SIGQUIT)
            gateway.wait_for_log("SIGQUIT")
            gateway.process.signal(signal.SIGHUP)
            client.send(b"not cut\r\n")
            assert client.line() == b"not cut"
            assert gateway.workers == before
        assert gateway.process.wait() == 0
        assert "reconfiguring" not in gateway.log()
