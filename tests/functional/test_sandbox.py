"""The daemon within the limits of its unit file: all that it does still works, and it has no power beyond them."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.tls._load import load_api
from tests.packaging.unit_file import PACKAGING, UnitFile
from tests.worker.scene import GREETING, echo

from .certificates import make_certificates
from .gateway import command, write_configuration
from .line_client import LineClient
from .ports import claim_port
from .process import Process, children
from .sandbox import CAPABILITIES
from .scripted_backend import ScriptedBackend
from .waiting import LIMIT_SECONDS, wait_until

UNIT = PACKAGING / "systemd" / "gatepost.service"
INSIDE = (sys.executable, "-m", "tests.functional.sandbox", str(UNIT))

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="only systemd knows its groups of calls"
)


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests as modules, behind whatever form of gatepost is to be tried."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*filter(None, before), str(PACKAGING.parent)]))


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(echo) as running:
        yield running


def status_of(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def compiled() -> bool:
    try:
        load_api()
    except ConfigError:
        return False
    return True


class Inside:
    """The daemon, with TLS where that can be: only the compiled binding can serve within these limits."""

    def __init__(self, place: Path, backend: ScriptedBackend) -> None:
        self.place = place
        self.certificates = make_certificates(place)
        self.tls = compiled()
        self.port = claim_port()
        ssl = "ssl" if self.tls else ""
        write_configuration(
            place,
            f"""
            {self.certificates.directives("ecdsa", "rsa") if self.tls else ""}
            {"ssl_session_cache shared:TLS:1m;" if self.tls else ""}
            proxy_pass 127.0.0.1:{backend.port};
            resolver 127.0.0.1:{claim_port()};
            resolver_timeout 1s;
            server {{ listen 127.0.0.1:{self.port} {ssl}; listen unix:{place}/mail; protocol imap; }}
            server {{ listen 127.0.0.1:{claim_port()}; protocol smtp; }}
            """,
            main="worker_rlimit_nofile 512;",
            workers=2,
        )
        self.process = Process((*INSIDE, *command(place)), place / "output")

    @property
    def workers(self) -> Sequence[int]:
        return children(self.process.pid)

    def log(self) -> str:
        path = self.place / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, pattern: str) -> None:
        wait_until(
            lambda: re.search(pattern, self.log()), f"{pattern} in the log, {self.process.text()} {self.log()}"
        )

    def logs_a_login(self) -> bool:
        """A worker that has not yet heard of a new log writes into the old one."""
        self.log_in().close()
        return "client logged in" in self.log()

    def log_in(self) -> LineClient:
        if self.tls:
            client = LineClient.tls(self.port, self.certificates.client_context())
        else:
            client = LineClient.plain(self.port)
        assert client.line() == GREETING
        client.send(b"a LOGIN u p\r\n")
        assert client.line() == b"a OK in"
        return client


@pytest.fixture
def inside(open_path: Path, backend: ScriptedBackend) -> Iterator[Inside]:
    daemon = Inside(open_path, backend)
    try:
        wait_until(lambda: len(daemon.workers) == 2 or daemon.process.status is not None, "two workers, or the end")
        assert daemon.process.status is None, daemon.process.text() + daemon.log()
        yield daemon
    finally:
        if daemon.process.status is None:
            daemon.process.stop()


def test_everything_works_within_the_limits(inside: Inside) -> None:
    with inside.log_in() as first:
        before = set(inside.workers)
        inside.process.signal(signal.SIGHUP)
        wait_until(lambda: len(set(inside.workers) - before) == 2, f"new workers: {inside.log()}")
        log = inside.place / "error.log"
        log.rename(inside.place / "error.log.1")
        inside.process.signal(signal.SIGUSR1)
        wait_until(inside.logs_a_login, "logins in the new log")
        victim = next(iter(set(inside.workers) - before))
        os.kill(victim, signal.SIGKILL)
        inside.wait_for_log(rf"worker process {victim} exited on signal 9")
        wait_until(lambda: len(set(inside.workers) - before) == 2, "a new worker")
        inside.log_in().close()
        first.send(b"from the beginning\r\n")
        assert first.line() == b"from the beginning"
    assert inside.process.stop() == 0
    assert "[alert]" not in re.sub(r".*exited on signal 9", "", inside.log())
    assert "not permitted" not in inside.log() + (inside.place / "error.log.1").read_text()
    assert not (inside.place / "mail").exists()
    assert not (inside.place / "gatepost.pid").exists()


def test_it_has_no_more_power_than_the_unit_gives(inside: Inside) -> None:
    inside.log_in().close()
    unit = UnitFile(UNIT)
    given = sum(1 << CAPABILITIES[word] for word in unit.words("Service", "CapabilityBoundingSet"))
    master = status_of(inside.process.pid)
    for status in (master, *map(status_of, inside.workers)):
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert int(status["Umask"], 8) == int(unit.one("Service", "UMask"), 8)
        if os.geteuid() == 0:
            assert int(status["CapBnd"], 16) == given
    if os.geteuid() == 0:
        assert int(master["CapEff"], 16) == given
    for worker in inside.workers:
        # One that has hardly begun has yet to give them up.
        wait_until(lambda: int(status_of(worker)["CapEff"], 16) == 0, "no capabilities")  # noqa: B023 - at once
    for made in ("error.log", "gatepost.pid"):
        assert (inside.place / made).stat().st_mode & 0o077 == 0


def test_without_the_compiled_binding_it_says_what_is_missing(open_path: Path) -> None:
    certificates = make_certificates(open_path)
    write_configuration(
        open_path,
        f"""{certificates.directives("ecdsa")} proxy_pass 127.0.0.1:9;
        server {{ listen 127.0.0.1:{claim_port()} ssl; protocol imap; }}""",
    )
    done = subprocess.run(
        (*INSIDE, *command(open_path, "-t")),
        env={**os.environ, "GATEPOST_TLS": "abi"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert (
        "[emerg] memory that can be written and executed is forbidden here (MemoryDenyWriteExecute=)" in done.stderr
    )
    assert 'without the compiled TLS module; "python -m gatepost.tls.build" makes it' in done.stderr
    assert "Traceback" not in done.stderr
