"""Resuming TLS sessions with several workers: a shared zone, killed workers, what lies on disk and when it goes."""

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.store.runtime import PARENTS, PREFIX

from .certificates import Certificates
from .gateway import Gateway, command, write_configuration
from .ports import claim_port
from .waiting import LIMIT_SECONDS, wait_until

RECONNECTS = 200
MAIL = """
proxy_pass 127.0.0.1:9;
{certificates}
{settings}
server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; }}}}
server {{{{ listen 127.0.0.1:{{1}} ssl; protocol imap; {other} }}}}
"""


def start(
    directory: Path, certificates: Certificates, settings: str, *, other: str = "", workers: int = 2
) -> Gateway:
    mail = MAIL.format(certificates=certificates.directives("ecdsa"), settings=settings, other=other)
    return Gateway(directory, mail, ports=2, workers=workers)


class Returning:
    """A client that keeps its session and comes again and again."""

    def __init__(self, certificates: Certificates, version: ssl.TLSVersion) -> None:
        self._context = certificates.client_context()
        self._context.minimum_version = self._context.maximum_version = version
        self.session: ssl.SSLSession | None = None

    def connect(self, port: int) -> bool:
        """Connect, read the greeting, go; whether the session was resumed."""
        with (
            socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as plain,
            self._context.wrap_socket(plain, server_hostname="localhost", session=self.session) as client,
        ):
            assert client.recv(100) == b"* OK IMAP4 ready\r\n"
            self.session = client.session
            resumed = client.session_reused
        assert resumed is not None
        return resumed


def zone_files(pid: int) -> set[Path]:
    """The files of zones that a process has mapped."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
            found = re.findall(rf"/\S*/{PREFIX}\w+/zone-[\w.-]+(?<!-lock)$", maps.read(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {Path(path) for path in found}


def directories() -> set[str]:
    """Runtime directories of every daemon on this machine."""
    return {
        f"{parent}/{name}"
        for parent in PARENTS
        if os.path.isdir(parent)
        for name in os.listdir(parent)
        if name.startswith(PREFIX)
    }


@pytest.fixture(params=["on", "off"], ids=["tickets", "no tickets"])
def tickets(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(open_path: Path, certificates: Certificates, tickets: str) -> Iterator[Gateway]:
    with start(
        open_path, certificates, f"ssl_session_cache shared:SSL:1m; ssl_session_tickets {tickets};"
    ) as running:
        yield running


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_200_reconnects_and_a_killed_worker(
    gateway: Gateway, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    client = Returning(certificates, version)
    assert not client.connect(gateway.port)
    resumed = sum(client.connect(gateway.port) for _ in range(RECONNECTS))
    assert resumed >= RECONNECTS - 1
    served = set(re.findall(r"\[info\] (\d+)#\d+: \*\d+ client \S+ connected", gateway.log()))
    assert served == {str(pid) for pid in gateway.workers}, "one worker served everybody: nothing was shared"
    victim = gateway.workers[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in gateway.workers and len(gateway.workers) == 2, "another worker")
    # The new one knows the old sessions and keys, and the survivor is not blocked.
    resumed = sum(client.connect(gateway.port) for _ in range(RECONNECTS))
    assert resumed >= RECONNECTS - 1
    complaints = re.findall(r"\[(?:warn|alert|crit|emerg)\].*", gateway.log())
    assert len(complaints) == 1, complaints
    assert f"worker process {victim} exited on signal 9" in complaints[0]


def test_sessions_survive_a_reload(gateway: Gateway, certificates: Certificates) -> None:
    client = Returning(certificates, ssl.TLSVersion.TLSv1_3)
    assert not client.connect(gateway.port)
    for _ in range(3):
        before = gateway.workers
        gateway.process.signal(signal.SIGHUP)
        wait_until(lambda: len(gateway.workers) == 2 and not set(before) & set(gateway.workers), "other workers")  # noqa: B023 - called at once
        assert client.connect(gateway.port)
        assert client.connect(gateway.port)


def test_servers_share_a_zone(gateway: Gateway, certificates: Certificates) -> None:
    client = Returning(certificates, ssl.TLSVersion.TLSv1_3)
    assert not client.connect(gateway.ports[0])
    assert client.connect(gateway.ports[1])
    assert client.connect(gateway.ports[0])


def test_a_session_is_not_for_another_certificate(
    open_path: Path, certificates: Certificates, tickets: str
) -> None:
    settings = f"ssl_session_cache shared:SSL:1m; ssl_session_tickets {tickets};"
    with start(open_path, certificates, settings, other=certificates.directives("rsa")) as gateway:
        client = Returning(certificates, ssl.TLSVersion.TLSv1_3)
        assert not client.connect(gateway.ports[0])
        assert client.connect(gateway.ports[0])
        assert not client.connect(gateway.ports[1])


def test_workers_that_are_killed_while_they_write(gateway: Gateway, certificates: Certificates) -> None:
    clients = [Returning(certificates, ssl.TLSVersion.TLSv1_2) for _ in range(2)]
    for client in clients:
        client.connect(gateway.port)
    for turn in range(6):
        victim = gateway.workers[turn % 2]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in gateway.workers, "the worker to be gone")  # noqa: B023 - called at once
        wait_until(lambda: len(gateway.workers) == 2, "another worker")
        assert all(client.connect(gateway.port) for client in clients)
        Returning(certificates, ssl.TLSVersion.TLSv1_2).connect(gateway.port)


def test_what_lies_on_disk(gateway: Gateway, certificates: Certificates) -> None:
    assert not Returning(certificates, ssl.TLSVersion.TLSv1_2).connect(gateway.port)
    wait_until(lambda: all(zone_files(pid) for pid in gateway.workers), "the workers to open the zone")
    found = {path for pid in gateway.workers for path in zone_files(pid)}
    assert len(found) == 1
    (zone,) = found
    expected = os.geteuid() or 65534
    state = zone.parent.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o700, expected)
    assert sorted(path.name for path in zone.parent.iterdir()) == [zone.name, f"{zone.name}-lock"]
    for path in zone.parent.iterdir():
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (0o600, expected)
    assert not zone_files(gateway.process.pid), "the master has nothing to do in it"
    gateway.stop()
    assert not zone.parent.exists()


def test_the_next_master_removes_what_a_killed_one_left(open_path: Path, certificates: Certificates) -> None:
    settings = "ssl_session_cache shared:SSL:1m;"
    gateway = start(open_path / "first", certificates, settings)
    wait_until(lambda: all(zone_files(pid) for pid in gateway.workers), "the workers to open the zone")
    (zone,) = zone_files(gateway.workers[0])
    workers = gateway.workers
    gateway.process.signal(signal.SIGKILL)
    gateway.process.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the orphans to end")
    # Another daemon that runs, perhaps in another test, may have removed it already: that is what they do.
    with start(open_path / "second", certificates, settings):
        assert not zone.parent.exists()


def test_a_test_of_the_configuration_makes_nothing(open_path: Path, certificates: Certificates) -> None:
    key = open_path / "ticket.key"
    key.write_bytes(os.urandom(80))
    settings = f"ssl_session_cache builtin shared:SSL:1m; ssl_session_ticket_key {key};"
    mail = MAIL.format(certificates=certificates.directives("ecdsa"), settings=settings, other="")
    write_configuration(open_path, mail.format(claim_port(), claim_port()))
    before = sorted(path.name for path in open_path.iterdir())
    done = subprocess.run(
        command(open_path, "-t"),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "test is successful" in done.stderr
    imported = set(re.findall(r"^import time: .*\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "gatepost.store.zones" in imported
    assert "lmdb" not in imported
    after = sorted(path.name for path in open_path.iterdir() if path.name != "error.log")
    assert after == before


@pytest.mark.parametrize("size", [48, 80])
def test_a_ticket_key_in_a_file_outlives_the_daemon(open_path: Path, certificates: Certificates, size: int) -> None:
    key = open_path / "ticket.key"
    key.write_bytes(os.urandom(size))
    settings = f"ssl_session_ticket_key {key};"
    client = Returning(certificates, ssl.TLSVersion.TLSv1_3)
    with start(open_path / "first", certificates, settings) as gateway:
        assert not client.connect(gateway.port)
        assert client.connect(gateway.port)
    with start(open_path / "second", certificates, settings) as gateway:
        assert client.connect(gateway.port)
        assert client.connect(gateway.ports[1])


def test_without_a_key_and_a_zone_all_workers_still_agree(open_path: Path, certificates: Certificates) -> None:
    client = Returning(certificates, ssl.TLSVersion.TLSv1_3)
    with start(open_path / "first", certificates, "") as gateway:
        assert not client.connect(gateway.port)
        assert all(client.connect(gateway.port) for _ in range(40))
    with start(open_path / "second", certificates, "") as gateway:
        assert not client.connect(gateway.port)


def test_nothing_secret_is_logged(open_path: Path, certificates: Certificates) -> None:
    key = open_path / "ticket.key"
    secret = os.urandom(40).hex().encode()  # 80 bytes that would be readable in a log
    key.write_bytes(secret)
    settings = (
        f"ssl_session_ticket_key {key}; ssl_session_cache shared:SSL:1m; error_log {open_path}/all.log debug;"
    )
    with start(open_path, certificates, settings) as gateway:
        client = Returning(certificates, ssl.TLSVersion.TLSv1_3)
        for _ in range(3):
            client.connect(gateway.port)
    written = gateway.log() + (open_path / "all.log").read_text(errors="replace")
    assert "client" in written
    for start_at in range(0, 80, 16):
        assert secret[start_at : start_at + 16].decode() not in written
