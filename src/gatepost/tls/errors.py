"""The library's error queue, as nginx writes it, and whose fault a failure is.

An entry reads ``error:0A00009C:SSL routines::http request``, with ``:data`` behind it if it has text data. The last
entry decides the level: what a client can cause by itself is ``info``, anything else ``crit``.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.errors import ConfigError, TlsError
from gatepost.log import Level, quoted

from ._fused import EOF, FAILED, SSL_ERROR_SYSCALL
from ._load import Library
from .settings import without_pin

MAX_TEXT_BYTES = 1024  # message and queue together; nginx cuts here too
_MAX_ENTRIES = 16  # the library's queue holds no more
_ENTRY_BYTES = 256  # what ERR_error_string_n needs at most

_SYSTEM_ERROR = 0x80000000  # ERR_SYSTEM_FLAG: the reason is an errno
_LIB_SHIFT, _LIB_MASK, _REASON_MASK = 23, 0xFF, 0x7FFFFF
_LIB_SSL = 20
_ALERT_REASONS = range(1000, 1256)  # SSL_AD_REASON_OFFSET + the number of the alert that was received

# Reasons of libssl that the other side causes. Numbers are part of the library's ABI and are not given out twice.
PEER_REASONS = {
    101: "no suitable key share",
    103: "bad change cipher spec",
    108: "bad key share",
    110: "bad extension",
    111: "bad digest length",
    112: "missing sigalgs extension",
    115: "bad packet length",
    118: "no suitable signature algorithm",
    122: "bad key update",
    129: "block cipher pad is wrong",
    133: "ccs received early",
    145: "data between ccs and finished",
    146: "data length too long",
    149: "digest check failed",
    150: "encrypted length too long",
    151: "error in received cipher list",
    152: "excessive message size",
    154: "got a fin before a ccs",
    155: "https proxy request",
    156: "http request",
    159: "length mismatch",
    160: "length too short",
    183: "no ciphers specified",
    186: "bad cipher",
    187: "no compression specified",
    193: "no shared cipher",
    198: "packet length too long",
    205: "invalid alert",
    213: "record length mismatch",
    226: "clienthello tlsext",
    227: "parse tlsext",
    234: "callback failed",
    235: "no application protocol",
    244: "unexpected message",
    245: "unexpected record",
    246: "unknown alert type",
    252: "unknown protocol",
    258: "unsupported protocol",
    267: "wrong version number",
    271: "bad length",
    281: "decryption failed or bad record mac",
    291: "application data after close notify",
    292: "bad legacy version",
    293: "mixed handshake and non handshake data",
    298: "record too small",
    306: "bad ecpoint",
    313: "record layer failure",
    335: "renegotiate ext too long",
    336: "renegotiation encoding err",
    337: "renegotiation mismatch",
    338: "unsafe legacy renegotiation disabled",
    339: "no renegotiation",
    345: "scsv received when renegotiating",
    373: "inappropriate fallback",
    376: "no shared signature algorithms",
    377: "cert cb error",
    396: "version too low",
    408: "ssl session id too long",
    409: "too many warn alerts",
    410: "no shared groups",
    443: "bad record type",
}

# Names that some version or relative of the library uses for the same things, without a number to rely on.
_PEER_WORDS = frozenset(
    {
        "application data on shutdown",
        "bad alert",
        "decode error",
        "invalid compression list",
        "missing key share",
        "no ciphers passed",
        "no common signature algorithms",
        "no shared group",
        "session id too long",
        "tls rsa encrypted value length is wrong",
        "too many warning alerts",
        "too much skipped early data",
    }
)

# A connection that breaks for one of these is everyday life.
_EVERYDAY = frozenset(
    {
        0,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.ETIMEDOUT,
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the queue: the packed code, its words, and the whole as bytes for a log."""

    code: int
    reason: str
    text: bytes

    @property
    def is_peers_fault(self) -> bool:
        if self.code & _SYSTEM_ERROR or (self.code >> _LIB_SHIFT) & _LIB_MASK != _LIB_SSL:
            return False
        number = self.code & _REASON_MASK
        return number in PEER_REASONS or number in _ALERT_REASONS or self.reason in _PEER_WORDS


def drain(library: Library) -> list[Entry]:
    """Empty the queue of this thread, oldest entry first."""
    ffi, lib = library.ffi, library.lib
    data, flags = ffi.new("char **"), ffi.new("int *")
    buffer = ffi.new("char[]", _ENTRY_BYTES)
    entries: list[Entry] = []
    while len(entries) < _MAX_ENTRIES:
        code = lib.ERR_get_error_all(ffi.NULL, ffi.NULL, ffi.NULL, data, flags)
        if not code:
            break
        lib.ERR_error_string_n(code, buffer, _ENTRY_BYTES)
        text = ffi.string(buffer)
        if flags[0] & lib.ERR_TXT_STRING and data[0] and (extra := ffi.string(data[0])):
            text += b":" + extra
        words = lib.ERR_reason_error_string(code)
        entries.append(Entry(code, ffi.string(words).decode("ascii", "replace") if words else "", text))
    return entries


def _queue_text(entries: list[Entry]) -> bytes:
    return b" (SSL: " + b" ".join(entry.text for entry in entries) + b")" if entries else b""


def _system_text(code: int) -> str:
    return f" ({code}: {os.strerror(code)})" if code else ""


class StepError(Exception):
    """A step of loading something failed; the library's queue says why, the text says which step."""


def config_error(library: Library, text: str, suffix: str = "") -> ConfigError:
    """``text`` with the queue behind it, which is emptied. PINs in the queue are not shown."""
    queue = _queue_text(drain(library)).decode("utf-8", "surrogateescape")
    return ConfigError(f"{text}{without_pin(queue)}{suffix}")


def failure(library: Library, call: str, outcome: int, code: int) -> TlsError:
    """The error of a call that answered ``outcome`` with ``code`` in errno. The queue is emptied."""
    entries = drain(library)
    if outcome == FAILED - SSL_ERROR_SYSCALL:
        everyday, system = code in _EVERYDAY, _system_text(code)
    else:
        everyday, system = bool(entries) and entries[-1].is_peers_fault, ""
    raw = (f"{call}() failed".encode() + _queue_text(entries))[:MAX_TEXT_BYTES]
    return TlsError(
        quoted(raw, MAX_TEXT_BYTES) + system,
        reason=entries[-1].reason if entries else "",
        level=Level.INFO if everyday else Level.CRIT,
    )


def handshake_failure(library: Library, outcome: int, code: int) -> TlsError:
    """The same for a handshake, where a connection that just ends has a text of its own."""
    if outcome != EOF and library.lib.ERR_peek_error():
        return failure(library, "SSL_do_handshake", outcome, code)
    system = code if outcome == FAILED - SSL_ERROR_SYSCALL else 0
    return TlsError(
        "peer closed connection in SSL handshake" + _system_text(system),
        level=Level.INFO if system in _EVERYDAY else Level.CRIT,
    )


def _unheard(_text: str) -> None:
    """Until a process has said where such lines go."""


_stale_listener: Callable[[str], None] = _unheard


def report_stale_to(listener: Callable[[str], None]) -> None:
    """Who hears that the queue held an entry that no call of ours left there; a line of level ``alert``."""
    global _stale_listener
    _stale_listener = listener


def report(text: str) -> None:
    """Tell the same listener of another thing that only a mistake of ours brings about."""
    _stale_listener(text)


def discard_stale(library: Library) -> None:
    """Empty the queue of what others left, or a later "try again" would be taken for a failure."""
    raw = (b"ignoring stale global SSL error" + _queue_text(drain(library)))[:MAX_TEXT_BYTES]
    library.lib.ERR_clear_error()
    _stale_listener(quoted(raw, MAX_TEXT_BYTES))
