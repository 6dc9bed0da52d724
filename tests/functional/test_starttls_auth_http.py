"""STARTTLS before login (``starttls only``), an authentication service, Dovecot."""

import imaplib
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
    auth_http 127.0.0.1:%d;
    starttls only;
    %s
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
"""


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    def decide(request: Request) -> Reply:
        right = request.headers["Auth-Pass"] == PASSWORD.replace(" ", "%20")
        return accept(dovecot.port) if right else refuse("Invalid login or password")

    with AuthService(decide) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % (service.port, certificates.directives("rsa", "ecdsa"))) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[LineClient]:
    with LineClient.plain(gateway.port) as connected:
        assert connected.line() == b"* OK IMAP4 ready"
        yield connected


def connect(gateway: Gateway, certificates: Certificates) -> imaplib.IMAP4:
    client = imaplib.IMAP4("localhost", gateway.port, timeout=60)
    client.starttls(certificates.client_context())
    return client


def test_imaplib_stores_and_fetches_20_mb(gateway: Gateway, certificates: Certificates, dovecot: Dovecot) -> None:
    with connect(gateway, certificates) as client:
        client.login(dovecot.fresh_user(), PASSWORD)
        append_and_fetch(client)


def test_curl(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, tmp_path: Path) -> None:
    curl_reads_mail(f"imap://localhost:{gateway.port}", dovecot.fresh_user(), certificates, tmp_path, "--ssl-reqd")


def test_idle(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, client: LineClient) -> None:
    user = dovecot.fresh_user()
    assert client.command(b"s STARTTLS") == b"s OK completed"
    client.start_tls(certificates.client_context())
    login(client, user)
    with connect(gateway, certificates) as other:
        other.login(user, PASSWORD)
        idle_gets_a_push(client, other)


def test_no_login_in_the_clear(service: AuthService, client: LineClient) -> None:
    assert client.command(b"a LOGIN early secret") == b"a BAD invalid command"
    assert client.command(b"b AUTHENTICATE PLAIN AGVhcmx5AHNlY3JldA==") == b"b BAD invalid command"
    assert not [request for request in service.requests if request.headers["Auth-User"] == "early"]


def test_capabilities_before_and_after(client: LineClient, certificates: Certificates) -> None:
    assert client.command(b"a CAPABILITY") == b"* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS STARTTLS LOGINDISABLED"
    assert client.line() == b"a OK completed"
    assert client.command(b"b STARTTLS") == b"b OK completed"
    client.start_tls(certificates.client_context())
    # No second greeting: the first thing said inside is the answer to this.
    assert client.command(b"c CAPABILITY") == b"* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN"
    assert client.line() == b"c OK completed"
    assert client.command(b"d STARTTLS") == b"d BAD invalid command"


def test_what_came_in_the_clear_is_forgotten(
    service: AuthService, client: LineClient, certificates: Certificates, dovecot: Dovecot
) -> None:
    # CVE-2011-0411: commands injected behind STARTTLS must run neither before nor after the handshake.
    client.send(b"a STARTTLS\r\nb LOGIN injected secret\r\n")
    assert client.line() == b"a OK completed"
    client.start_tls(certificates.client_context())
    assert client.command(b"c NOOP") == b"c OK completed"
    login(client, dovecot.fresh_user())
    assert not [request for request in service.requests if request.headers["Auth-User"] == "injected"]


def test_wrong_password(gateway: Gateway, client: LineClient, certificates: Certificates) -> None:
    assert client.command(b"a STARTTLS") == b"a OK completed"
    client.start_tls(certificates.client_context())
    assert client.command(b"b LOGIN mallory wrong") == b"b NO Invalid login or password"
    assert client.rest() == b""
    gateway.wait_for_log(
        rf'client login failed: "Invalid login or password" while in http auth state, client: 127\.0\.0\.1 '
        rf'using starttls, server: 127\.0\.0\.1:{gateway.port}, login: "mallory"'
    )
