"""STARTTLS when the client wants it (``starttls on``) and ``proxy_pass`` to Dovecot."""

import base64
import imaplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .mailbox import append_and_fetch, curl_reads_mail, idle_gets_a_push, login

CONFIGURATION = """
    proxy_pass 127.0.0.1:%d;
    starttls on;
    imap_auth plain login;
    %s
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
"""


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, dovecot: Dovecot) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % (dovecot.port, certificates.directives("ecdsa"))) as running:
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


def test_in_the_clear_too(gateway: Gateway, dovecot: Dovecot) -> None:
    with imaplib.IMAP4("localhost", gateway.port, timeout=60) as client:
        client.login(dovecot.fresh_user(), PASSWORD)
        append_and_fetch(client)


def test_curl(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, tmp_path: Path) -> None:
    curl_reads_mail(f"imap://localhost:{gateway.port}", dovecot.fresh_user(), certificates, tmp_path, "--ssl-reqd")


def test_idle(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, client: LineClient) -> None:
    user = dovecot.fresh_user()
    login(client, user)
    with connect(gateway, certificates) as other:
        other.login(user, PASSWORD)
        idle_gets_a_push(client, other)


def test_authenticate_login(client: LineClient, dovecot: Dovecot) -> None:
    assert client.command(b"a AUTHENTICATE LOGIN") == b"+ VXNlcm5hbWU6"
    assert client.command(base64.b64encode(dovecot.fresh_user().encode())) == b"+ UGFzc3dvcmQ6"
    client.send(base64.b64encode(PASSWORD.encode()) + b"\r\n")
    assert client.upto(b"a ")[-1].startswith(b"a OK")


def test_login_with_literals(client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user().encode()
    assert client.command(b"a LOGIN {%d}" % len(user)) == b"+ OK"
    assert client.command(user + b" {%d}" % len(PASSWORD)) == b"+ OK"
    client.send(PASSWORD.encode() + b"\r\n")
    assert client.upto(b"a ")[-1].startswith(b"a OK")


def test_what_follows_the_login_reaches_the_backend(client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    client.send(f'a LOGIN {user} "{PASSWORD}"\r\nb STATUS INBOX (MESSAGES)\r\n'.encode())
    assert client.upto(b"a ")[-1].startswith(b"a OK")
    assert client.upto(b"b ")[-2] == b"* STATUS INBOX (MESSAGES 0)"


def test_a_half_close_after_logout_loses_nothing(client: LineClient, dovecot: Dovecot) -> None:
    login(client, dovecot.fresh_user())
    client.send(b"a STATUS INBOX (MESSAGES)\r\nb LOGOUT\r\n")
    client.half_close()
    said = client.rest()
    assert b"* STATUS INBOX (MESSAGES 0)\r\n" in said
    assert b"b OK" in said


def test_wrong_password_then_the_right_one(
    client: LineClient, certificates: Certificates, dovecot: Dovecot
) -> None:
    assert client.command(b"a STARTTLS") == b"a OK completed"
    client.start_tls(certificates.client_context())
    user = dovecot.fresh_user()
    refused = client.command(f"b LOGIN {user} wrong".encode())
    assert refused == b"b NO [AUTHENTICATIONFAILED] Authentication failed."
    login(client, user)
