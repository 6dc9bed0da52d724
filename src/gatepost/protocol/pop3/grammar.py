"""POP3 on the wire: commands and replies as functions, each with its ABNF (RFC 2449 section 9, RFC 5034 section 6).

What a client may send is read as nginx reads it, which is wider than the RFCs in some places (bare LF, any number
of spaces, 8-bit bytes and NUL in arguments) and narrower in one (at most three arguments). There is no quoting.
What we send keeps to the RFCs. Lines come with their line end.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from gatepost.protocol.framing import InvalidCommand

MAX_ARGUMENTS: Final = 3  # as nginx; the commands before login take at most two

_VERB: Final = re.compile(rb"([A-Za-z]{4})(?=[ \r\n])")
_DIGEST: Final = re.compile(rb"[0-9A-Fa-f]{32}")
_WHOLE: Final = frozenset((b"USER", b"PASS"))


# What a client sends ---------------------------------------------------------------------------------


class Command(NamedTuple):
    """``command = keyword *(SP param) CRLF``. ``verb`` is in upper case."""

    verb: bytes
    arguments: list[bytes]


def command(line: bytes) -> Command:
    """``keyword = 3*4VCHAR``, narrowed to the four letters that all commands before login have.

    The argument of USER and PASS is the rest of the line: names and passwords may hold spaces, also at the end.
    Raises InvalidCommand.
    """
    verb = opening(line)
    rest = _text(line)[4:]
    if verb in _WHOLE:
        argument = rest.lstrip(b" ")
        return Command(verb, [argument] if argument else [])
    arguments = [piece for piece in rest.split(b" ") if piece]
    if not verb or len(arguments) > MAX_ARGUMENTS:
        raise InvalidCommand
    return Command(verb, arguments)


def opening(line: bytes) -> bytes:
    """The verb, in upper case, that the beginning of a line holds; empty if none."""
    match = _VERB.match(line)
    return match[1].upper() if match else b""


def response(line: bytes) -> bytes:
    """``base64 CRLF``: the first piece of the line, which is empty if a space comes first.

    Raises InvalidCommand for more pieces than a command may have arguments.
    """
    first, *more = _text(line).split(b" ")
    if len([piece for piece in more if piece]) >= MAX_ARGUMENTS:
        raise InvalidCommand
    return first


def is_digest(argument: bytes) -> bool:
    """``digest``, RFC 1939 section 7: 16 bytes in hexadecimal digits, here of either letter case."""
    return _DIGEST.fullmatch(argument) is not None


def _text(line: bytes) -> bytes:
    """The line without its end. Raises InvalidCommand for a CR that no LF follows."""
    text = line.removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in text:
        raise InvalidCommand
    return text


# What we say to a client -----------------------------------------------------------------------------

OK: Final = b"+OK\r\n"
INVALID: Final = b"-ERR invalid command\r\n"


def greeting(challenge: bytes) -> bytes:
    """``greeting = "+OK" [resp-code] *gchar [timestamp] *gchar CRLF``; the challenge, if any, is the timestamp."""
    return b"+OK POP3 ready%b%b\r\n" % (b" " if challenge else b"", challenge)


def refused(text: bytes) -> bytes:
    """``single-line = status [SP text] CRLF``. Line ends and NUL in ``text`` are left out."""
    return b"-ERR " + text.translate(None, b"\r\n\0") + b"\r\n"


def prompt(challenge: bytes) -> bytes:
    """``continue-req = "+" SP [base64] CRLF``. An empty challenge keeps its space."""
    return b"+ " + challenge + b"\r\n"


def capabilities(lines: Iterable[bytes]) -> bytes:
    """``capa-resp = single-line *capability "." CRLF``."""
    return _listing(b"Capability list follows", lines)


def sasl(mechanisms: Iterable[bytes]) -> bytes:
    """``sasl-capa = "SASL" *(SP sasl-mech)``, a line of the capabilities."""
    return b" ".join((b"SASL", *mechanisms))


def methods(mechanisms: Iterable[bytes]) -> bytes:
    """The answer to a bare AUTH, which is in no RFC but in old clients."""
    return _listing(b"methods supported:", mechanisms)


def _listing(title: bytes, lines: Iterable[bytes]) -> bytes:
    """``multi-line = single-line *dot-stuffed "." CRLF``."""
    stuffed = (b"." + line if line.startswith(b".") else line for line in lines)
    return b"\r\n".join((b"+OK " + title, *stuffed, b".", b""))


# What we say to an upstream, and what it says --------------------------------------------------------


def user(name: bytes) -> bytes:
    """``USER name`` (RFC 1939 section 7)."""
    return b"USER " + name + b"\r\n"


def password(word: bytes) -> bytes:
    """``PASS string`` (RFC 1939 section 7)."""
    return b"PASS " + word + b"\r\n"


def agrees(line: bytes) -> bool:
    """``"+OK"``, in upper case by RFC 1939 section 3; what is behind it does not matter, as in nginx."""
    return line.startswith(b"+OK")


def refuses(line: bytes) -> bool:
    """``"-ERR"``, as opposed to what is no reply of POP3."""
    return line.startswith(b"-ERR")
