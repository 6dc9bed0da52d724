"""The lifetime of sessions, over a library opened at run time. The compiled module has the same in C.

Theory of operation. With TLS 1.3 the library stamps a resumed session with the present time: a client that goes on
resuming would keep a session for ever, and with it the certificate and the trust that were checked once. So the
end of a session travels inside it, as ticket data (8 bytes, seconds of the clock, big-endian): set when its first
ticket is made, looked at when a session is found, in a ticket or in a cache, and obeyed when the next one is made.
A resumed session never gets more than what was left (RFC 8446 section 4.6.1 allows less than the hint at any time).

A session that was resumed when nothing was left of it, or that a server with a shorter timeout finds, is refused:
the handshake goes on as a full one.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

_END = struct.Struct(">q")
_STATUS_SUCCESS, _STATUS_RENEW = 5, 6  # SSL_TICKET_SUCCESS, SSL_TICKET_SUCCESS_RENEW
_IGNORE_RENEW, _USE, _USE_RENEW = 2, 3, 4  # SSL_TICKET_RETURN_*


def lifetimes(ffi: Any, lib: Any) -> tuple[Callable[[Any, int], int], Any, Any]:
    """``admit_session``, ``ticket_made`` and ``ticket_opened`` of ``Fused``."""
    data, length = ffi.new("void **"), ffi.new("size_t *")

    def admit_session(session: Any, timeout: int) -> int:
        end = lib.SSL_SESSION_get_time(session) + min(lib.SSL_SESSION_get_timeout(session), timeout)
        if end <= int(time.time()):
            return 0
        result: int = lib.SSL_SESSION_set1_ticket_appdata(session, _END.pack(end), _END.size)
        return result

    @ffi.callback("int(SSL *, void *)", error=0)  # type: ignore[untyped-decorator]
    def ticket_made(ssl: Any, _arg: Any) -> int:
        session = lib.SSL_get_session(ssl)
        start = lib.SSL_SESSION_get_time(session)
        if not lib.SSL_SESSION_get0_ticket_appdata(session, data, length) or length[0] != _END.size:
            end = start + lib.SSL_SESSION_get_timeout(session)
            result: int = lib.SSL_SESSION_set1_ticket_appdata(session, _END.pack(end), _END.size)
            return result
        (end,) = _END.unpack(ffi.unpack(ffi.cast("char *", data[0]), _END.size))
        lib.SSL_SESSION_set_timeout(session, max(0, end - start))
        return 1

    @ffi.callback(  # type: ignore[untyped-decorator]
        "int(SSL *, SSL_SESSION *, const unsigned char *, size_t, int, void *)", error=_IGNORE_RENEW
    )
    def ticket_opened(_ssl: Any, session: Any, _name: Any, _length: int, status: int, arg: Any) -> int:
        if status not in (_STATUS_SUCCESS, _STATUS_RENEW):
            return _IGNORE_RENEW
        if not admit_session(session, ffi.cast("long *", arg)[0]):
            return _IGNORE_RENEW
        return _USE if status == _STATUS_SUCCESS else _USE_RENEW

    return admit_session, ticket_made, ticket_opened
