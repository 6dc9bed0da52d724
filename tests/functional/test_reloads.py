"""Reloads while clients log in all the while: nobody notices, and the master is as it was before."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import Certificates
from .gateway import Gateway, write_configuration
from .line_client import LineClient
from .process import children, memory_kib
from .scripted_backend import ScriptedBackend
from .talkers import a_few_more, knocking, repeat
from .waiting import wait_until

RELOADS = 50
WARM = 10  # reloads after which the allocator has what it needs
GROWTH_KIB = 1024  # of the master in the other reloads: far less than 40 configurations with their TLS contexts

MAIL = """
    proxy_pass 127.0.0.1:{backend};
    {certificates}
    ssl_session_cache shared:SSL:1m;
    error_log {directory}/{log}.log info;
    server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; imap_capabilities {word}; }}}}
"""


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(repeat) as running:
        yield running


class Daemon(Gateway):
    """A gateway whose configuration changes with each reload."""

    def __init__(self, directory: Path, backend: ScriptedBackend, certificates: Certificates) -> None:
        self._fields = {
            "backend": backend.port,
            "certificates": certificates.directives("ecdsa"),
            "directory": directory,
        }
        super().__init__(directory, self._mail("FIRST"), workers=2)

    def _mail(self, word: str) -> str:
        return MAIL.format(word=word, log=word.lower()[:1], **self._fields)

    def rewrite(self, word: str) -> None:
        """A configuration that clients can tell by its capability, and that logs into another file."""
        aside = self.directory / "aside"
        aside.mkdir(exist_ok=True)
        fresh = write_configuration(aside, self._mail(word).format(*self.ports), workers=2)
        fresh.write_text(fresh.read_text().replace(f"{aside}/", f"{self.directory}/"))
        fresh.replace(self.directory / fresh.name)  # whole or not at all: a reload may be reading

    def reload(self, word: str) -> None:
        """Put it into force; returns when its workers are there."""
        before = set(self.workers)
        self.rewrite(word)
        self.process.signal(signal.SIGHUP)
        wait_until(lambda: len(set(self.workers) - before) == 2, "new workers")


@pytest.fixture
def daemon(open_path: Path, backend: ScriptedBackend, certificates: Certificates) -> Iterator[Daemon]:
    with Daemon(open_path, backend, certificates) as running:
        yield running


def descriptors(pid: int) -> list[str]:
    """What a process has open, but for files that are named after a configuration."""
    directory = f"/proc/{pid}/fd"
    return sorted(os.readlink(f"{directory}/{name}").split(":")[0] for name in os.listdir(directory))


def capability(daemon: Daemon, certificates: Certificates) -> bytes:
    with LineClient.tls(daemon.port, certificates.client_context()) as client:
        client.line()
        client.send(b"a CAPABILITY\r\n")
        return client.line().split()[2]


def test_50_reloads_under_load(daemon: Daemon, certificates: Certificates) -> None:
    master = daemon.process.pid
    with knocking(daemon.port, certificates.client_context()) as served:
        for number in range(WARM):
            daemon.reload(f"WARM{number}")
        wait_until(lambda: len(daemon.workers) == 2, "the other workers to end")
        memory, opened = memory_kib(master), descriptors(master)
        for number in range(RELOADS - WARM):
            daemon.reload(f"WARM{number}")
            a_few_more(served)
        total = served()
    assert total > RELOADS
    wait_until(lambda: len(daemon.workers) == 2, "two workers, and no others")
    assert children(master) == daemon.workers
    assert descriptors(master) == opened
    assert memory_kib(master) < memory + GROWTH_KIB
    assert "emerg" not in daemon.log()
    assert "alert" not in daemon.log()


def test_reloads_that_come_faster_than_they_are_served(daemon: Daemon, certificates: Certificates) -> None:
    with knocking(daemon.port, certificates.client_context()) as served:
        for number in range(40):
            daemon.rewrite(f"B{number}")
            daemon.process.signal(signal.SIGHUP)
        daemon.rewrite("LAST")
        daemon.process.signal(signal.SIGHUP)  # one that comes while one waits is the same; the last is never lost
        wait_until(lambda: capability(daemon, certificates) == b"LAST", "the last configuration to be in force")
        wait_until(lambda: len(daemon.workers) == 2, "two workers, and no others")
        a_few_more(served)
    assert capability(daemon, certificates) == b"LAST"
    assert 1 <= daemon.log().count("reconfiguring") <= 41
    assert "exited on signal" not in daemon.log()


@pytest.mark.parametrize("garbage", [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_certificate_that_became_garbage(
    open_path: Path, backend: ScriptedBackend, certificates: Certificates, garbage: bytes
) -> None:
    """Which is what an interrupted renewal leaves: nothing changes until it is mended."""
    own = Certificates(certificates.ca, certificates.rsa, open_path / "ecdsa.pem")
    for path in (own.ecdsa, own.ecdsa.with_suffix(".key")):
        path.write_bytes((certificates.ecdsa.parent / path.name).read_bytes())
    with Daemon(open_path, backend, own) as daemon:
        before, good = daemon.workers, own.ecdsa.read_bytes()
        own.ecdsa.write_bytes(garbage)
        with knocking(daemon.port, certificates.client_context()) as served:
            for _ in range(3):
                daemon.process.signal(signal.SIGHUP)
                a_few_more(served)
            daemon.wait_for_log(
                rf'\[emerg\].*cannot load certificate "{own.ecdsa}".* in .*\.conf:\d+; '
                "the old configuration stays in force"
            )
            assert daemon.workers == before
            opened = descriptors(daemon.process.pid)
            own.ecdsa.write_bytes(good)
            daemon.reload("MENDED")
            a_few_more(served)
        wait_until(lambda: capability(daemon, certificates) == b"MENDED", "the new configuration")
        assert descriptors(daemon.process.pid) == sorted(name.replace("f.log", "m.log") for name in opened)
