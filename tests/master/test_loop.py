"""The waiting loop from outside: signals, and what they do to workers and sessions."""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.functional.gateway import Gateway, command, write_configuration
from tests.functional.line_client import LineClient
from tests.functional.ports import claim_port
from tests.functional.process import alive, children
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


def test_winch_lets_workers_rest_until_hup(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend, Gateway(open_path, SERVER.format(backend=backend.port)) as gateway:
        (old,) = gateway.workers
        with logged_in(gateway.port) as client:
            gateway.process.signal(signal.SIGWINCH)
            gateway.wait_for_log(r"signal 28 \(SIGWINCH\) received from \d+, stop accepting connections")
            client.send(b"not cut\r\n")
            assert client.line() == b"not cut"
            assert gateway.workers == (old,)
        wait_until(lambda: not gateway.workers, "the worker to end")
        assert gateway.process.status is None
        with LineClient.plain(gateway.port) as waiting:  # nobody accepts, but the queue is there
            gateway.process.signal(signal.SIGWINCH)  # once more is nothing new
            gateway.process.signal(signal.SIGHUP)
            assert waiting.line() == b"* OK IMAP4 ready"
        gateway.wait_for_log("reconfiguring")


def test_hup_brings_workers_back_even_with_a_mistake_in_the_file(open_path: Path) -> None:
    with Gateway(open_path, MAIL) as gateway:
        gateway.process.signal(signal.SIGWINCH)
        wait_until(lambda: not gateway.workers, "the worker to end")
        (open_path / "gatepost.conf").write_text("nonsense;")
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(r'unknown directive "nonsense" in .*; the old configuration stays in force')
        with LineClient.plain(gateway.port) as client:
            assert client.line() == b"* OK IMAP4 ready"


def test_a_terminal_that_changes_its_size_is_no_winch(open_path: Path) -> None:
    write_configuration(open_path, MAIL.format(claim_port()))
    reading, writing = os.openpty()
    in_terminal = (
        "import os, sys; os.setsid(); os.open(os.ttyname(0), os.O_RDWR); os.execv(sys.argv[1], sys.argv[1:])"
    )
    with subprocess.Popen([sys.executable, "-c", in_terminal, *command(open_path)], stdin=writing) as daemon:
        try:
            wait_until(lambda: len(children(daemon.pid)) == 1, "the worker")
            assert os.tcgetpgrp(reading) == daemon.pid
            for columns in (100, 120):
                fcntl.ioctl(reading, termios.TIOCSWINSZ, struct.pack("4H", 50, columns, 0, 0))
            daemon.send_signal(signal.SIGUSR1)  # signals come in the order of their numbers
            log = open_path / "error.log"
            wait_until(lambda: "SIGUSR1" in log.read_text(), "the next signal")
            daemon.send_signal(signal.SIGHUP)
            wait_until(lambda: "SIGHUP" in log.read_text(), "the signal after that")
            assert "SIGWINCH" not in log.read_text()
            daemon.terminate()
            assert daemon.wait(LIMIT_SECONDS) == 0
        finally:
            daemon.kill()
            os.close(reading)
            os.close(writing)


def test_quit_and_term_end_a_master_whose_workers_rest(open_path: Path) -> None:
    for number in (signal.SIGQUIT, signal.SIGTERM):
        gateway = Gateway(open_path / number.name, MAIL)
        gateway.process.signal(signal.SIGWINCH)
        wait_until(lambda: not gateway.workers, "the worker to end")  # noqa: B023 - at once
        assert gateway.stop(number) == 0
