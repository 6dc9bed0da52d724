"""Reads one answer of the authentication service: pieces of a byte stream in, fields out. Pure; owns its limits.

**Theory of operation.** The head follows nginx's rules rather than HTTP's: the status line may be missing, a
line may end in a bare LF, version and status decide nothing, but one bad header name fails the whole answer.
llhttp cannot be brought to that (docs/why/0003-auth-answers.md), so the head is read here, line by line as it
arrives: garbage is refused at its first line, not at the time-out.

The body says nothing. It is only followed to its end because the next answer begins there: by its length, or by
llhttp where it comes in chunks. An answer that leaves any doubt about its end costs its connection, since a
byte too many would become the start of somebody else's answer.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import httptools

from gatepost.errors import AuthError

# Those of 100-continue included; nginx takes 1024, which a framework's cookies overrun.
MAX_HEAD_BYTES: Final = 16384
MAX_BODY_BYTES: Final = 65536  # read and thrown away to save a connection; beyond that a new connection is cheaper

# All complete lines, then the empty line that ends the head, if it is there. A name has no underscore, no blank
# before the colon and no folded line, but may lack its colon. (No possessive quantifiers:
# Python 3.11 before 3.11.4 matches them wrongly.)
_LINES: Final = re.compile(rb"((?:[A-Za-z0-9][A-Za-z0-9-]*(?::[^\r\n]*)?\r?\n)*)(\r?\n)?")
_LINE_BEGUN: Final = re.compile(rb"(?:[A-Za-z0-9][A-Za-z0-9-]*(?::[^\r\n]*)?)?\r?")
_STATUS_LINE: Final = re.compile(rb"HTTP/(?:(\d\.\d) +(\d{3})(?!\d))?[^\r\n]*\r?\n")
_STATUS_LINE_BEGUN: Final = re.compile(rb"HTTP/[^\r\n]*\r?")
_HTTP: Final = b"HTTP/"

_KNOWN: Final = frozenset(
    (b"auth-server", b"auth-port", b"auth-user", b"auth-pass", b"auth-wait", b"auth-error-code")
)
_FRAMING: Final = frozenset((b"connection", b"content-length", b"transfer-encoding"))
_INTERIM: Final = frozenset((100, 102, 103))  # the answer proper is still to come (RFC 9110 section 15.2)
_BODILESS: Final = frozenset((204, 304))  # whatever the fields say (RFC 9112 section 6.3)
_MAX_LENGTH_DIGITS: Final = 9  # far beyond MAX_BODY_BYTES, and cheap to convert


class Fate(Enum):
    """What can be done with the connection that an answer came from."""

    OPEN = "more of the answer is to come"
    FREE = "the answer is complete and nothing follows it: it can be asked again"
    SPENT = "it must be closed"


@dataclass(slots=True, init=False)
class Answer:
    """What the service said.

    ``status`` is the HTTP status, 0 where there was none; it decides nothing. ``verdicts`` are the values of all
    Auth-Status fields, in order. ``fields`` has the other Auth fields, names in lower case, the last value of
    each; a password may be among them, so they stay out of ``repr``.
    """

    status: int
    verdicts: list[bytes] = field(repr=False)
    fields: dict[bytes, bytes] = field(repr=False)

    def __init__(
        self, status: int = 0, verdicts: list[bytes] | None = None, fields: dict[bytes, bytes] | None = None
    ) -> None:
        self.status = status
        self.verdicts = [] if verdicts is None else verdicts
        self.fields = {} if fields is None else fields


class Reader:
    """Reads one answer. ``answer`` is there as soon as its head is complete.

    ``server`` is the service as errors name it. ``touched`` says whether anything has arrived.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_draft",
        "_framing",
        "_head_bytes",
        "_in_fields",
        "_persistent",
        "_server",
        "answer",
        "touched",
    )

    def __init__(self, server: str) -> None:
        self._server = server
        self._buffer = b""  # the line that is not complete yet
        self._head_bytes = 0  # of lines already read
        self._in_fields = False  # past the status line
        self._draft = Answer()
        self._persistent = False
        self._framing: list[tuple[bytes, bytes]] = []
        self._body: _Body | None = None
        self.answer: Answer | None = None
        self.touched = False

    def receive(self, data: bytes) -> Fate:
        """Take the next bytes. Raises AuthError for a head that is invalid or too long; the reader is then done."""
        self.touched = True
        if self.answer is None:
            buffer = self._buffer + data
            end, answer = self._read_head(buffer)
            self._head_bytes += end
            if self._head_bytes + (len(buffer) - end if answer is None else 0) > MAX_HEAD_BYTES:
                raise AuthError(f"auth http server {self._server} sent too long header")
            self._buffer = data = buffer[end:]
            if answer is None:
                return Fate.OPEN
            self.answer = answer
            self._buffer = b""
            if self._persistent:
                self._body = _body(answer.status, self._framing)
        return Fate.SPENT if self._body is None else self._body.receive(data)

    def _read_head(self, buffer: bytes) -> tuple[int, Answer | None]:
        """Read the complete lines of ``buffer``; where they end, and the answer if that is the end of the head."""
        at = 0
        while True:
            if not self._in_fields:
                start = self._read_status_line(buffer, at)
                if start is None:
                    return at, None
                self._in_fields = True
                at = start
            found = _LINES.match(buffer, at)
            assert found is not None  # the pattern also matches nothing
            self._read_fields(found[1])
            at = found.end()
            if found[2] is None:
                if not _LINE_BEGUN.fullmatch(buffer, at):
                    raise AuthError(f"auth http server {self._server} sent invalid header in response")
                return at, None
            if self._draft.status not in _INTERIM:
                return at, self._draft
            self._draft = Answer()
            self._persistent = False
            self._framing.clear()
            self._in_fields = False

    def _read_fields(self, lines: bytes) -> None:
        """Keep what matters of complete, valid lines."""
        for line in lines.replace(b"\r", b"").split(b"\n"):
            name, _, value = line.partition(b":")
            name = name.lower()
            if name in _KNOWN:
                self._draft.fields[name] = value.strip(b" ")
            elif name == b"auth-status":
                self._draft.verdicts.append(value.strip(b" "))
            elif name in _FRAMING:
                self._framing.append((name, value.strip().lower()))

    def _read_status_line(self, buffer: bytes, at: int) -> int | None:
        """Where the fields begin; None while that cannot be told."""
        line = _STATUS_LINE.match(buffer, at)
        if line is not None:
            if line[2] is not None:
                self._draft.status = int(line[2])
                self._persistent = line[1] == b"1.1"
            return line.end()
        start = buffer[at : at + len(_HTTP)]
        if start != _HTTP:
            return None if _HTTP.startswith(start) else at
        if not _STATUS_LINE_BEGUN.fullmatch(buffer, at):
            raise AuthError(f"auth http server {self._server} sent invalid response")
        return None


def _body(status: int, framing: list[tuple[bytes, bytes]]) -> "_Body | None":
    """How to find the end of the body of a persistent answer (RFC 9112 sections 6.3 and 9.3).

    None where only the end of the connection tells, where the fields contradict each other, and where following
    it would cost more than a new connection. ``framing``: names and values in lower case.
    """
    coding: bytes | None = None
    length: bytes | None = None
    for name, value in framing:
        if name == b"connection":
            if b"close" in value:
                return None
        elif name == b"content-length":
            if length not in (None, value):
                return None
            length = value
        elif coding is not None:
            return None
        else:
            coding = value
    if status == 101:
        return None
    if status in _BODILESS:
        return _Counted(0)
    if coding is not None:
        # With both, the length would be a second opinion on where the body ends.
        return _Chunked() if coding == b"chunked" and length is None else None
    if length is None or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        return None
    return _Counted(int(length)) if int(length) <= MAX_BODY_BYTES else None


class _Counted:
    """A body of a known length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def receive(self, data: bytes) -> Fate:
        self._left -= len(data)
        if self._left:
            return Fate.OPEN if self._left > 0 else Fate.SPENT
        return Fate.FREE


class _Chunked:
    """A body in chunks, trailers included. llhttp knows their grammar; it is shown a head that promises them."""

    __slots__ = ("_begun", "_bytes", "_ended", "_parser", "_tail")

    def __init__(self) -> None:
        self._bytes = 0
        self._begun = 0
        self._ended = False
        self._tail = b""  # the last five bytes
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def on_message_begin(self) -> None:
        self._begun += 1

    def on_message_complete(self) -> None:
        self._ended = True

    def receive(self, data: bytes) -> Fate:
        self._bytes += len(data)
        self._tail = (self._tail + data[-5:])[-5:]
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            return Fate.SPENT
        if self._begun > 1 or self._bytes > MAX_BODY_BYTES:
            return Fate.SPENT
        if not self._ended:
            return Fate.OPEN
        # llhttp passes over line ends behind the message without a word. The message itself ends in one empty line.
        return Fate.FREE if self._tail[1:] == b"\r\n\r\n" and self._tail[:1] not in b"\r\n" else Fate.SPENT


_Body = _Counted | _Chunked
