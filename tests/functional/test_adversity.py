"""A machine that gives the master too little, and configurations that only a worker can find wrong."""

import errno
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import gatepost
from tests.worker.scene import GREETING, SERVER, echo, logged_in

from .certificates import Certificates
from .gateway import Gateway, command, write_configuration
from .line_client import LineClient
from .ports import claim_port
from .process import Process, descriptors, program
from .scripted_backend import ScriptedBackend
from .waiting import LIMIT_SECONDS, wait_until

MAIL = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"
NOBODY = 65534
DEAF = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
ONE_ROW = """
import sys
from gatepost.cli.main import main
from gatepost.worker.scoreboard import Scoreboard
Scoreboard.__init__.__defaults__ = (1,)
sys.exit(main(sys.argv[4:]))
"""  # what follows is python, -m and the name of the program
IS_ROOT = os.geteuid() == 0


def greets(port: int) -> None:
    with LineClient.plain(port) as client:
        assert client.line() == GREETING


def unprivileged(directory: Path) -> tuple[str, ...]:
    """What starts the daemon as somebody who is not root, and who may write to ``directory``."""
    if not IS_ROOT:
        return ()
    os.chown(directory, NOBODY, -1)
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def test_a_configuration_under_which_no_worker_can_live_leaves_the_old_ones_serving(open_path: Path) -> None:
    forbidden = open_path / "forbidden"
    forbidden.mkdir(0)
    as_nobody = unprivileged(open_path)
    with ScriptedBackend(echo) as backend:
        mail = SERVER.format(backend=backend.port)
        with Gateway(open_path, mail, workers=2, before=as_nobody) as gateway:
            gateway.wait_until_serving()
            before = gateway.workers
            write_configuration(
                open_path, mail.format(gateway.port), main=f"working_directory {forbidden};", workers=2
            )
            gateway.process.signal(signal.SIGHUP)
            gateway.wait_for_log(r"\[emerg\].*no worker can serve the new configuration; those of the old")
            assert gateway.workers == before
            with logged_in(gateway.port) as client:
                write_configuration(open_path, mail.format(gateway.port), workers=1)
                gateway.process.signal(signal.SIGHUP)
                wait_until(lambda: len(set(gateway.workers) - set(before)) == 1, "a new worker")
                wait_until(lambda: len(gateway.workers) == 2, "those without a session to end")
                client.send(b"still here\r\n")
                assert client.line() == b"still here"
            wait_until(lambda: len(gateway.workers) == 1, "the last of the old ones to end")
            greets(gateway.port)


def test_deaths_are_noticed_by_a_master_that_was_told_to_ignore_them(open_path: Path) -> None:
    with Gateway(open_path, MAIL, before=(sys.executable, "-c", DEAF)) as gateway:
        (victim,) = gateway.workers
        os.kill(victim, signal.SIGKILL)
        gateway.wait_for_log(rf"worker process {victim} exited on signal 9")
        wait_until(lambda: len(gateway.workers) == 1 and victim not in gateway.workers, "a new worker")
        greets(gateway.port)


def test_no_more_processes_means_waiting_for_one(open_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    before = unprivileged(open_path)  # root may have as many as it likes
    with Gateway(open_path, MAIL, workers=2, before=before) as gateway:
        master = gateway.process.pid
        gateway.wait_until_serving()
        old = gateway.workers
        opened = descriptors(master)

        def allow(processes: int | str) -> None:
            limit = (program("prlimit"), "--pid", str(master), f"--nproc={processes}:")
            subprocess.run((*before, *limit), check=True, timeout=LIMIT_SECONDS)

        allow(1)
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(rf"\[alert\].*fork\(\) failed \({errno.EAGAIN}: ")
        assert gateway.workers == old
        greets(gateway.port)
        allow("unlimited" if most == resource.RLIM_INFINITY else most)
        wait_until(lambda: len(gateway.workers) == 2 and not set(old) & set(gateway.workers), "new workers alone")
        greets(gateway.port)
        assert descriptors(master) == opened


def test_a_worker_that_cannot_be_told_is_said_and_the_master_lives(open_path: Path) -> None:
    # A container may lack CAP_KILL. Who is not root has workers of its own user, and can tell them.
    before = ("setpriv", "--bounding-set=-kill") if IS_ROOT else ()
    with Gateway(open_path, MAIL, before=before) as gateway:
        gateway.wait_until_serving()
        gateway.process.signal(signal.SIGUSR1)
        gateway.wait_for_log("reopening logs")
        if IS_ROOT:
            gateway.wait_for_log(rf"\[alert\].*kill\({gateway.workers[0]}, {int(signal.SIGUSR1)}\) failed \(1: ")
        greets(gateway.port)
        worker = gateway.workers[0]
        gateway.process.signal(signal.SIGTERM)
        gateway.process.wait()
        wait_until(lambda: not os.path.exists(f"/proc/{worker}"), "the worker to end")


def test_a_reload_that_fails_resets_nobody(open_path: Path) -> None:
    with (
        Gateway(open_path, MAIL) as gateway,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        gateway.wait_until_serving()
        port = taken.getsockname()[1]
        both = f"listen 127.0.0.1:{gateway.port}; listen 127.0.0.1:{claim_port()}; listen 127.0.0.1:{port};"
        write_configuration(open_path, f"proxy_pass 127.0.0.1:9; server {{ {both} protocol imap; }}", workers=4)
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log("try again to bind")
        for _ in range(40):  # of the sockets for more workers three in four would get to nobody
            greets(gateway.port)
        gateway.wait_for_log(r"\[emerg\].*stays in force")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("daemon", ["on", "off"])
def test_started_without_standard_descriptors(open_path: Path, closed: str, daemon: str) -> None:
    path = write_configuration(open_path, MAIL.format(port := claim_port()))
    path.write_text(path.read_text().replace("daemon off;", f"daemon {daemon};"))
    with Process(("sh", "-c", f'exec "$@" {closed}', "sh", *command(open_path)), open_path / "output") as process:
        pid_file = open_path / "gatepost.pid"
        wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the pid file")
        master = int(pid_file.read_text())
        try:
            greets(port)
        finally:
            os.kill(master, signal.SIGTERM)
        wait_until(lambda: not pid_file.exists(), "the end")
        assert process.wait() == 0
    assert "exited on" not in (open_path / "error.log").read_text()


def test_a_reload_of_a_broken_installation_changes_nothing(open_path: Path, certificates: Certificates) -> None:
    """A package that is just being replaced."""
    copy = open_path / "installed"
    source = Path(gatepost.__file__).parent
    shutil.copytree(source, copy / "gatepost")
    path = f"PYTHONPATH={copy}{os.pathsep}{source.parent}"  # what compiled modules share lies beside the package
    with Gateway(open_path, MAIL, before=("env", path)) as gateway:
        gateway.wait_until_serving()
        before = gateway.workers
        (copy / "gatepost" / "store" / "lmdb.py").unlink()
        shutil.rmtree(copy / "gatepost" / "store" / "__pycache__", ignore_errors=True)
        mail = f"starttls on; ssl_session_cache shared:SSL:1m; {certificates.directives('ecdsa')} " + MAIL.format(
            gateway.port
        )
        write_configuration(open_path, mail)
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(r"\[emerg\].*reload failed \(ImportError at .*; the old configuration stays in force")
        assert gateway.workers == before
        greets(gateway.port)


def test_a_pid_file_that_cannot_be_is_said_before_the_daemon_is_left_alone(open_path: Path) -> None:
    path = write_configuration(open_path, MAIL.format(claim_port()))
    text = path.read_text().replace("daemon off;", "daemon on;")
    path.write_text(text.replace(f"pid {open_path}/", f"pid {open_path}/nowhere/"))
    done = subprocess.run(command(open_path), capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    assert done.returncode == 1
    assert "nowhere/gatepost.pid" in done.stderr


def test_a_working_directory_that_is_none_changes_nothing(open_path: Path) -> None:
    with Gateway(open_path, MAIL) as gateway:
        before = gateway.workers
        write_configuration(open_path, MAIL.format(gateway.port), main="working_directory /nonexistent;")
        done = subprocess.run(command(open_path, "-t"), capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 1
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(r'\[emerg\].*chdir\("/nonexistent"\) failed .* in .*:\d+; the old configuration stays')
        assert gateway.workers == before


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_at_the_first_moment_ends_nobody(open_path: Path, number: signal.Signals) -> None:
    write_configuration(open_path, MAIL.format(port := claim_port()))
    pid_file = open_path / "gatepost.pid"
    with Process(command(open_path), open_path / "output") as process:
        wait_until(lambda: pid_file.exists() and pid_file.read_text(), "the pid file", step_seconds=0)
        process.signal(number)
        greets(port)
        assert process.status is None


def test_workers_for_whom_the_scoreboard_has_no_room_replace_others_too(open_path: Path) -> None:
    with Gateway(open_path, MAIL, workers=2, before=(sys.executable, "-c", ONE_ROW)) as gateway:
        for _ in range(3):
            before = gateway.workers
            gateway.process.signal(signal.SIGHUP)
            wait_until(lambda: len(set(gateway.workers) - set(before)) == 2, "new workers")  # noqa: B023 - at once
            wait_until(lambda: not set(gateway.workers) & set(before), "the old ones to end")  # noqa: B023 - at once
            greets(gateway.port)
