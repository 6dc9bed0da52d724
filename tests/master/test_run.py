"""The master from outside: its signals, its workers, its end."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.functional.gateway import Gateway, command
from tests.functional.line_client import LineClient
from tests.functional.process import alive
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.waiting import LIMIT_SECONDS, wait_until
from tests.worker.scene import SERVER, echo, logged_in

MAIL = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"


def test_quit_lets_a_session_finish(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend:
        gateway = Gateway(open_path, SERVER.format(backend=backend.port))
        client = logged_in(gateway.port)
        gateway.process.signal(signal.SIGQUIT)
        gateway.wait_for_log(r"signal 3 \(SIGQUIT\) received")
        wait_until(lambda: refused(gateway.port), "the listener to be closed")
        client.send(b"not cut\r\n")
        assert client.line() == b"not cut"
        assert gateway.process.status is None
        client.close()
        assert gateway.process.wait() == 0
        assert not (open_path / "gatepost.pid").exists()


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_quit_cuts_sessions_when_their_time_is_over(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend:
        gateway = Gateway(open_path, SERVER.format(backend=backend.port), main="worker_shutdown_timeout 100ms;")
        with logged_in(gateway.port) as client:
            assert gateway.stop(signal.SIGQUIT) == 0
            assert client.line().startswith(b"* BYE")
        gateway.wait_for_log("shutdown timeout while proxying, client: 127.0.0.1")


def test_quit_after_a_reload_does_not_cut_what_still_drains(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend:
        gateway = Gateway(open_path, SERVER.format(backend=backend.port))
        (old,) = gateway.workers
        with logged_in(gateway.port) as client:
            gateway.process.signal(signal.SIGHUP)
            wait_until(lambda: len(gateway.workers) == 2, "a new worker")
            client.send(b"drained\r\n")
            assert client.line() == b"drained"
            gateway.process.signal(signal.SIGQUIT)  # the old worker hears of it a second time
            wait_until(lambda: gateway.workers == (old,), "the new worker to end")
            for _ in range(20):
                client.send(b"not cut\r\n")
                assert client.line() == b"not cut"
        assert gateway.process.wait() == 0


def test_a_signal_to_a_worker_that_has_just_been_born_waits_for_it(open_path: Path) -> None:
    with Gateway(open_path, MAIL, workers=4) as gateway:
        for _ in range(6):
            before = set(gateway.workers)
            gateway.process.signal(signal.SIGHUP)
            # New workers are told to reopen, and then to finish, when they have hardly begun.
            wait_until(lambda: set(gateway.workers) - before, "a new worker")  # noqa: B023 - at once
            gateway.process.signal(signal.SIGUSR1)
        wait_until(lambda: len(gateway.workers) == 4, "four workers, and no others")
        with LineClient.plain(gateway.port) as client:
            assert client.line() == b"* OK IMAP4 ready"
        assert gateway.stop() == 0
        assert "exited on signal" not in gateway.log()


def test_term_ends_while_sessions_are_open(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend:
        gateway = Gateway(open_path, SERVER.format(backend=backend.port), workers=2)
        with logged_in(gateway.port):
            assert gateway.stop(signal.SIGTERM) == 0


def test_a_killed_worker_is_replaced_and_others_go_on(open_path: Path) -> None:
    with Gateway(open_path, MAIL, workers=2) as gateway:
        wait_until(lambda: len(gateway.workers) == 2, "two workers")
        victim, other = gateway.workers
        os.kill(victim, signal.SIGKILL)
        gateway.wait_for_log(rf"\[alert\].*worker process {victim} exited on signal 9")
        wait_until(lambda: len(gateway.workers) == 2 and victim not in gateway.workers, "a new worker")
        assert alive(other)
        with LineClient.plain(gateway.port) as client:
            assert client.line() == b"* OK IMAP4 ready"


def test_a_signal_that_it_cannot_serve_is_said_and_harmless(open_path: Path) -> None:
    with Gateway(open_path, MAIL) as gateway:
        for number in (signal.SIGUSR2, signal.SIGWINCH):
            gateway.process.signal(number)
            gateway.wait_for_log(rf"\[warn\].*signal {number} \({number.name}\) received, but this version")
        with LineClient.plain(gateway.port) as client:
            assert client.line() == b"* OK IMAP4 ready"


def test_an_address_in_use_is_an_error_before_anything_runs(open_path: Path) -> None:
    with Gateway(open_path / "first", MAIL) as gateway:
        second = open_path / "second"
        second.mkdir()
        text = (open_path / "first" / "gatepost.conf").read_text().replace("/first/", "/second/")
        (second / "gatepost.conf").write_text(text)
        done = subprocess.run(command(second), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        assert done.returncode == 1
        assert (
            f"bind() to 127.0.0.1:{gateway.port} failed (98: Address already in use), still could not bind()"
            in done.stderr
        )
        assert not (second / "gatepost.pid").exists()


def test_one_process_serves_without_a_master(open_path: Path) -> None:
    gateway = Gateway(open_path, MAIL, main="master_process off;")
    assert gateway.workers == ()
    with LineClient.plain(gateway.port) as client:
        assert client.line() == b"* OK IMAP4 ready"
    assert gateway.stop() == 0
    assert not (open_path / "gatepost.pid").exists()
