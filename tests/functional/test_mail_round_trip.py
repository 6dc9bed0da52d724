"""One gateway for a whole mail system: letters go out through SMTP and come back through POP3 and IMAP."""

import imaplib
import poplib
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, Reply, Request, accept
from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .letters import BIG_BYTES, MAILBOXES, Backend, by_smtplib, by_swaks, letter
from .waiting import wait_until

CONFIGURATION = """
    auth_http 127.0.0.1:%d/auth;
    %s
    starttls only;
    server {{ listen 127.0.0.1:{0} ssl; protocol smtp; }}
    server {{ listen 127.0.0.1:{1}; protocol smtp; proxy_smtp_auth on; }}
    server {{ listen 127.0.0.1:{2} ssl; protocol pop3; }}
    server {{ listen 127.0.0.1:{3} ssl; protocol imap; }}
"""


@pytest.fixture(scope="module")
def gateway(
    directory: Path, certificates: Certificates, smtp_backend: Backend, dovecot: Dovecot
) -> Iterator[Gateway]:
    ports = {"smtp": smtp_backend.port, "pop3": dovecot.pop3_port, "imap": dovecot.port}

    def decide(request: Request) -> Reply:
        return accept(ports[request.headers["Auth-Protocol"]])

    with (
        AuthService(decide) as service,
        Gateway(directory, CONFIGURATION % (service.port, certificates.directives("ecdsa")), ports=4) as running,
    ):
        yield running


def comes_back(gateway: Gateway, certificates: Certificates, user: str, text: bytes) -> None:
    """Fetch the one letter of ``user`` through IMAPS, then through POP3S; compare every byte of ``text`` (LF)."""
    context = certificates.client_context()
    text = text.rstrip(b"\n")
    with imaplib.IMAP4_SSL("localhost", gateway.ports[3], ssl_context=context, timeout=60) as imap:
        imap.login(user, PASSWORD)

        def arrived() -> bool:
            return imap.select("INBOX")[1] == [b"1"]

        wait_until(arrived, f"a letter for {user}")
        part = imap.fetch("1", "(BODY.PEEK[])")[1][0]
        assert isinstance(part, tuple)
        assert part[1].replace(b"\r\n", b"\n").rstrip(b"\n").endswith(text)
    pop3 = poplib.POP3_SSL("localhost", gateway.ports[2], context=context, timeout=60)
    pop3.user(user)
    pop3.pass_(PASSWORD)
    assert b"\n".join(pop3.retr(1)[1]).rstrip(b"\n").endswith(text)
    pop3.quit()


def test_smtps_by_smtplib(gateway: Gateway, certificates: Certificates, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    text = letter("there-and-back", BIG_BYTES)
    context = certificates.client_context()
    with smtplib.SMTP_SSL("localhost", gateway.ports[0], context=context, timeout=60) as client:
        client.login(user, PASSWORD)
        by_smtplib(client, text, f"{user}@{MAILBOXES}")
    comes_back(gateway, certificates, user, text)


def test_starttls_by_swaks(gateway: Gateway, certificates: Certificates, dovecot: Dovecot, tmp_path: Path) -> None:
    user = dovecot.fresh_user()
    text = letter("there-and-back-again", BIG_BYTES)
    login = ("--tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", PASSWORD)
    recipient = f"{user}@{MAILBOXES}"
    sent = by_swaks(gateway.ports[1], certificates, text, tmp_path, *login, recipient=recipient)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    comes_back(gateway, certificates, user, text)
