"""A worker as its clients meet it, and what it does when its master is gone."""

import shutil
import signal
from pathlib import Path

import pytest

import gatepost
from tests.functional.certificates import make_certificates
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient
from tests.functional.process import alive
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.waiting import wait_until

from .scene import GREETING, SERVER, echo, logged_in


def test_orphaned_it_finishes_its_sessions_and_accepts_no_more(open_path: Path) -> None:
    with ScriptedBackend(echo) as backend:
        gateway = Gateway(open_path, SERVER.format(backend=backend.port))
        (worker,) = gateway.workers
        client = logged_in(gateway.port)
        gateway.process.signal(signal.SIGKILL)
        gateway.process.wait()
        gateway.wait_for_log(r"\[alert\].*the master process is gone")
        client.send(b"not cut\r\n")
        assert client.line() == b"not cut"
        client.close()
        wait_until(lambda: not alive(worker), "the orphaned worker to end")


def test_the_old_word_for_tls_means_tls(open_path: Path) -> None:
    certificates = make_certificates(open_path)
    mail = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; ssl on; }}"
    with (
        Gateway(open_path, certificates.directives("ecdsa") + mail) as gateway,
        LineClient.tls(gateway.port, certificates.client_context()) as client,
    ):
        assert client.line() == GREETING


def test_its_code_may_lie_where_its_user_cannot_read(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = open_path / "private"
    shutil.copytree(Path(gatepost.__file__).parent, private / "gatepost")
    private.chmod(0o700)
    monkeypatch.setenv("PYTHONPATH", str(private))
    mail = (
        "auth_http 127.0.0.1:9/; resolver 127.0.0.1:9; "
        "server {{ listen 127.0.0.1:{0}; protocol imap; }} server {{ listen 127.0.0.1:{1}; protocol smtp; }}"
    )
    with Gateway(open_path, mail, ports=2) as gateway, LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        client.send(b"a LOGIN u p\r\n")
        assert client.line() == b"* BAD internal server error"
        gateway.wait_for_log("while in http auth state")
