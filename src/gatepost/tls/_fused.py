"""The calls of the hot path, as one call each.

With the compiled module they are C (``_decl.FUSED_SOURCE``). Over a library opened at run time the same is done
here with three calls. Both keep one contract: a count of bytes, or a code below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ._fused_sessions import lifetimes

DONE: Final = 1
EOF: Final = 0
WANT_READ: Final = -1
WANT_WRITE: Final = -2
WANT_LOOKUP: Final = -3  # reserved: a ClientHello that waits for something to be looked up
STALE: Final = -4  # nothing was done: the error queue held something that is not ours
FAILED: Final = -100  # minus the SSL_ERROR_* number; the error queue and errno are left to be read

SSL_ERROR_SSL: Final = 1
SSL_ERROR_WANT_READ: Final = 2
SSL_ERROR_WANT_WRITE: Final = 3
SSL_ERROR_SYSCALL: Final = 5
SSL_ERROR_ZERO_RETURN: Final = 6

AFTER_BITS: Final = 32  # a read answers count | (1 - code) << 32 when the stream ended behind the bytes

UNSENT: Final = 1 << 32  # in what a write answers: not all of it has left: write again, even nothing
CLOSED: Final = 1 << 33  # in what finish answers: close_notify follows what was taken

_OUTCOMES: Final = {SSL_ERROR_WANT_READ: WANT_READ, SSL_ERROR_WANT_WRITE: WANT_WRITE, SSL_ERROR_ZERO_RETURN: EOF}

_BOTH_SHUTDOWNS: Final = 3  # SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN
_ALPN_OK, _ALPN_FATAL = 0, 2  # SSL_TLSEXT_ERR_*
_NPN_NEGOTIATED: Final = 1


@dataclass(frozen=True, slots=True)
class Fused:
    """``new(context, fd, server) -> SSL or NULL``, ``free(ssl)``, ``handshake(ssl)``, ``read(ssl, buffer, room)``,
    ``write(ssl, data, count)``, ``finish(ssl, data, count)`` (a write with close_notify behind it),
    ``shutdown(ssl)``,
    ``withhold_tickets(ssl)``; ``select_alpn`` is a C function pointer whose argument is the
    one protocol, its length in front.

    ``admit_session(session, timeout)`` says whether a session found somewhere may still be resumed; ``ticket_made``
    and ``ticket_opened`` are C function pointers for ``SSL_CTX_set_session_ticket_cb``, whose argument points to
    the timeout (a long): see ``_fused_sessions``.

    ``accept_certificate`` is one for SSL_CTX_set_verify: it takes whatever a client shows, because what is wrong
    with it is judged after the handshake, where it can be said.
    """

    new: Callable[[Any, int, bool], Any]
    free: Callable[[Any], None]
    handshake: Callable[[Any], int]
    read: Callable[[Any, Any, int], int]
    write: Callable[[Any, Any, int], int]
    finish: Callable[[Any, Any, int], int]
    shutdown: Callable[[Any], int]
    withhold_tickets: Callable[[Any], None]
    select_alpn: Any
    admit_session: Callable[[Any, int], int]
    ticket_made: Any
    ticket_opened: Any
    accept_certificate: Any


def compiled(ffi: Any, lib: Any) -> Fused:
    """The calls as the compiled module has them."""
    return Fused(
        lib.gatepost_new,
        lib.gatepost_free,
        lib.gatepost_handshake,
        lib.gatepost_read,
        lib.gatepost_write,
        lib.gatepost_finish,
        lib.gatepost_shutdown,
        lib.gatepost_withhold_tickets,
        ffi.addressof(lib, "gatepost_select_alpn"),
        lib.gatepost_admit_session,
        ffi.addressof(lib, "gatepost_ticket_made"),
        ffi.addressof(lib, "gatepost_ticket_opened"),
        ffi.addressof(lib, "gatepost_accept_certificate"),
    )


def interpreted(ffi: Any, lib: Any) -> Fused:
    """The calls over a library opened at run time. One out-parameter is shared: a process has one loop."""
    count = ffi.new("size_t *")
    peek_error, get_error, has_pending = lib.ERR_peek_error, lib.SSL_get_error, lib.SSL_has_pending
    do_handshake, read_ex, write_ex, ssl_shutdown = (
        lib.SSL_do_handshake,
        lib.SSL_read_ex,
        lib.SSL_write_ex,
        lib.SSL_shutdown,
    )
    char_pointer = ffi.typeof("char *")

    def outcome(ssl: Any, result: int) -> int:
        error: int = get_error(ssl, result)
        return _OUTCOMES.get(error, FAILED - error)

    def new(context: Any, fd: int, server: bool) -> Any:
        ssl = lib.SSL_new(context)
        if ssl:
            if not lib.SSL_set_fd(ssl, fd):
                lib.SSL_free(ssl)
                return ffi.NULL
            (lib.SSL_set_accept_state if server else lib.SSL_set_connect_state)(ssl)
        return ssl

    def free(ssl: Any) -> None:
        # Marked shut down first: otherwise the library takes the session for broken and drops it from the caches.
        lib.SSL_set_shutdown(ssl, _BOTH_SHUTDOWNS)
        lib.SSL_free(ssl)

    def handshake(ssl: Any) -> int:
        if peek_error():
            return STALE
        result = do_handshake(ssl)
        return DONE if result == 1 else outcome(ssl, result)

    def read(ssl: Any, buffer: Any, room: int) -> int:
        if peek_error():
            return STALE
        if not read_ex(ssl, buffer, room, count):
            return outcome(ssl, 0)
        total: int = count[0]
        while total < room and has_pending(ssl):
            if read_ex(ssl, buffer + total, room - total, count):
                total += count[0]
                continue
            end = outcome(ssl, 0)
            if end in (WANT_READ, WANT_WRITE):
                break
            return total | (1 - end) << AFTER_BITS
        return total

    def write(ssl: Any, data: Any, size: int) -> int:
        if peek_error():
            return STALE
        total = 0
        rest = data
        while total < size:
            if write_ex(ssl, rest, size - total, count):
                total += count[0]
                if total < size:  # more than one record: from here on by address, without a copy
                    rest = ffi.cast(char_pointer, ffi.from_buffer(data) if type(data) is bytes else data) + total
                continue
            end = outcome(ssl, 0)
            if total and end in (WANT_READ, WANT_WRITE):
                break
            return end
        return total

    def finish(ssl: Any, data: Any, size: int) -> int:
        taken = write(ssl, data, size)
        return taken | CLOSED if taken == size and ssl_shutdown(ssl) >= 0 else taken

    def shutdown(ssl: Any) -> int:
        if peek_error():
            return STALE
        result: int = ssl_shutdown(ssl)
        return result if result >= 0 else outcome(ssl, result)

    def withhold_tickets(_ssl: Any) -> None:
        return None  # they have been sent with the handshake

    @ffi.callback(  # type: ignore[untyped-decorator]
        "int(SSL *, const unsigned char **, unsigned char *, const unsigned char *, unsigned int, void *)",
        error=_ALPN_FATAL,
    )
    def select_alpn(_ssl: Any, out: Any, out_length: Any, offered: Any, offered_length: int, arg: Any) -> int:
        ours = ffi.cast("unsigned char *", arg)
        found = lib.SSL_select_next_proto(
            ffi.cast("unsigned char **", out), out_length, ours, 1 + ours[0], offered, offered_length
        )
        return _ALPN_OK if found == _NPN_NEGOTIATED else _ALPN_FATAL

    @ffi.callback("int(int, X509_STORE_CTX *)", error=0)  # type: ignore[untyped-decorator]
    def accept_certificate(_is_good: int, _store: Any) -> int:
        return 1

    return Fused(
        new,
        free,
        handshake,
        read,
        write,
        finish,
        shutdown,
        withhold_tickets,
        select_alpn,
        *lifetimes(ffi, lib),
        accept_certificate=accept_certificate,
    )
