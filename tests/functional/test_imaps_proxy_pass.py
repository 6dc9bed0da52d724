"""IMAPS and ``proxy_pass``: no authentication service at all, the backend decides."""

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
    max_errors 3;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol imap;
    }}
"""

# Dovecot's words for a wrong password (RFC 5530).
REFUSAL = b"NO [AUTHENTICATIONFAILED] Authentication failed."


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, dovecot: Dovecot) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % (dovecot.port, certificates.directives("rsa"))) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway, certificates: Certificates) -> Iterator[LineClient]:
    with LineClient.tls(gateway.port, certificates.client_context()) as connected:
        assert connected.line() == b"* OK IMAP4 ready"
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
    login(client, user)
    with connect(gateway, certificates) as other:
        other.login(user, PASSWORD)
        idle_gets_a_push(client, other)


def test_wrong_password_then_the_right_one(client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    for tag in (b"a", b"b"):
        assert client.command(tag + f" LOGIN {user} wrong-password".encode()) == tag + b" " + REFUSAL
        assert client.command(tag + b"n NOOP") == tag + b"n OK completed"
    login(client, user)


def test_wrong_passwords_up_to_max_errors(gateway: Gateway, client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    for _ in range(2):
        assert client.command(f"a LOGIN {user} wrong-password".encode()) == b"a " + REFUSAL
    client.send(f"a LOGIN {user} wrong-password\r\n".encode())
    assert client.rest() == b"a " + REFUSAL + b"\r\n"
    gateway.wait_for_log(rf'client login failed: .*login: "{user}"')
    assert "wrong-password" not in gateway.log()


def test_every_attempt_is_a_new_connection(client: LineClient, dovecot: Dovecot) -> None:
    # Dovecot itself allows three attempts per connection and would then say BYE.
    other, user = dovecot.fresh_user(), dovecot.fresh_user()
    client.send(f"a LOGIN {other} wrong\r\nb LOGIN {user} wrong\r\n".encode())
    assert client.line() == b"a " + REFUSAL
    assert client.line() == b"b " + REFUSAL
    login(client, user)
