"""Sessions in a zone that all workers share: OpenSSL's cache callbacks over a shared table.

A key is a session id, a value the session as the library serialises it. The library itself checks that a session
found belongs to the certificates and client CAs of the listener (the session-id context is part of it).
"""

import time
from typing import Any

from gatepost.store.table import MAX_VALUE_BYTES, StoreError
from gatepost.store.zones import SharedZone

from ._load import Library

_TLS_1_3 = 0x0304
_MAX_ID_BYTES = 32  # RFC 5246 section 7.4.1.2
WARN_SECONDS = 1.0  # between two complaints about one zone


class ZoneCache:
    """The sessions of one context in a zone. ``timeout`` is ``ssl_session_timeout`` in seconds."""

    __slots__ = ("_ffi", "_length", "_lib", "_library", "_timeout", "_warned_at", "_zone")

    def __init__(self, library: Library, zone: SharedZone, timeout: int) -> None:
        self._library = library
        self._ffi, self._lib = library.ffi, library.lib
        self._zone = zone
        self._timeout = timeout
        self._length = library.ffi.new("unsigned int *")
        self._warned_at = -WARN_SECONDS

    def store(self, ssl: Any, session: Any) -> None:
        lib, table = self._lib, self._zone.table
        if table is None:
            return
        # A TLS 1.3 ticket that holds the session needs no cache; the library calls here all the same.
        if lib.SSL_version(ssl) == _TLS_1_3 and not lib.SSL_get_options(ssl) & lib.SSL_OP_NO_TICKET:
            return
        key = self._id(session)
        size = lib.i2d_SSL_SESSION(session, self._ffi.NULL)
        if not key or not 0 < size <= MAX_VALUE_BYTES:
            return
        value = self._ffi.new("unsigned char[]", size)
        lib.i2d_SSL_SESSION(session, self._ffi.new("unsigned char **", value))
        ends = lib.SSL_SESSION_get_time(session) + min(lib.SSL_SESSION_get_timeout(session), self._timeout)
        try:
            table.put(key, self._ffi.buffer(value)[:], ends)
        except StoreError as error:
            self._complain(f'could not allocate new session in SSL session shared cache "{self._zone.name}"', error)
        finally:
            lib.OPENSSL_cleanse(value, size)  # it holds the master secret

    def find(self, session_id: bytes) -> Any:
        ffi, lib, table = self._ffi, self._lib, self._zone.table
        if table is None or not 0 < len(session_id) <= _MAX_ID_BYTES:
            return ffi.NULL
        try:
            value = table.get(session_id)
        except StoreError as error:
            self._complain(f'SSL session shared cache "{self._zone.name}" failed', error)
            return ffi.NULL
        if value is None:
            return ffi.NULL
        session = self._parsed(value)
        if not session:
            return ffi.NULL
        if self._id(session) != session_id or not self._library.fused.admit_session(session, self._timeout):
            lib.SSL_SESSION_free(session)
            return ffi.NULL
        return session

    def forget(self, session: Any) -> None:
        table, key = self._zone.table, self._id(session)
        if table is None or not key:
            return
        try:
            table.remove(key)
        except StoreError as error:
            self._complain(f'SSL session shared cache "{self._zone.name}" failed', error)

    def _parsed(self, value: bytes) -> Any:
        """The session, or NULL for bytes that are none. Leaves nothing in the error queue."""
        self._lib.ERR_set_mark()
        source = self._ffi.from_buffer("unsigned char[]", value)
        session = self._lib.d2i_SSL_SESSION(
            self._ffi.NULL, self._ffi.new("const unsigned char **", source), len(value)
        )
        self._lib.ERR_pop_to_mark()
        return session

    def _id(self, session: Any) -> bytes:
        found = self._lib.SSL_SESSION_get_id(session, self._length)
        return bytes(self._ffi.buffer(found, self._length[0]))

    def _complain(self, text: str, error: StoreError) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_SECONDS:
            self._warned_at = now
            self._zone.warn(f"{text} ({error})")
