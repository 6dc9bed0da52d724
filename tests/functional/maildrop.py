"""What every way into a maildrop must allow: poplib and curl against a real Dovecot."""

import imaplib
import poplib
from dataclasses import dataclass

from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .line_client import LineClient
from .mailbox import big_message, curl

BIG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: a port, with TLS from the first byte or by STLS."""

    port: int
    stls: bool
    certificates: Certificates

    def poplib(self) -> poplib.POP3:
        """Connected and inside TLS."""
        context = self.certificates.client_context()
        if not self.stls:
            return poplib.POP3_SSL("localhost", self.port, timeout=60, context=context)
        client = poplib.POP3("localhost", self.port, timeout=60)
        client.stls(context)
        return client

    def lines(self) -> LineClient:
        """Connected, greeted and inside TLS."""
        if not self.stls:
            client = LineClient.tls(self.port, self.certificates.client_context())
            assert client.line().startswith(b"+OK POP3 ready")
            return client
        client = LineClient.plain(self.port)
        assert client.line().startswith(b"+OK POP3 ready")
        assert client.command(b"STLS") == b"+OK"
        client.start_tls(self.certificates.client_context())
        return client


def deliver(dovecot: Dovecot, user: str, message: bytes) -> None:
    """Put a message into an INBOX, past everything that is tested."""
    with imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=60) as client:
        client.login(user, PASSWORD)
        status, said = client.append("INBOX", "", "", message)
        assert status == "OK", said


def fetch_10_mb(client: poplib.POP3, dovecot: Dovecot, user: str) -> None:
    """``client`` is inside TLS. Log in, fetch a message of 10 MB, compare every byte."""
    message = big_message(BIG_BYTES) + b".\r\n..\r\n.end\r\n"  # what must not be taken for the end
    deliver(dovecot, user, message)
    assert client.user(user) == b"+OK"
    assert client.pass_(PASSWORD).startswith(b"+OK")
    assert client.stat()[0] == 1
    _, lines, _ = client.retr(1)
    fetched = b"\r\n".join(lines) + b"\r\n"
    assert len(fetched) == len(message)
    assert fetched == message
    client.quit()


def curl_fetches(door: Door, dovecot: Dovecot, user: str, *arguments: str) -> None:
    """curl fetches a message, with the mechanism it likes best or the one that ``arguments`` name."""
    letter = b"Subject: for curl\r\n\r\n.hidden\r\nbody\r\n"
    deliver(dovecot, user, letter)
    scheme = "pop3" if door.stls else "pop3s"
    more = ("--ssl-reqd",) * door.stls
    fetched = curl(f"{scheme}://localhost:{door.port}/1", user, door.certificates, *more, *arguments)
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout == letter


def login(client: LineClient, user: str) -> None:
    """USER and PASS with the right password; returns when the backend has agreed."""
    assert client.command(f"USER {user}".encode()) == b"+OK"
    answer = client.command(f"PASS {PASSWORD}".encode())
    assert answer.startswith(b"+OK"), answer
