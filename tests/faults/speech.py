"""How each protocol goes when nobody misbehaves: what clients say, what backends answer, what we do meanwhile."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

PASSWORD = "open-sesame"  # must never be in a log

READING = "reading response from upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One way to get into a relay.

    The last of ``commands`` starts the authentication; each of the others is answered by us with lines of which
    the last begins with ``agreed``. ``replies`` are a backend's, the first being its greeting; while one of them is
    awaited, the log says that we are ``doing`` what has the same number.
    """

    name: str
    protocol: str
    directives: str = ""
    names_user: bool = True  # the log knows the user from the login on
    commands: Callable[[str], tuple[bytes, ...]]  # of the user
    agreed: bytes = b""
    replies: tuple[bytes, ...]
    doing: tuple[str, ...]
    welcome: bytes  # what a client gets in the end
    no: bytes  # how a backend refuses
    unfinished: bytes  # the beginning of a reply
    internal_error: bytes


def _plain(user: str) -> bytes:
    return base64.b64encode(f"\0{user}\0{PASSWORD}".encode())


IMAP = Speech(
    name="imap",
    protocol="imap",
    commands=lambda user: (f"a LOGIN {user} {PASSWORD}\r\n".encode(),),
    replies=(b"* OK ready\r\n", b"+ user\r\n", b"+ password\r\n", b"a OK in\r\n"),
    doing=(
        "connecting to upstream",
        "sending LOGIN command to upstream",
        "sending user name to upstream",
        "sending password to upstream",
    ),
    welcome=b"a OK in\r\n",
    no=b"a NO not you\r\n",
    unfinished=b"* OK ",
    internal_error=b"* BAD internal server error\r\n",
)
POP3 = Speech(
    name="pop3",
    protocol="pop3",
    commands=lambda user: (f"USER {user}\r\n".encode(), f"PASS {PASSWORD}\r\n".encode()),
    agreed=b"+OK",
    replies=(b"+OK ready\r\n", b"+OK user\r\n", b"+OK in\r\n"),
    doing=("connecting to upstream", "sending user name to upstream", "sending password to upstream"),
    welcome=b"+OK in\r\n",
    no=b"-ERR not you\r\n",
    unfinished=b"+OK ",
    internal_error=b"-ERR internal server error\r\n",
)
SMTP = Speech(
    name="smtp",
    protocol="smtp",
    directives="proxy_smtp_auth on;",
    commands=lambda user: (b"EHLO client.example\r\n", b"AUTH PLAIN " + _plain(user) + b"\r\n"),
    agreed=b"250 ",
    replies=(
        b"220 ready\r\n",
        b"250-backend\r\n250 XCLIENT\r\n",
        b"220 again\r\n",
        b"250 backend\r\n",
        b"235 in\r\n",
    ),
    doing=(
        "connecting to upstream",
        "sending HELO/EHLO to upstream",
        "sending XCLIENT to upstream",
        "sending client HELO/EHLO to upstream",
        "sending AUTH to upstream",
    ),
    welcome=b"235 2.0.0 OK\r\n",
    no=b"554 not you\r\n",
    unfinished=b"250-",
    internal_error=b"451 4.3.2 Internal server error\r\n",
)
# Incoming mail, without a login.
MX = Speech(
    name="mx",
    protocol="smtp",
    directives="smtp_auth none;",
    names_user=False,
    commands=lambda user: (
        b"EHLO client.example\r\n",
        b"MAIL FROM:<sender@example>\r\n",
        f"RCPT TO:<{user}@example>\r\n".encode(),
    ),
    agreed=b"250 ",
    replies=(*SMTP.replies[:4], b"250 sender\r\n", b"250 recipient\r\n"),
    doing=(*SMTP.doing[:4], "sending MAIL FROM to upstream", "sending RCPT TO to upstream"),
    welcome=b"250 recipient\r\n",
    no=SMTP.no,
    unfinished=SMTP.unfinished,
    internal_error=SMTP.internal_error,
)
SPEECHES = (IMAP, POP3, SMTP, MX)
