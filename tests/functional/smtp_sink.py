"""Stands in for Postfix where the tests do not run as root: keeps letters in memory, or puts them into mailboxes.

It asks for no less than Postfix does: commands in their order, XCLIENT that begins the session anew, passwords.
"""

import base64
import contextlib
import imaplib
import re
import threading

from .dovecot import PASSWORD, Dovecot
from .letters import MAILBOXES, RECIPIENT, Delivery
from .line_client import LineClient
from .scripted_backend import ScriptedBackend
from .waiting import LIMIT_SECONDS, wait_until

_CAPABILITIES = ("PIPELINING", "XCLIENT NAME ADDR LOGIN", "AUTH PLAIN LOGIN", "8BITMIME")


class _Session:
    """What one client has said so far."""

    def __init__(self) -> None:
        self.client, self.method, self.login = "127.0.0.1", "", ""
        self.restart()

    def restart(self) -> None:
        self.greeted = self.sender = False
        self.recipient = ""


class SmtpSink:
    """One running server; see ``Backend``."""

    def __init__(self, dovecot: Dovecot) -> None:
        self._dovecot = dovecot
        self._deliveries: list[Delivery] = []
        self._changed = threading.Lock()
        self._backend = ScriptedBackend(self._serve)
        self.port = self._backend.port

    def delivery(self, subject: str) -> Delivery:
        mark = f"\nSubject: {subject}\n".encode()

        def arrived() -> list[Delivery]:
            with self._changed:
                return [found for found in self._deliveries if mark in found.content]

        wait_until(arrived, f"a letter with the subject {subject}")
        return arrived()[0]

    def stop(self) -> None:
        self._backend.__exit__(None, None, None)

    def _serve(self, client: LineClient) -> None:
        client.send(b"220 backend.test ESMTP\r\n")
        session = _Session()
        with contextlib.suppress(EOFError):
            while True:
                line = client.line().decode("latin-1")
                if line.upper() == "DATA" and session.recipient:
                    self._take(client, session)
                    continue
                client.send(_answer(session, line).encode() + b"\r\n")
                if line.upper() == "QUIT":
                    return

    def _take(self, client: LineClient, session: _Session) -> None:
        client.send(b"354 go on\r\n")
        content = bytearray(b"\n")
        while (line := client.line()) != b".":
            content += line.removeprefix(b".") + b"\n"
        user, _, domain = session.recipient.partition("@")
        if domain == MAILBOXES:
            with imaplib.IMAP4("127.0.0.1", self._dovecot.port, timeout=LIMIT_SECONDS) as mailbox:
                mailbox.login(user, PASSWORD)
                mailbox.append("INBOX", "", "", bytes(content[1:]).replace(b"\n", b"\r\n"))
        with self._changed:
            self._deliveries.append(Delivery(session.client, session.method, session.login, bytes(content)))
        session.sender, session.recipient = False, ""
        client.send(b"250 2.0.0 Ok: queued\r\n")


def _answer(session: _Session, line: str) -> str:
    verb, _, rest = line.partition(" ")
    verb = verb.upper()
    if verb in ("EHLO", "HELO") and rest:
        session.greeted = True
        lines = ("backend.test", *_CAPABILITIES) if verb == "EHLO" else ("backend.test",)
        return "\r\n".join([*(f"250-{text}" for text in lines[:-1]), f"250 {lines[-1]}"])
    if verb == "XCLIENT" and not session.sender:
        if session.client != "127.0.0.1":
            return "550 5.7.0 Error: insufficient authorization"
        told = dict(item.split("=", 1) for item in rest.split())
        session.client = told.get("ADDR", session.client).removeprefix("IPV6:")
        if "LOGIN" in told:
            session.method, session.login = "XCLIENT", _from_xtext(told["LOGIN"])
        session.restart()
        return "220 backend.test ESMTP"
    if verb == "AUTH" and session.greeted:
        _, user, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
        if password != PASSWORD:
            return "535 5.7.8 Error: authentication failed"
        session.method, session.login = "PLAIN", user
        return "235 2.7.0 Authentication successful"
    if verb == "MAIL" and session.greeted and not session.sender:
        session.sender = True
        return "250 2.1.0 Ok"
    if verb == "RCPT" and session.sender:
        recipient = rest.partition("<")[2].partition(">")[0]
        if recipient != RECIPIENT and not recipient.endswith(f"@{MAILBOXES}"):
            return "554 5.7.1 Relay access denied"
        session.recipient = recipient
        return "250 2.1.5 Ok"
    if verb == "RSET":
        session.sender, session.recipient = False, ""
        return "250 2.0.0 Ok"
    if verb == "NOOP":
        return "250 2.0.0 Ok"
    if verb == "QUIT":
        return "221 2.0.0 Bye"
    return "503 5.5.1 Error: not now"


def _from_xtext(text: str) -> str:
    return re.sub(r"\+([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)
