"""How the protocols say what they all have in common. The tag of IMAP's commands is ``a`` throughout."""

import base64
from dataclasses import dataclass

from tests.functional.line_client import LineClient


@dataclass(frozen=True, slots=True)
class Tongue:
    """Commands have no line end; replies are how they begin."""

    name: str
    starttls: bytes
    go_ahead: bytes
    noop: bytes
    noop_reply: bytes
    auth: bytes  # with the mechanism, and perhaps an initial response, behind a space
    prompt: bytes
    invalid: bytes
    refused: bytes
    logged_in: bytes

    def greeted(self, client: LineClient) -> LineClient:
        """``client`` after its greeting, and after EHLO where there is one."""
        client.line()
        if self.name == "smtp":
            client.send(b"EHLO client.example\r\n")
            client.upto(b"250 ")
        return client

    def begin(self, client: LineClient, mechanism: bytes) -> bytes:
        """Start an exchange; the challenge that came, in base64."""
        answer = client.command(self.auth + b" " + mechanism)
        assert answer.startswith(self.prompt), answer
        return answer.removeprefix(self.prompt)

    def plain(self, client: LineClient, user: bytes, password: bytes) -> bytes:
        """Log in with AUTH PLAIN; the answer."""
        return client.command(self.auth + b" PLAIN " + base64.b64encode(b"\0%b\0%b" % (user, password)))

    def works(self, client: LineClient) -> None:
        """The session goes on, and nothing that was said before is still to be answered."""
        answer = client.command(self.noop)
        assert answer == self.noop_reply, answer


IMAP = Tongue(
    "imap",
    starttls=b"a STARTTLS",
    go_ahead=b"a OK",
    noop=b"a NOOP",
    noop_reply=b"a OK completed",
    auth=b"a AUTHENTICATE",
    prompt=b"+ ",
    invalid=b"a BAD",
    refused=b"a NO",
    logged_in=b"a OK",
)
POP3 = Tongue(
    "pop3",
    starttls=b"STLS",
    go_ahead=b"+OK",
    noop=b"NOOP",
    noop_reply=b"+OK",
    auth=b"AUTH",
    prompt=b"+ ",
    invalid=b"-ERR",
    refused=b"-ERR",
    logged_in=b"+OK",
)
SMTP = Tongue(
    "smtp",
    starttls=b"STARTTLS",
    go_ahead=b"220",
    noop=b"NOOP",
    noop_reply=b"250 2.0.0 OK",
    auth=b"AUTH",
    prompt=b"334 ",
    invalid=b"50",
    refused=b"535",
    logged_in=b"235",
)
TONGUES = (IMAP, POP3, SMTP)
