"""A worker as its clients meet it: limits, routes, and what it does when its master is gone."""

import contextlib
import shutil
import signal
from pathlib import Path

import pytest

import gatepost
from tests.functional.certificates import make_certificates
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient
from tests.functional.process import alive
from tests.functional.scripted_backend import ScriptedBackend, imap_login
from tests.functional.waiting import wait_until

SERVER = "proxy_pass 127.0.0.1:{backend}; server {{{{ listen 127.0.0.1:{{0}}; protocol imap; }}}}"
GREETING = b"* OK IMAP4 ready"


def echo(conversation: LineClient) -> None:
    """A backend that accepts every login and then repeats each line."""
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    while True:
        conversation.send(conversation.line() + b"\r\n")


def logged_in(port: int) -> LineClient:
    client = LineClient.plain(port)
    assert client.line() == GREETING
    client.send(b"a LOGIN u p\r\n")
    assert client.line() == b"a OK in"
    return client


def closed_at_once(port: int) -> bool:
    """Whether a new connection is closed without a greeting."""
    with LineClient.plain(port) as client:
        try:
            client.line()
        except (EOFError, ConnectionResetError):
            return True
        return False


def test_more_connections_than_allowed_are_closed_and_room_is_used_again(open_path: Path) -> None:
    with (
        ScriptedBackend(echo) as backend,
        Gateway(open_path, SERVER.format(backend=backend.port), connections=6) as gateway,
    ):
        first, second = logged_in(gateway.port), logged_in(gateway.port)
        with LineClient.plain(gateway.port) as third:
            assert third.line() == GREETING  # one listener, two relays with two sockets each, one session: 6
            assert closed_at_once(gateway.port)
            gateway.wait_for_log(r"\[alert\].* 6 worker_connections are not enough")
            second.close()
            gateway.wait_for_log("proxied session done")
            with LineClient.plain(gateway.port) as fourth:
                assert fourth.line() == GREETING
        first.send(b"still here\r\n")
        assert first.line() == b"still here"
        first.close()


def test_without_descriptors_it_pauses_and_recovers(open_path: Path) -> None:
    with (
        ScriptedBackend(echo) as backend,
        Gateway(open_path, SERVER.format(backend=backend.port), main="worker_rlimit_nofile 40;") as gateway,
        logged_in(gateway.port) as client,
        contextlib.ExitStack() as crowd,
    ):
        waiting = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(40)]
        gateway.wait_for_log(r"\[crit\].*accept4\(\) failed \(24: Too many open files\)")
        client.send(b"others go on\r\n")
        assert client.line() == b"others go on"
        for served in waiting:  # each makes room for the next
            assert served.line() == GREETING
            served.close()


def test_a_covered_address_goes_to_its_own_server(open_path: Path) -> None:
    mail = (
        "proxy_pass 127.0.0.1:9; "
        "server {{ listen *:{0}; protocol imap; }} "
        "server {{ listen 127.0.0.1:{0}; protocol imap; imap_capabilities COVERED; }}"
    )
    with Gateway(open_path, mail) as gateway, LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        client.send(b"a CAPABILITY\r\n")
        assert client.line() == b"* CAPABILITY COVERED AUTH=PLAIN"
        client.send(b"b LOGOUT\r\n")
        gateway.wait_for_log(rf"client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:{gateway.port}")


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
