"""IMAP on the wire: commands and replies as types and functions, each with its ABNF (RFC 9051 section 9).

What a client may send is read as nginx reads it, which is wider than the RFC in some places (bare LF, any number
of spaces, 8-bit bytes) and narrower in others (tags, three arguments); such places say so. What we send keeps to
the RFC. Lines come with their line end.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from gatepost.protocol.framing import InvalidCommand

MAX_TAG_BYTES: Final = 32  # as nginx; echoed in every reply, so it must be short
MAX_ARGUMENTS: Final = 3  # as nginx; the commands before login take at most two
MAX_LITERAL_BYTES: Final = 2**63 - 1  # number64 (RFC 9051 section 9); what really fits is the buffer's concern
MAX_LITERAL_AT_ONCE: Final = 4096  # bytes; LITERAL- allows no larger ones to go unasked (RFC 7888 section 5)
MAX_KNOWN_GREETINGS: Final = 64  # of servers behind us, which say the same to everybody, so that each is read once
MAX_KNOWN_GREETING_BYTES: Final = 1024  # Dovecot's and Cyrus' have 200 to 400

_OPENING: Final = re.compile(rb"([A-Za-z0-9._-]{1,%d}) +(?:([A-Za-z]+)(?=[ \r\n]))?" % MAX_TAG_BYTES)
_ARGUMENT: Final = re.compile(
    rb" *(?:"
    rb'([^ \r\n"{][^ \r\n]*)'  # unquoted
    rb'|"([^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*)"'  # quoted
    rb"|\{([0-9]*)(\+?)\}\r*\n"  # literal
    rb"|(\r?\n)"  # the end
    rb")"
)
_UNQUOTED, _QUOTED, _LITERAL, _END = 1, 2, 4, 5  # the last group of each form
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_AFTER_LITERAL: Final = re.compile(rb" |\r?\n")
_FIRST_PIECE: Final = re.compile(rb"[^ \r\n]*")
_ANNOUNCED: Final = re.compile(rb"\{([0-9]+)\+?\}\r*\n\Z")
_GREETED_CAPABILITIES: Final = re.compile(rb"\* OK \[CAPABILITY ([^\]\r\n]*)\]", re.IGNORECASE)
_AT_ONCE: Final = frozenset((b"LITERAL+", b"LITERAL-"))
_STATUS: Final = re.compile(rb"\* (OK|NO|BAD|BYE|PREAUTH)(?=[ \r\n])", re.IGNORECASE)
_VERDICT: Final = re.compile(rb"(OK|NO|BAD)(?=[ \r\n])", re.IGNORECASE)


# What a client sends ---------------------------------------------------------------------------------


class Literal(NamedTuple):
    """``literal = "{" number64 ["+"] "}" CRLF *CHAR8``: the announcement. The data follow as ``size`` raw bytes."""

    size: int
    synchronising: bool  # no "+": the client waits for our continuation


class Opening(NamedTuple):
    """``command = tag SP command-name ...``: how a line begins.

    ``tag`` is None if the line broke before the space behind it; ``verb``, in upper case, is None if what follows
    the tag is not a word of letters. ``end`` is where the arguments begin.

    ``tag = 1*<any ASTRING-CHAR except "+">``, narrowed to 32 letters, digits, hyphens, dots and underscores as in
    nginx. An empty tag, which nginx lets pass, is refused: nothing could be answered to it.
    """

    tag: bytes | None
    verb: bytes | None
    end: int


def opening(line: bytes) -> Opening:
    match = _OPENING.match(line)
    if match is None:
        return Opening(None, None, 0)
    tag, verb = match.groups()
    return Opening(tag, verb and verb.upper(), match.end())


def response(line: bytes) -> tuple[bytes, int]:
    """``continue-req`` answered: ``base64 CRLF``. The first piece of the line, raw, and where it ends.

    A quote or brace at its start means nothing. A space at the start makes the piece empty.
    """
    match = _FIRST_PIECE.match(line)
    assert match is not None  # it matches the empty string
    return match.group(), match.end()


def arguments(line: bytes, start: int, into: list[bytes]) -> Literal | None:
    """Read arguments from ``start`` up to the end of the line, which gives None, or up to a literal.

    ``astring = 1*ASTRING-CHAR / string``, ``string = quoted / literal``. Wider than the RFC: unquoted arguments
    take any byte but SP, CR and LF and differ from the other forms by their first byte alone; a backslash takes any
    next character; no space is needed behind a quoted string; ``{}`` is ``{0}``; several CRs may follow ``}``.
    Raises InvalidCommand; an unterminated quoted string is one, unlike in nginx, which takes it up to the line end.
    """
    while match := _ARGUMENT.match(line, start):
        form = match.lastindex
        if form == _END:
            return None
        if len(into) == MAX_ARGUMENTS:
            break
        if form == _UNQUOTED:
            into.append(match[_UNQUOTED])
        elif form == _QUOTED:
            into.append(_ESCAPE.sub(rb"\1", match[_QUOTED]))
        else:
            return _literal(match[3], match[4])
        start = match.end()
    raise InvalidCommand


def arguments_after_literal(line: bytes, into: list[bytes]) -> Literal | None:
    """As ``arguments``, for the line behind a literal's data, which must begin with a space or be empty."""
    if not _AFTER_LITERAL.match(line):
        raise InvalidCommand
    return arguments(line, 0, into)


def announces_data(line: bytes) -> bool:
    """Whether a line that was thrown away ended in a non-synchronising literal.

    Its data come without being asked for, and nothing tells them from commands (RFC 7888 section 4).
    """
    return line.rstrip(b"\r\n").endswith(b"+}")


def _literal(digits: bytes, plus: bytes) -> Literal:
    size = _number(digits)
    if size > MAX_LITERAL_BYTES:
        raise InvalidCommand
    return Literal(size, synchronising=not plus)


def _number(digits: bytes) -> int:
    """``number64``; what has too many digits for one is some number above it."""
    digits = digits.lstrip(b"0")
    # Counted before converted: Python refuses to convert very long numbers with an error of its own.
    return int(digits or b"0") if len(digits) <= 19 else MAX_LITERAL_BYTES + 1


# What we say to a client -----------------------------------------------------------------------------

GREETING: Final = b"* OK IMAP4 ready\r\n"
BYE: Final = b"* BYE\r\n"
GO_AHEAD: Final = b"+ OK\r\n"


def completed(tag: bytes) -> bytes:
    """``response-tagged = tag SP "OK" SP resp-text CRLF``."""
    return tag + b" OK completed\r\n"


def invalid(tag: bytes | None) -> bytes:
    """``tag SP "BAD" SP resp-text CRLF``, untagged where the tag was not understood."""
    return (b"*" if tag is None else tag) + b" BAD invalid command\r\n"


def refused(tag: bytes, text: bytes) -> bytes:
    """``tag SP "NO" SP resp-text CRLF``. Line ends and NUL in ``text`` are left out."""
    return tag + b" NO " + text.translate(None, b"\r\n\0") + b"\r\n"


def prompt(challenge: bytes) -> bytes:
    """``continue-req = "+" SP (resp-text / base64) CRLF``. An empty challenge keeps its space."""
    return b"+ " + challenge + b"\r\n"


def capability(words: tuple[bytes, ...]) -> bytes:
    """``capability-data = "CAPABILITY" *(SP capability)``, untagged."""
    return b"* " + b" ".join((b"CAPABILITY", *words)) + b"\r\n"


# What we say to an upstream, and what it says --------------------------------------------------------


def login(tag: bytes, user: bytes, _password: bytes) -> bytes:
    """``login = "LOGIN" SP userid SP password``, up to the announcement of the first literal."""
    return b"%b LOGIN {%d}\r\n" % (tag, len(user))


def login_user(_tag: bytes, user: bytes, password: bytes) -> bytes:
    """The first literal's data and the announcement of the second."""
    return b"%b {%d}\r\n" % (user, len(password))


def login_password(_tag: bytes, _user: bytes, password: bytes) -> bytes:
    """The second literal's data and the end of the command."""
    return password + b"\r\n"


def login_at_once(tag: bytes, user: bytes, password: bytes) -> bytes:
    """The whole command with literals that wait for nothing (RFC 7888), for a server that takes them."""
    return b"%b LOGIN {%d+}\r\n%b {%d+}\r\n%b\r\n" % (tag, len(user), user, len(password), password)


def takes_literals_at_once(greeting: bytes) -> bool:
    """Whether a greeting says ``LITERAL+`` or ``LITERAL-``: ``"[CAPABILITY" *(SP capability) "]"`` (RFC 9051)."""
    return _known(greeting) if len(greeting) <= MAX_KNOWN_GREETING_BYTES else _offers_literals(greeting)


@lru_cache(MAX_KNOWN_GREETINGS)
def _known(greeting: bytes) -> bool:
    return _offers_literals(greeting)


def _offers_literals(greeting: bytes) -> bool:
    match = _GREETED_CAPABILITIES.match(greeting)
    return match is not None and not _AT_ONCE.isdisjoint(match[1].upper().split(b" "))


def greets(line: bytes) -> bool:
    """``greeting = "*" SP "OK" SP resp-text CRLF``. PREAUTH would give all clients one mailbox; BYE is a no."""
    return status(line) == b"OK"


def goes_ahead(line: bytes) -> bool:
    """``continue-req = "+" SP ... CRLF``. Some servers send a bare ``+``."""
    return line.startswith(b"+")


def status(line: bytes) -> bytes:
    """The condition of ``"*" SP ("OK" / "NO" / "BAD" / "BYE" / "PREAUTH") ...``, in upper case; else empty."""
    match = _STATUS.match(line)
    return match[1].upper() if match else b""


def verdict(line: bytes, tag: bytes) -> bytes:
    """The condition of ``response-tagged`` with exactly this tag, in upper case; else empty."""
    if not line.startswith(tag + b" "):
        return b""
    match = _VERDICT.match(line, len(tag) + 1)
    return match[1].upper() if match else b""


def announced(line: bytes) -> int | None:
    """The size of the literal that continues an untagged response behind this line; None if none does.

    Not to be asked about a status response: ``resp-text`` has no literals, though its text may look like one.
    """
    match = _ANNOUNCED.search(line)
    return _number(match[1]) if match else None
