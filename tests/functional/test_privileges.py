"""What the processes may, and what of them others can see."""

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import make_certificates
from .gateway import Gateway
from .line_client import LineClient

SERVER = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"
GREETING = b"* OK IMAP4 ready"
IS_ROOT = os.geteuid() == 0


def identity(pid: int) -> dict[str, set[int]]:
    """Users, groups and supplementary groups of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        pairs = (line.split(":", 1) for line in file)
        return {name: set(map(int, rest.split())) for name, rest in pairs if name in ("Uid", "Gid", "Groups")}


def is_open_to_its_user(pid: int) -> bool:
    """Whether its user may look into its memory. If not, what the kernel shows of it belongs to root."""
    return os.stat(f"/proc/{pid}/mem").st_uid == max(identity(pid)["Uid"])


def test_workers_are_the_user_and_cannot_read_the_keys_that_they_serve_with(open_path: Path) -> None:
    private = open_path / "private"
    private.mkdir(mode=0o700)
    certificates = make_certificates(private)
    mail = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0} ssl; protocol imap; }}"
    with Gateway(open_path, certificates.directives("ecdsa") + mail, workers=2) as gateway:
        for _ in range(4):
            with LineClient.tls(gateway.port, certificates.client_context()) as client:
                assert client.line() == GREETING
        gateway.wait_until_serving()
        user = pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.geteuid())
        group = grp.getgrnam("nogroup").gr_gid if IS_ROOT else os.getegid()
        for worker in gateway.workers:
            found = identity(worker)
            assert found["Uid"] == {user.pw_uid}
            assert found["Gid"] == {group}
            assert found["Groups"] == set(os.getgrouplist("nobody", group) if IS_ROOT else os.getgroups())
        assert identity(gateway.process.pid)["Uid"] == {os.geteuid()}
        # Nothing of them, a descriptor above all, leads to the keys.
        for worker in gateway.workers if IS_ROOT else ():
            links = [os.readlink(f"/proc/{worker}/fd/{name}") for name in os.listdir(f"/proc/{worker}/fd")]
            assert not [link for link in links if link.startswith(str(private))]


@pytest.mark.parametrize(("main", "expected"), [("worker_rlimit_core 0;", False), ("worker_rlimit_core 1m;", True)])
def test_who_may_look_into_their_memory(open_path: Path, main: str, expected: bool) -> None:
    with Gateway(open_path, SERVER, main=main, workers=2) as gateway, LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        gateway.wait_until_serving()
        for worker in gateway.workers:
            assert is_open_to_its_user(worker) is expected
            with open(f"/proc/{worker}/limits", encoding="ascii") as file:
                (line,) = (line for line in file if line.startswith("Max core file size"))
            assert line.split()[4] == ("1048576" if expected else "0")
        if not IS_ROOT:  # what the kernel shows of a root's process is root's in any case
            assert is_open_to_its_user(gateway.process.pid) is expected


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o077])
def test_no_file_is_more_open_than_it_has_to_be(open_path: Path, mask: int) -> None:
    certificates = make_certificates(open_path)
    mail = (
        certificates.directives("ecdsa") + "ssl_session_cache shared:SSL:1m; proxy_pass 127.0.0.1:9;"
        f"server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; error_log {open_path}/server.log info; }}}}"
        f"server {{{{ listen unix:{open_path}/socket; protocol imap; }}}}"
    )
    before = set(Path("/dev/shm").glob("gatepost-shared-*"))
    with umask(mask), Gateway(open_path, mail) as gateway:
        with LineClient.unix(open_path / "socket") as client:
            assert client.line() == GREETING
        with LineClient.tls(gateway.port, certificates.client_context()) as client:
            assert client.line() == GREETING
        for name in ("error.log", "server.log", "gatepost.pid"):
            assert stat.S_IMODE((open_path / name).stat().st_mode) == 0o644 & ~mask
        assert stat.S_IMODE((open_path / "socket").stat().st_mode) == 0o666
        (worker,) = gateway.workers
        with open(f"/proc/{worker}/maps", encoding="utf-8", errors="replace") as maps:
            (directory,) = {
                Path(word).parent for line in maps for word in line.split() if "/gatepost-shared-" in word
            }
        assert directory not in before
        for path, mode in ((directory, 0o700), *((file, 0o600) for file in directory.iterdir())):
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert path.stat().st_uid == max(identity(worker)["Uid"])


def test_a_log_on_a_full_disk_stops_nobody(open_path: Path) -> None:
    mail = "error_log /dev/full info;" + SERVER
    with Gateway(open_path, mail) as gateway:
        for _ in range(5):
            with LineClient.plain(gateway.port) as client:
                assert client.line() == GREETING
                client.send(b"a LOGIN u secret\r\n")
                assert client.line() == b"* BAD internal server error"
