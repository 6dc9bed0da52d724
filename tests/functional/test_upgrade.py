"""A binary upgrade as operators do it: a daemon whose program is replaced on disk, clients that resume sessions."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import zipapp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import gatepost
from tests.worker.scene import GREETING

from .certificates import Certificates
from .gateway import write_configuration
from .line_client import LineClient
from .ports import claim_port
from .process import alive, children
from .test_tls_sessions import Returning, start
from .upgrading import pid_in, upgraded
from .waiting import LIMIT_SECONDS, wait_until

MAIL = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{port}; protocol imap; }}"
OLD, NEW = "gatepost/0.1-old", "gatepost/0.2-new"

PACKAGE = Path(gatepost.__file__).parent


@contextmanager
def daemon(place: Path, port: int, *command: str | Path, cwd: Path | None = None) -> Iterator[Path]:
    """A daemon in the background, started by ``command``; its pid file. Whatever it has become is ended."""
    path = write_configuration(place, MAIL.format(port=port))
    path.write_text(path.read_text().replace("daemon off;", "daemon on;"))
    words = [*command, "-c", path, "-p", place, "-e", place / "error.log"]
    pid_file = place / "gatepost.pid"
    try:
        done = subprocess.run(
            list(map(str, words)), cwd=cwd, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        wait_until(lambda: children(pid_in(pid_file)), "the worker")
        yield pid_file
    finally:
        masters = [pid for pid in (pid_in(pid_file), pid_in(Path(f"{pid_file}.oldbin"))) if pid]
        for master in masters:
            if alive(master):
                os.kill(master, signal.SIGTERM)
        wait_until(lambda: not any(map(alive, masters)), "the daemon to end")


def upgrade(pid_file: Path, port: int) -> int:
    """Replace the running master by a new one; the process id of that."""
    old = pid_in(pid_file)
    os.kill(old, signal.SIGUSR2)
    wait_until(lambda: pid_in(pid_file) not in (0, old), "a new master")
    new = pid_in(pid_file)
    wait_until(lambda: children(new), "its worker")
    os.kill(old, signal.SIGQUIT)
    wait_until(lambda: not alive(old), "the old master to end")
    with LineClient.plain(port) as client:
        assert client.line() == GREETING
    assert not Path(f"{pid_file}.oldbin").exists()
    return new


def versions(place: Path) -> list[str]:
    """Which programs have started, in their order."""
    return [
        line.split("#0: ")[1] for line in (place / "error.log").read_text().splitlines() if "#0: gatepost/" in line
    ]


def package(directory: Path, version: str) -> Path:
    """A copy of the program that says it is of that version."""
    target = directory / "gatepost"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    for beside in PACKAGE.parent.glob("gatepost_compiled*"):  # what its compiled modules load, where they are
        shutil.copy(beside, directory)
    init = target / "__init__.py"
    lines = [line for line in init.read_text().splitlines() if not line.startswith("__version__")]
    init.write_text("\n".join([*lines, f'__version__ = "{version.removeprefix("gatepost/")}"', ""]))
    return directory


def script(path: Path, source: Path) -> Path:
    """What pip makes of ``gatepost.cli.main:main``, for the package in ``source``."""
    path.unlink(missing_ok=True)
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(source)!r})\n"
        "from gatepost.cli.main import main\nsys.exit(main())\n"
    )
    path.chmod(0o755)
    return path


def test_a_script_that_was_replaced_starts_what_it_is_now(open_path: Path) -> None:
    old, new = package(open_path / "1", OLD), package(open_path / "2", NEW)
    port, program = claim_port(), script(open_path / "program", old)
    with daemon(open_path, port, program) as pid_file:
        script(program, new)
        assert os.getsid(upgrade(pid_file, port)) == pid_in(pid_file)
        assert versions(open_path) == [OLD, NEW]
        assert os.getpgid(pid_in(pid_file)) == pid_in(pid_file)


def test_a_link_that_leads_elsewhere_now_is_followed_and_names_may_be_relative(open_path: Path) -> None:
    versioned = [package(open_path / name, version) for name, version in (("1", OLD), ("2", NEW))]
    for directory in versioned:
        script(directory / "program", directory)
    link, port = open_path / "current", claim_port()
    link.symlink_to(versioned[0])
    with daemon(open_path, port, "current/program", cwd=open_path) as pid_file:
        link.unlink()
        link.symlink_to(versioned[1])
        upgrade(pid_file, port)
        assert versions(open_path) == [OLD, NEW]


def test_a_package_that_was_replaced(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current, port = package(open_path / "1", OLD), claim_port()
    monkeypatch.setenv("PYTHONPATH", str(current))
    with daemon(open_path, port, sys.executable, "-m", "gatepost") as pid_file:
        shutil.rmtree(current)
        package(current, NEW)
        upgrade(pid_file, port)
        assert versions(open_path) == [OLD, NEW]


def test_a_zipapp_that_was_replaced(open_path: Path) -> None:
    target, port = open_path / "gatepost.pyz", claim_port()

    def write(version: str) -> None:
        source = package(open_path / version.replace("/", "-"), version)
        for compiled in source.rglob("*.so"):
            compiled.unlink()  # nothing compiled can be loaded from an archive
        aside = target.with_suffix(".new")
        zipapp.create_archive(source, aside, interpreter=sys.executable, main="gatepost.cli.main:main")
        aside.replace(target)

    write(OLD)
    with daemon(open_path, port, target) as pid_file:
        write(NEW)
        upgrade(pid_file, port)
        assert versions(open_path) == [OLD, NEW]


def test_a_program_that_is_gone_or_broken_changes_nothing(open_path: Path) -> None:
    port, program = claim_port(), script(open_path / "program", package(open_path / "1", OLD))
    log = open_path / "error.log"
    missing = f'execve() "{program}" failed (2: No such file or directory), the binary is not changed'
    broken = (
        (None, missing),
        ("#!/none/python\n", missing),
        (f"#!{sys.executable}\nimport none\n", "No module named 'none'"),
        (f"#!{sys.executable}\nraise SystemExit(3)\n", "exited with code 3"),
    )
    with daemon(open_path, port, program) as pid_file:
        master = pid_in(pid_file)
        for text, why in broken:
            program.unlink(missing_ok=True)
            if text is not None:
                program.write_text(text)
                program.chmod(0o755)
            before = log.read_text().count(why)
            os.kill(master, signal.SIGUSR2)
            wait_until(lambda: log.read_text().count(why) > before, why)  # noqa: B023 - at once
            wait_until(lambda: pid_in(pid_file) == master, "the pid file to be taken back")
            with LineClient.plain(port) as client:
                assert client.line() == GREETING
        script(program, open_path / "1")
        upgrade(pid_file, port)


@pytest.mark.parametrize("tickets", ["on", "off"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_sessions_are_resumed_by_the_new_program_and_after_the_way_back_by_the_old(
    open_path: Path, certificates: Certificates, tickets: str, version: ssl.TLSVersion
) -> None:
    settings = f"ssl_session_cache shared:SSL:1m; ssl_session_tickets {tickets};"
    with start(open_path, certificates, settings) as gateway:
        client, another = Returning(certificates, version), Returning(certificates, version)
        assert not client.connect(gateway.port)
        with upgraded(gateway):
            gateway.process.signal(signal.SIGWINCH)
            wait_until(lambda: not gateway.workers, "the old workers to end")
            assert client.connect(gateway.port)
            assert not another.connect(gateway.port)
        wait_until(lambda: len(gateway.workers) == 2, "the old workers to come back")
        for returning in (client, another):
            assert returning.connect(gateway.port)
        with upgraded(gateway):
            gateway.process.signal(signal.SIGQUIT)
            assert gateway.process.wait() == 0
            for returning in (client, another):
                assert returning.connect(gateway.port)
