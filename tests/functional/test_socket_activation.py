"""Listening sockets that somebody else has opened: as systemd passes them, and as nginx does when told USR2.

The tests are systemd, and nginx: they keep the sockets open, start the daemon with them, and watch what becomes of
the files and the queues.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.worker.scene import GREETING, echo, logged_in

from .gateway import command, write_configuration
from .line_client import LineClient
from .ports import claim_port
from .process import alive, children
from .scripted_backend import ScriptedBackend
from .upgrading import pid_in
from .waiting import LIMIT_SECONDS, wait_until

# Puts descriptors where systemd puts them, or leaves them where they are, as nginx does; then becomes the daemon,
# which so has the process id that it was told of.
STARTER = """
import fcntl, os, sys
how, fds, command = sys.argv[1], [int(word) for word in sys.argv[2].split(",")], sys.argv[3:]
if how == "systemd":
    for target, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds], 3):
        os.dup2(fd, target)
    names = ":".join(f"mail{number}.socket" for number in range(len(fds)))
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
else:
    os.environ["NGINX"] = "".join(f"{fd};" for fd in fds)
os.execv(command[0], command)
"""


class Activated:
    """A daemon that is started with ``sockets``."""

    def __init__(
        self, directory: Path, how: str, sockets: Sequence[socket.socket], mail: str, main: str = ""
    ) -> None:
        self._directory = directory
        write_configuration(directory, mail, main=main)
        fds = [sock.fileno() for sock in sockets]
        words = [sys.executable, "-c", STARTER, how, ",".join(map(str, fds)), *command(directory)]
        with open(directory / "output", "ab") as sink:
            self._child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=fds, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        workers = children(self.master)
        self._child.terminate()
        try:
            assert self._child.wait(LIMIT_SECONDS) == 0, self.log()
        finally:
            self._child.kill()
        wait_until(lambda: not any(map(alive, workers)), "the workers to end")

    @property
    def master(self) -> int:
        return self._child.pid

    def tell(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait_for_workers(self, without: Sequence[int] = ()) -> tuple[int, ...]:
        wait_until(lambda: self._child.poll() is not None or set(children(self.master)) - set(without), "a worker")
        return children(self.master)

    def log(self) -> str:
        paths = (self._directory / "error.log", self._directory / "output")
        return "".join(path.read_text() for path in paths if path.exists())


def listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def listening_at(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    path.chmod(0o666)
    sock.listen()
    return sock


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(echo) as running:
        yield running


def mail(backend: ScriptedBackend, *listens: object) -> str:
    said = "".join(f"listen {listen};" for listen in listens)
    return f"proxy_pass 127.0.0.1:{backend.port}; server {{ {said} protocol imap; }}"


@pytest.mark.parametrize("how", ["systemd", "nginx"])
def test_a_listen_uses_the_socket_that_has_its_address(open_path: Path, backend: ScriptedBackend, how: str) -> None:
    passed, own, unwanted = claim_port(), claim_port(), claim_port()
    path = open_path / "imap"
    listens = mail(backend, f"127.0.0.1:{passed}", f"127.0.0.1:{own}", f"unix:{path}")
    with listening(unwanted) as third, listening_at(path) as second, listening(passed) as first:
        with (
            LineClient.plain(passed) as early,  # it came before there was a daemon
            Activated(open_path, how, [first, second, third], listens) as daemon,
        ):
            assert early.line() == GREETING
            with logged_in(passed) as client:
                client.send(b"through\r\n")
                assert client.line() == b"through"
            for another in (LineClient.plain(own), LineClient.unix(path)):
                with another:
                    assert another.line() == GREETING
            log = daemon.log()
            assert f"using inherited sockets: 127.0.0.1:{passed} unix:{path} 127.0.0.1:{unwanted}" in log
            gone = f'the listening socket 127.0.0.1:{unwanted} was passed, but no "listen" has its address: closed'
            assert gone in log
        # We hold them still; what systemd has made stays, what an nginx that is gone has made goes with the last.
        assert path.exists() is (how == "systemd")
        with LineClient.plain(passed):
            pass


def test_a_reload_and_an_upgrade_keep_what_was_passed(open_path: Path, backend: ScriptedBackend) -> None:
    port, path, other = claim_port(), open_path / "imap", claim_port()
    listens = mail(backend, f"127.0.0.1:{port}", f"unix:{path}")
    with (
        listening(port) as first,
        listening_at(path) as second,
        Activated(open_path, "systemd", [first, second], listens) as daemon,
    ):
        before = daemon.wait_for_workers()
        write_configuration(open_path, mail(backend, f"127.0.0.1:{port}", f"unix:{path}", f"127.0.0.1:{other}"))
        daemon.tell(signal.SIGHUP)
        daemon.wait_for_workers(before)
        with LineClient.plain(other) as client:
            assert client.line() == GREETING
        daemon.tell(signal.SIGUSR2)
        wait_until(lambda: pid_in(open_path / "gatepost.pid") not in (0, daemon.master), "a new master")
        new = pid_in(open_path / "gatepost.pid")
        try:
            wait_until(lambda: children(new), "its worker")
            assert "was passed, but" not in daemon.log()
            # The new one alone: it must not take the file of the socket that is lent to it.
            daemon.tell(signal.SIGWINCH)
            wait_until(lambda: set(children(daemon.master)) == {new}, "the old workers to end")
            for client in (LineClient.unix(path), LineClient.plain(port), LineClient.plain(other)):
                with client:
                    assert client.line() == GREETING
        finally:
            subprocess.run(["kill", str(new)], check=False)
            wait_until(lambda: not alive(new), "the new master to end")
        assert path.exists()
    assert path.exists()


def test_what_is_passed_to_another_process_is_none_of_ours(
    open_path: Path, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = claim_port()
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "2")
    with listening(claim_port()) as unused, Activated(open_path, "nginx", [unused], mail(backend, port)) as daemon:
        daemon.wait_for_workers()
        with LineClient.plain(port) as client:
            assert client.line() == GREETING
        assert "LISTEN" not in daemon.log()
