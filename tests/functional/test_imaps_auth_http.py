"""IMAPS, an authentication service, Dovecot: the main job as most sites run it."""

import imaplib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, Reply, Request, accept, refuse
from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .mailbox import append_and_fetch, curl_reads_mail, idle_gets_a_push, login

CONFIGURATION = """
    auth_http 127.0.0.1:%d/auth;
    auth_http_header X-Auth-Key edge;
    imap_capabilities IMAP4rev1 LITERAL+ SASL-IR IDLE;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol imap;
    }}
"""


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    def decide(request: Request) -> Reply:
        if request.headers["Auth-Pass"] == PASSWORD.replace(" ", "%20"):
            return accept(dovecot.port)
        if request.headers["Auth-User"] == "patient":
            return refuse("Try again", wait_seconds=1)
        return refuse("Invalid login or password")

    with AuthService(decide) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    mail = CONFIGURATION % (service.port, certificates.directives("ecdsa"))
    with Gateway(directory, mail) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway, certificates: Certificates) -> Iterator[LineClient]:
    with LineClient.tls(gateway.port, certificates.client_context()) as connected:
        yield connected


def connect(gateway: Gateway, certificates: Certificates) -> imaplib.IMAP4:
    return imaplib.IMAP4_SSL("localhost", gateway.port, ssl_context=certificates.client_context(), timeout=60)


def test_imaplib_stores_and_fetches_20_mb(gateway: Gateway, certificates: Certificates, dovecot: Dovecot) -> None:
    with connect(gateway, certificates) as client:
        client.login(dovecot.fresh_user(), PASSWORD)
        append_and_fetch(client)


def test_curl(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, tmp_path: Path) -> None:
    curl_reads_mail(f"imaps://localhost:{gateway.port}", dovecot.fresh_user(), certificates, tmp_path)


def test_idle(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, client: LineClient) -> None:
    user = dovecot.fresh_user()
    assert client.line() == b"* OK IMAP4 ready"
    login(client, user)
    with connect(gateway, certificates) as other:
        other.login(user, PASSWORD)
        idle_gets_a_push(client, other)


def test_greeting_and_capabilities(client: LineClient) -> None:
    assert client.line() == b"* OK IMAP4 ready"
    assert client.command(b"a CAPABILITY") == b"* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR IDLE AUTH=PLAIN"
    assert client.line() == b"a OK completed"
    assert client.command(b"b STARTTLS") == b"b BAD invalid command"
    assert client.command(b"c LOGOUT") == b"* BYE"
    assert client.rest() == b"c OK completed\r\n"


def test_what_the_service_is_told(service: AuthService, client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    client.line()
    login(client, user)
    (request,) = [request for request in service.requests if request.headers["Auth-User"] == user]
    assert request.line.startswith("GET /auth HTTP/1.")
    told = [name for name in request.headers if name != "Connection"]
    assert told == [
        "Host",
        "Auth-Method",
        "Auth-User",
        "Auth-Pass",
        "Auth-Protocol",
        "Auth-Login-Attempt",
        "Client-IP",
        "Auth-SSL",
        "Auth-SSL-Protocol",
        "Auth-SSL-Cipher",
        "X-Auth-Key",
    ]
    assert request.headers["Host"] == "127.0.0.1"
    assert request.headers["Auth-Method"] == "plain"
    assert request.headers["Auth-Pass"] == "secret%20word"
    assert request.headers["Auth-Protocol"] == "imap"
    assert request.headers["Auth-Login-Attempt"] == "1"
    assert request.headers["Client-IP"] == "127.0.0.1"
    assert request.headers["Auth-SSL"] == "on"
    assert request.headers["Auth-SSL-Protocol"] == "TLSv1.3"
    assert request.headers["Auth-SSL-Cipher"] == "TLS_AES_256_GCM_SHA384"
    assert request.headers["X-Auth-Key"] == "edge"


def test_wrong_password(gateway: Gateway, client: LineClient) -> None:
    client.line()
    assert client.command(b"a LOGIN mallory wrong-password") == b"a NO Invalid login or password"
    assert client.rest() == b""
    gateway.wait_for_log(
        r'\[info\] .*client login failed: "Invalid login or password" while in http auth state, '
        r'client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+, login: "mallory"'
    )
    assert "wrong-password" not in gateway.log()


def test_wrong_password_with_a_wait(service: AuthService, client: LineClient, dovecot: Dovecot) -> None:
    client.line()
    # The second command is in the same packet: it waits until the first has been answered.
    client.send(b"a LOGIN patient wrong\r\nb NOOP\r\n")
    assert client.line() == b"a NO Try again"
    assert client.line() == b"b OK completed"
    login(client, dovecot.fresh_user())
    attempts = [r.headers["Auth-Login-Attempt"] for r in service.requests]
    assert "2" in attempts


def test_log_lines_of_a_session(gateway: Gateway, client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    client.line()
    login(client, user)
    client.send(b"x LOGOUT\r\n")
    assert b"x OK" in client.rest()
    client.close()
    tail = (
        rf"client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.port}, "
        rf'login: "{user}", upstream: 127\.0\.0\.1:{dovecot.port}'
    )
    match = gateway.wait_for_log(rf"\[info\] \d+#\d+: (\*\d+) client logged in, {tail}\n")
    gateway.wait_for_log(rf"{re.escape(match[1])} proxied session done, {tail}\n")
