"""SMTP on the wire: commands, replies, and the parameters of XCLIENT (RFC 5321 section 4, RFC 4954).

What a client may send is read as nginx reads it: any number of spaces between arguments, bare LF as a line end,
8-bit bytes. A bare CR is refused: servers differ about it, and such differences smuggle mail. Lines come with
their line end.
"""

import base64
import re
from typing import Final

from gatepost.address import Address
from gatepost.protocol.framing import InvalidCommand

MAX_ARGUMENTS: Final = 11  # as nginx; of the commands before login only MAIL and RCPT take more than two

_WORD: Final = re.compile(rb"([A-Za-z]+)(?=[ \r\n])")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_XTEXT: Final = re.compile(rb"[\x00-\x20+=\x7f-\xff]")
_CHUNK: Final = re.compile(
    rb"BDAT +([0-9]{1,20})(?: [^\r\n]*)?\r?\n", re.IGNORECASE
)  # chunk-size of RFC 3030 has 20 digits
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"__")
_EXCHANGE: Final = re.compile(rb"(AUTH)(?: +([A-Z0-9-]{1,20}))?(?:[ \r\n].*)?", re.IGNORECASE | re.DOTALL)

# What a client sends ---------------------------------------------------------------------------------


def verb(line: bytes) -> bytes:
    """The command word in upper case: letters from the first column up to a space or the line end; else empty."""
    match = _WORD.match(line)
    return match[1].upper() if match else b""


def text(line: bytes) -> bytes:
    """The line without its end. Raises InvalidCommand for a CR that does not belong to the end."""
    bare = line.removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in bare:
        raise InvalidCommand
    return bare


def arguments(line: bytes) -> list[bytes]:
    """What follows the command word, cut at spaces. Raises InvalidCommand."""
    found = [piece for piece in text(line).split(b" ") if piece][1:]
    if len(found) > MAX_ARGUMENTS:
        raise InvalidCommand
    return found


def chunk_bytes(line: bytes) -> int:
    """How many bytes come behind a BDAT command, whatever is answered (RFC 3030 section 2); 0 if it is none."""
    match = _CHUNK.fullmatch(line)
    return int(match[1]) if match else 0


def response(line: bytes) -> bytes:
    """A response of a SASL exchange: the line up to the first space. Raises InvalidCommand."""
    first, *more = text(line).split(b" ")
    if sum(map(bool, more)) >= MAX_ARGUMENTS:
        raise InvalidCommand
    return first


def is_name(argument: bytes) -> bool:
    """Whether the argument of HELO or EHLO may be repeated to others: it has no control characters.

    8-bit bytes are allowed, for names of RFC 6531.
    """
    return not _CONTROL.search(argument)


def envelope(line: bytes) -> bytes | None:
    """A MAIL or RCPT command as it is passed on: verbatim, without trailing spaces and line end.

    None if it has a NUL, at which some servers end a string and others do not.
    """
    found = text(line).rstrip(b" ")
    return None if b"\0" in found else found


def shown(data: bytes) -> bytes:
    """The first line of ``data`` for the log, CR and LF as ``_``; not escaped yet. Hides what AUTH says."""
    line = data[: data.find(b"\n") + 1] or data
    match = _EXCHANGE.fullmatch(line)
    if match is None:
        return line.translate(_LINE_ENDS)
    return b" ".join(word for word in match.groups() if word) + b"..."


# What we say to a client -----------------------------------------------------------------------------

OK: Final = b"250 2.0.0 OK\r\n"
BYE: Final = b"221 2.0.0 Bye\r\n"
GO_AHEAD: Final = b"220 2.0.0 Start TLS\r\n"
LOGGED_IN: Final = b"235 2.0.0 OK\r\n"
INVALID_COMMAND: Final = b"500 5.5.1 Invalid command\r\n"
INVALID_ARGUMENT: Final = b"501 5.5.4 Invalid argument\r\n"
BAD_SEQUENCE: Final = b"503 5.5.1 Bad sequence of commands\r\n"
TOO_EARLY: Final = b"503 5.5.0 Improper use of SMTP command pipelining\r\n"
NEEDS_TLS: Final = b"530 5.7.0 Must issue a STARTTLS command first\r\n"  # RFC 3207 section 4
NEEDS_LOGIN: Final = b"530 5.7.1 Authentication required\r\n"

_REFUSED: Final = b"535 5.7.0"


def greeting(name: bytes) -> bytes:
    return b"220 %b ESMTP ready\r\n" % name


def hello(lines: tuple[bytes, ...]) -> bytes:
    """The answer to HELO or EHLO; the first of ``lines`` is our name."""
    return b"".join(b"250-%b\r\n" % line for line in lines[:-1]) + b"250 %b\r\n" % lines[-1]


def prompt(challenge: bytes) -> bytes:
    """``continue-req = "334" SP [base64] CRLF``. An empty challenge keeps its space."""
    return b"334 %b\r\n" % challenge


def refused(said: bytes, code: bytes) -> bytes:
    """``code`` is a reply code, with an enhanced one or without; empty: ours. Line ends and NUL are left out."""
    line = b"%b %b" % (code or _REFUSED, said)
    return line.translate(None, b"\r\n\0") + b"\r\n"


# What we say to an upstream, and what it says --------------------------------------------------------


def greet(extended: bool, name: bytes) -> bytes:
    return b"%b %b\r\n" % (b"EHLO" if extended else b"HELO", name)


def xclient(address: bytes, login: bytes, name: bytes) -> bytes:
    """The client's particulars, as Postfix's XCLIENT_README has them. ``login`` is empty where there is none."""
    attribute = b" LOGIN=" + xtext(login) if login else b""
    return b"XCLIENT ADDR=%b%b NAME=%b\r\n" % (address, attribute, name)


def xclient_address(address: Address) -> bytes:
    """``ADDR`` of XCLIENT."""
    family = address.family.name
    if family == "AF_UNIX":
        return b"unix:"
    return (b"IPV6:" if family == "AF_INET6" else b"") + address.host.encode()


def xtext(data: bytes) -> bytes:
    """RFC 3461 section 4: ``xtext = *( xchar / hexchar )``."""
    return _XTEXT.sub(lambda match: b"+%02X" % match[0][0], data)


def plain(user: bytes, password: bytes) -> bytes:
    """AUTH PLAIN with its initial response (RFC 4954 section 4)."""
    return b"AUTH PLAIN %b\r\n" % base64.b64encode(b"\0%b\0%b" % (user, password))


def continues(line: bytes) -> bool:
    """Whether more lines of this reply follow (RFC 5321 section 4.2.1)."""
    return line[3:4] == b"-"
