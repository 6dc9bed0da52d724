"""The master from outside: how it starts, and when it does not."""

import subprocess
from pathlib import Path

from tests.functional.gateway import Gateway, command, write_configuration
from tests.functional.line_client import LineClient
from tests.functional.ports import claim_port
from tests.functional.waiting import LIMIT_SECONDS

MAIL = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"


def test_the_pid_file_of_a_running_daemon_is_left_alone(open_path: Path) -> None:
    with Gateway(open_path, MAIL) as gateway:
        write_configuration(open_path, MAIL.format(claim_port()))
        done = subprocess.run(
            command(open_path), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
        assert done.returncode == 1
        path = open_path / "gatepost.pid"
        assert f'[emerg] "{path}" is the pid file of process {gateway.process.pid}, which is running' in done.stderr
        assert path.read_text() == f"{gateway.process.pid}\n"


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
