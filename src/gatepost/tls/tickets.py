"""The keys that encrypt session tickets: from files, or made and rotated in a zone for all workers.

A ticket begins with the 16-byte name of its key (RFC 5077 section 4); AES-CBC under a random initialization vector
and HMAC-SHA-256 protect the rest. A key of 48 bytes is name, AES-128 key, HMAC key; one of 80 bytes is name, HMAC
key, AES-256 key: nginx's files, in its order.

Keys in a zone. Time is cut into spans of one ``ssl_session_timeout``. The first process that needs the key of a
span makes it; all others get the same one. It encrypts during its span and decrypts until the end of the next: by
then the tickets made under it have expired. A restart begins with an empty zone, and forgets.
"""

import errno
import os
import time
from collections.abc import Sequence
from typing import Any

from gatepost.errors import ConfigError, Where
from gatepost.store.table import StoreError
from gatepost.store.zones import SharedZone

from ._hooks import KEY_FAILED, KEY_UNKNOWN
from ._load import Library

NAME_BYTES = 16
SHORT_BYTES, LONG_BYTES = 48, 80
_IV_BYTES = 16
_FOUND, _FOUND_RENEW = 1, 2


class TicketKey:
    """One key, ready for use. Its memory is wiped when it is let go."""

    __slots__ = ("_cipher", "_keep", "_lib", "_params", "_secret", "name")

    def __init__(self, library: Library, material: bytes | bytearray) -> None:
        """``material`` is ``SHORT_BYTES`` or ``LONG_BYTES`` long."""
        ffi, lib = library.ffi, library.lib
        self._lib = lib
        self.name = bytes(material[:NAME_BYTES])
        size = len(material)
        memory = ffi.new("unsigned char[]", size)
        ffi.memmove(memory, material, size)
        wiped = ffi.gc(memory, lambda held: lib.OPENSSL_cleanse(held, size))
        if size == SHORT_BYTES:
            self._cipher, self._secret, mac, mac_bytes = lib.EVP_aes_128_cbc(), wiped + 16, wiped + 32, 16
        else:
            self._cipher, self._secret, mac, mac_bytes = lib.EVP_aes_256_cbc(), wiped + 48, wiped + 16, 32
        words = [ffi.new("char[]", word) for word in (b"key", b"digest", b"SHA256")]
        self._params = params = ffi.new("OSSL_PARAM[3]")
        params[0].key, params[0].data_type = words[0], lib.OSSL_PARAM_OCTET_STRING
        params[0].data, params[0].data_size = mac, mac_bytes
        params[1].key, params[1].data_type = words[1], lib.OSSL_PARAM_UTF8_STRING
        params[1].data, params[1].data_size = words[2], len(b"SHA256")
        self._keep = (wiped, *words)

    def __repr__(self) -> str:
        return "TicketKey(...)"

    def encrypt(self, ffi: Any, iv: Any, cipher: Any, mac: Any) -> bool:
        return bool(
            self._lib.EVP_EncryptInit_ex(cipher, self._cipher, ffi.NULL, self._secret, iv)
            and self._lib.EVP_MAC_CTX_set_params(mac, self._params)
        )

    def decrypt(self, ffi: Any, iv: Any, cipher: Any, mac: Any) -> bool:
        return bool(
            self._lib.EVP_MAC_CTX_set_params(mac, self._params)
            and self._lib.EVP_DecryptInit_ex(cipher, self._cipher, ffi.NULL, self._secret, iv)
        )


class KeyRing:
    """A set of keys: the first encrypts, all decrypt. Subclasses renew the set."""

    __slots__ = ("_ffi", "_keys", "_lib", "_library")

    def __init__(self, library: Library, keys: Sequence[TicketKey] = ()) -> None:
        self._library = library
        self._ffi, self._lib = library.ffi, library.lib
        self._keys = tuple(keys)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def keys(self) -> tuple[TicketKey, ...]:
        """The set as it is now; at least one."""
        return self._keys

    def seal(self, name: Any, iv: Any, cipher: Any, mac: Any) -> int:
        key = self.keys()[0]
        self._ffi.memmove(name, key.name, NAME_BYTES)
        if self._lib.RAND_bytes(iv, _IV_BYTES) == 1 and key.encrypt(self._ffi, iv, cipher, mac):
            return _FOUND
        return KEY_FAILED

    def open(self, name: Any, iv: Any, cipher: Any, mac: Any, *, renew: bool) -> int:
        wanted = self._ffi.buffer(name, NAME_BYTES)[:]
        for position, key in enumerate(self.keys()):
            if key.name == wanted:
                if not key.decrypt(self._ffi, iv, cipher, mac):
                    return KEY_FAILED
                return _FOUND_RENEW if renew or position else _FOUND
        return KEY_UNKNOWN


class ZoneKeys(KeyRing):
    """The keys of a zone. ``timeout`` is ``ssl_session_timeout`` in seconds."""

    __slots__ = ("_span", "_span_seconds", "_zone")

    def __init__(self, library: Library, zone: SharedZone, timeout: int) -> None:
        super().__init__(library)
        self._zone = zone
        self._span_seconds = max(1, timeout)
        self._span = -1

    def keys(self) -> tuple[TicketKey, ...]:
        span = int(time.time()) // self._span_seconds
        if span != self._span:
            self._keys = self._of(span)
            self._span = span
        return self._keys

    def _of(self, span: int) -> tuple[TicketKey, ...]:
        """The key of the span and, if there was one, that of the span before."""
        table = self._zone.table
        fresh = os.urandom(LONG_BYTES)
        if table is not None:
            try:
                ends = (span + 2) * self._span_seconds
                before = table.kept(self._key(span - 1))
                found = [table.keep(self._key(span), fresh, ends), *([before] if before else ())]
                return tuple(TicketKey(self._library, material) for material in found)
            except StoreError as error:
                self._zone.warn(f'ticket keys cannot be shared in zone "{self._zone.name}": {error}')
        # Tickets of this worker are good for this worker.
        return TicketKey(self._library, fresh), *(self._keys[:1] if self._span == span - 1 else ())

    def _key(self, span: int) -> bytes:
        return b"ticket key %d %d" % (self._span_seconds, span)


def load_keys(library: Library, files: Sequence[tuple[str, Where | None]]) -> KeyRing:
    """The keys in ``files``, (path, place of the directive); the first encrypts. Raises ConfigError."""
    return KeyRing(library, [_load_key(library, path, where) for path, where in files])


def _load_key(library: Library, path: str, where: Where | None) -> TicketKey:
    material = bytearray(LONG_BYTES)
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size not in (SHORT_BYTES, LONG_BYTES):
                raise ConfigError(f'"{path}" must be {SHORT_BYTES} or {LONG_BYTES} bytes', where)
            try:
                got = file.readinto(memoryview(material)[:size])
            except OSError as error:
                raise ConfigError(f'read() "{path}" failed ({_system(error)})', where) from error
        if got != size:
            raise ConfigError(f'read() "{path}" returned only {got} bytes instead of {size}', where)
        with memoryview(material) as whole, whole[:size] as used:
            return TicketKey(library, bytearray(used))
    except OSError as error:
        raise ConfigError(f'open() "{path}" failed ({_system(error)})', where) from error
    finally:
        material[:] = bytes(LONG_BYTES)


def _system(error: OSError) -> str:
    return f"{error.errno or errno.EIO}: {error.strerror}"
