"""Logs while sessions go on: syslog, full disks, files that come and go. No log is worth a session."""

import contextlib
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.syslog_daemon import Daemon
from tests.worker.scene import GREETING, echo, logged_in

from .auth_service import AuthService, accept
from .gateway import Gateway, write_configuration
from .line_client import LineClient
from .scripted_backend import ScriptedBackend
from .waiting import wait_until

STAMP = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"

SERVER = """
    auth_http 127.0.0.1:%d;
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
        %s
    }}
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(echo) as running:
        yield running


@pytest.fixture(scope="module")
def service(backend: ScriptedBackend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port)) as running:
        yield running


def still_there(client: LineClient) -> None:
    client.send(b"not cut\r\n")
    assert client.line() == b"not cut"


class Collected:
    """All that a daemon has been sent, in order."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.lines: list[str] = []

    def wait_for(self, pattern: str) -> str:
        """The first line that has the regular expression, as soon as there is one."""

        def found() -> list[str]:
            self.lines += self.daemon.texts()
            return [line for line in self.lines if re.search(pattern, line)]

        wait_until(found, f"{pattern} among {self.lines}")
        return found()[0]


def test_a_session_in_syslog_is_as_nginx_sends_it(open_path: Path, service: AuthService) -> None:
    with Daemon(open_path / "log") as daemon:
        log = f"error_log syslog:server=unix:{daemon.path},facility=mail,tag=edge,nohostname info;"
        with Gateway(open_path, SERVER % (service.port, log)) as gateway:
            logged_in(gateway.port).close()
            collected = Collected(daemon)
            collected.wait_for("proxied session done")
            connected, joined, done = (line for line in collected.lines if re.search(r"#\d+: \*1 ", line))
            head = rf"[A-Z][a-z]{{2}} [ 123]\d \d\d:\d\d:\d\d edge: {STAMP} \[info\] \d+#\d+: \*1 "
            server = f"127.0.0.1:{gateway.port}"
            assert re.fullmatch(rf"<22>{head}client 127\.0\.0\.1:\d+ connected to {server}", connected)
            end = rf', client: 127\.0\.0\.1, server: {server}, login: "u", upstream: 127\.0\.0\.1:\d+'
            assert re.fullmatch(f"<22>{head}client logged in{end}", joined)
            assert re.fullmatch(f"<22>{head}proxied session done{end}", done)
            # What happens outside of sessions is in the main log.
            assert "client logged in" not in gateway.log()


def test_a_syslog_daemon_may_be_restarted_under_a_session(open_path: Path, service: AuthService) -> None:
    path = open_path / "log"
    mail = SERVER % (service.port, f"error_log syslog:server=unix:{path},tag=edge info;")
    with Daemon(path) as daemon:
        gateway = Gateway(open_path, mail)
        client = logged_in(gateway.port)
        Collected(daemon).wait_for("client logged in")
    with gateway, client:
        still_there(client)
        logged_in(gateway.port).close()  # nobody hears of this one
        still_there(client)
        with Daemon(path) as daemon:
            collected = Collected(daemon)
            logged_in(gateway.port).close()
            collected.wait_for("client logged in")
            lost = collected.wait_for(r"\d+ lines before the last one were lost")
            assert re.match(r"<188>", lost)
        still_there(client)
    assert re.search(rf"\[alert\].*syslog server unix:{path} takes no lines \(2: No such", gateway.process.text())


def test_a_syslog_daemon_that_hangs_holds_up_nobody(open_path: Path, service: AuthService) -> None:
    with Daemon(open_path / "log") as daemon:
        mail = SERVER % (service.port, f"error_log syslog:server=unix:{daemon.path},tag=edge info;")
        with Gateway(open_path, mail) as gateway:
            # More lines than the queue of a socket holds, which nobody reads meanwhile.
            for _ in range(400):
                logged_in(gateway.port).close()
            assert 0 < len(daemon.datagrams()) < 1200
            logged_in(gateway.port).close()
            Collected(daemon).wait_for("client logged in")


def test_a_full_disk_costs_no_session(open_path: Path, service: AuthService) -> None:
    with Gateway(open_path, SERVER % (service.port, "error_log /dev/full info;")) as gateway:
        for _ in range(3):
            with logged_in(gateway.port) as client:
                still_there(client)
        assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_reopening_without_the_directory_keeps_the_old_file(open_path: Path, service: AuthService) -> None:
    logs = open_path / "logs"
    logs.mkdir()
    logs.chmod(0o777)
    mail = SERVER % (service.port, f"error_log {logs}/session.log info;")
    with Gateway(open_path, mail) as gateway, logged_in(gateway.port) as client:
        logs.rename(open_path / "moved")
        gateway.process.signal(signal.SIGUSR1)
        failed = rf'open\(\) "{logs}/session\.log" failed \(2: No such file or directory\)'
        gateway.wait_for_log(rf"(?s)\[emerg\] {gateway.process.pid}#\d+: {failed}")
        gateway.wait_for_log(rf"(?s)\[emerg\] {gateway.workers[0]}#\d+: {failed}")
        still_there(client)
        logged_in(gateway.port).close()
        session_log = open_path / "moved" / "session.log"
        wait_until(lambda: session_log.read_text().count("client logged in") == 2, "both sessions in the old file")


def open_logs(gateway: Gateway) -> set[str]:
    """Names of the files in the daemon's directory that its master holds open."""
    directory = f"/proc/{gateway.process.pid}/fd"
    paths = []
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):  # closed since
            paths.append(Path(os.readlink(f"{directory}/{name}")))
    return {path.name for path in paths if path.parent == gateway.directory} - {"output", "gatepost.pid"}


def test_a_reload_closes_logs_that_go_and_opens_those_that_come(open_path: Path, service: AuthService) -> None:
    with Gateway(open_path, SERVER % (service.port, "error_log first.log info;")) as gateway:
        assert open_logs(gateway) == {"error.log", "first.log"}
        with logged_in(gateway.port) as client:
            (worker,) = gateway.workers
            mail = SERVER % (service.port, "error_log second.log info;")
            write_configuration(open_path, mail.format(gateway.port))
            gateway.process.signal(signal.SIGHUP)
            wait_until(lambda: open_logs(gateway) == {"error.log", "second.log"}, "the logs to change")
            still_there(client)

            def in_second() -> bool:
                # The old worker accepts until the new one is there.
                logged_in(gateway.port).close()
                return "client logged in" in (open_path / "second.log").read_text()

            wait_until(in_second, "a session in the new log")
        # The session of before is told of where it began.
        wait_until(lambda: worker not in gateway.workers, "the old worker to end")
        assert "proxied session done" in (open_path / "first.log").read_text()


def test_a_reload_with_a_log_that_cannot_be_opened_changes_nothing(open_path: Path, service: AuthService) -> None:
    with Gateway(open_path, SERVER % (service.port, "error_log first.log info;")) as gateway:
        before = gateway.workers
        mail = SERVER % (service.port, "error_log second.log; error_log none/third.log;")
        write_configuration(open_path, mail.format(gateway.port))
        text = (open_path / "gatepost.conf").read_text()
        line = 1 + text[: text.index("none/third.log")].count("\n")
        gateway.process.signal(signal.SIGHUP)
        reason = rf'open\(\) "{open_path}/none/third\.log" failed \(2: No such file or directory\)'
        gateway.wait_for_log(
            rf"\[emerg\].*{reason} in {open_path}/gatepost\.conf:{line}; the old .* stays in force"
        )
        wait_until(lambda: open_logs(gateway) == {"error.log", "first.log"}, "what was opened to be closed again")
        assert gateway.workers == before
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING


def test_a_start_with_a_log_that_cannot_be_opened_says_where(open_path: Path, service: AuthService) -> None:
    mail = SERVER % (service.port, "error_log none/log;")
    with pytest.raises(RuntimeError) as caught:
        Gateway(open_path, mail)
    reason = f'open() "{open_path}/none/log" failed (2: No such file or directory) in {open_path}/gatepost.conf:'
    assert reason in str(caught.value)
