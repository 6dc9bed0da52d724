"""POP3 over TLS and with STLS and ``proxy_pass``: no authentication service at all, Dovecot decides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import Certificates
from .dovecot import Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .maildrop import Door, curl_fetches, fetch_10_mb, login

CONFIGURATION = """
    proxy_pass 127.0.0.1:%d;
    max_errors 3;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol pop3;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol pop3;
        starttls on;
    }}
"""

# Dovecot's words for a wrong password (RFC 3206).
REFUSAL = b"-ERR [AUTH] Authentication failed."


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, dovecot: Dovecot) -> Iterator[Gateway]:
    mail = CONFIGURATION % (dovecot.pop3_port, certificates.directives("rsa"))
    with Gateway(directory, mail, ports=2) as running:
        yield running


def test_poplib_fetches_10_mb(door: Door, dovecot: Dovecot) -> None:
    fetch_10_mb(door.poplib(), dovecot, dovecot.fresh_user())


def test_curl(door: Door, dovecot: Dovecot) -> None:
    curl_fetches(door, dovecot, dovecot.fresh_user())


def test_in_the_clear_too(gateway: Gateway, dovecot: Dovecot) -> None:
    with LineClient.plain(gateway.ports[1]) as client:
        assert client.line() == b"+OK POP3 ready"
        login(client, dovecot.fresh_user())
        assert client.command(b"STAT") == b"+OK 0 0"


def test_a_wrong_password_then_the_right_one(inside: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    for _ in range(2):
        assert inside.command(f"USER {user}".encode()) == b"+OK"
        assert inside.command(b"PASS wrong-password") == REFUSAL
        assert inside.command(b"PASS wrong-password") == b"-ERR invalid command"
        assert inside.command(b"NOOP") == b"+OK"
    login(inside, user)


def test_wrong_passwords_up_to_max_errors(gateway: Gateway, inside: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    for _ in range(2):
        assert inside.command(f"USER {user}".encode()) == b"+OK"
        assert inside.command(b"PASS wrong-password") == REFUSAL
    inside.send(f"USER {user}\r\nPASS wrong-password\r\n".encode())
    assert inside.rest() == b"+OK\r\n" + REFUSAL + b"\r\n"
    gateway.wait_for_log(rf'client login failed: .*login: "{user}"')
    assert "wrong-password" not in gateway.log()
