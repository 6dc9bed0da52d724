"""What a client says in each protocol: one login session as lines to send and what to wait for."""

import base64
from dataclasses import dataclass

USER, PASSWORD = "someone@example.org", "sesame"
_PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Dialogue:
    """``login`` pairs lines with the start of the reply's last line; what ``logout`` brings is read to the end."""

    greeting: bytes
    login: tuple[tuple[bytes, bytes], ...]
    logout: bytes


def _lines(greeting: str, login: tuple[tuple[str, str], ...], logout: str) -> Dialogue:
    pairs = tuple((f"{line}\r\n".encode(), reply.encode()) for line, reply in login)
    return Dialogue(greeting.encode(), pairs, f"{logout}\r\n".encode())


DIALOGUES = {
    "imap": _lines("* OK", ((f"a LOGIN {USER} {PASSWORD}", "a OK"),), "z LOGOUT"),
    "pop3": _lines("+OK", ((f"USER {USER}", "+OK"), (f"PASS {PASSWORD}", "+OK")), "QUIT"),
    "smtp": _lines("220", (("EHLO client.example.org", "250 "), (f"AUTH PLAIN {_PLAIN}", "235")), "QUIT"),
}
