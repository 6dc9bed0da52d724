"""SMTPS and STARTTLS with ``proxy_pass``: Postfix decides, after asking Dovecot."""

import base64
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .letters import BIG_BYTES, Backend, by_smtplib, by_swaks, letter

CONFIGURATION = """
    proxy_pass 127.0.0.1:%d;
    smtp_capabilities 8BITMIME;
    max_errors 3;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol smtp;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol smtp;
        starttls on;
        xclient off;
    }}
"""
CLIENT = "127.0.0.3"


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, smtp_backend: Backend) -> Iterator[Gateway]:
    mail = CONFIGURATION % (smtp_backend.port, certificates.directives("rsa"))
    with Gateway(directory, mail, ports=2) as running:
        yield running


def connect(gateway: Gateway, certificates: Certificates) -> smtplib.SMTP:
    context = certificates.client_context()
    return smtplib.SMTP_SSL("localhost", gateway.ports[0], context=context, timeout=60, source_address=(CLIENT, 0))


def test_smtplib_delivers_10_mb(
    gateway: Gateway, certificates: Certificates, smtp_backend: Backend, dovecot: Dovecot
) -> None:
    user = dovecot.fresh_user()
    text = letter("proxy-pass", BIG_BYTES)
    with connect(gateway, certificates) as client:
        client.login(user, PASSWORD)
        by_smtplib(client, text)
    found = smtp_backend.delivery("proxy-pass")
    assert (found.client, found.method, found.login) == (CLIENT, "PLAIN", user)
    assert found.content.endswith(text)


def test_swaks_through_starttls_without_xclient(
    gateway: Gateway, certificates: Certificates, smtp_backend: Backend, dovecot: Dovecot, tmp_path: Path
) -> None:
    user = dovecot.fresh_user()
    text = letter("without-xclient")
    login = ("--tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", PASSWORD)
    sent = by_swaks(gateway.ports[1], certificates, text, tmp_path, "--local-interface", CLIENT, *login)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    found = smtp_backend.delivery("without-xclient")
    # Nobody has told Postfix where the client is.
    assert (found.client, found.method, found.login) == ("127.0.0.1", "PLAIN", user)


def test_wrong_password_then_the_right_one(gateway: Gateway, certificates: Certificates, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    with connect(gateway, certificates) as client:
        client.ehlo()
        for _ in range(2):
            code, text = client.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{user}\0wrong".encode()).decode())
            assert code == 535
            assert text.startswith(b"5.7.8 Error: authentication failed")  # the backend's own words
        client.login(user, PASSWORD)
        assert client.noop()[0] == 250


def test_wrong_passwords_without_end(gateway: Gateway, certificates: Certificates, dovecot: Dovecot) -> None:
    attempt = "PLAIN " + base64.b64encode(f"\0{dovecot.fresh_user()}\0wrong".encode()).decode()
    client = connect(gateway, certificates)
    client.ehlo()
    assert [client.docmd("AUTH", attempt)[0] for _ in range(3)] == [535] * 3
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()
    gateway.wait_for_log("client was refused too many logins")
