"""Servers behind us that take every login and write down what they hear, byte by byte."""

import re

from tests.functional.line_client import LineClient
from tests.functional.scripted_backend import ScriptedBackend

_LITERAL = re.compile(rb"\{(\d+)\}\Z")


class RecordingBackend(ScriptedBackend):
    """``heard`` are lines without CR LF, and literals, of all connections; a bare LF or CR stays in its line."""

    def __init__(self, protocol: str) -> None:
        super().__init__({"imap": self._imap, "pop3": self._pop3, "smtp": self._smtp}[protocol])
        self.heard: list[bytes] = []

    def _hear(self, client: LineClient) -> bytes:
        line = client.line()
        self.heard.append(line)
        return line

    def _imap(self, client: LineClient) -> None:
        client.send(b"* OK backend\r\n")
        while True:
            tag = self._hear(client)
            line = tag
            while literal := _LITERAL.search(line):
                client.send(b"+ go on\r\n")
                self.heard.append(client.take(int(literal[1])))
                line = self._hear(client)
            client.send(tag.split(b" ")[0] + b" OK backend\r\n")

    def _pop3(self, client: LineClient) -> None:
        client.send(b"+OK backend\r\n")
        while True:
            self._hear(client)
            client.send(b"+OK backend\r\n")

    def _smtp(self, client: LineClient) -> None:
        client.send(b"220 backend\r\n")
        while True:
            line = self._hear(client)
            if line.startswith(b"BDAT "):
                self.heard.append(client.take(int(line.split(b" ")[1])))
            if line == b"DATA":
                client.send(b"354 backend\r\n")
                while self._hear(client) != b".":
                    pass
            client.send((b"235" if line.startswith(b"AUTH ") else b"250") + b" backend\r\n")
