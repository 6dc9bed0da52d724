"""Functions of Python that the library calls in handshakes, and which context's they are.

The library knows one C function for each purpose; the context it calls for decides who answers. A function that
raises is a bug: it is reported, and the handshake goes on as if nothing had been found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol
from weakref import WeakValueDictionary

from . import errors
from ._load import Library

KEY_FAILED, KEY_UNKNOWN = -1, 0  # what a ticket-key function answers; else 1, or 2 to renew the ticket


class Cache(Protocol):
    """Keeps sessions for a context."""

    def store(self, ssl: Any, session: Any) -> None:
        """Keep the session that ``ssl`` has just made."""

    def find(self, session_id: bytes) -> Any:
        """A session, which is the caller's, or NULL."""

    def forget(self, session: Any) -> None:
        """It must not be resumed any more."""


class Keys(Protocol):
    """Encrypts tickets for a context."""

    def seal(self, name: Any, iv: Any, cipher: Any, mac: Any) -> int:
        """Write name and initialization vector, prepare cipher and MAC for a new ticket."""

    def open(self, name: Any, iv: Any, cipher: Any, mac: Any, *, renew: bool) -> int:
        """The same for a ticket that came. ``renew`` asks for a new ticket whatever the key."""


@dataclass(eq=False)
class Hooks:
    """Who answers for one context. It must live as long as the context."""

    cache: Cache | None = None
    keys: Keys | None = None


@dataclass(frozen=True, slots=True)
class Pointers:
    """The C functions."""

    new_session: Any
    remove_session: Any
    get_session: Any
    ticket_key: Any


_TLS_1_3 = 0x0304
_by_context: "WeakValueDictionary[int, Hooks]" = WeakValueDictionary()
_pointers: dict[str, tuple[Library, Pointers]] = {}  # by mode


def install(library: Library, context: Any, hooks: Hooks) -> None:
    """Let the library call ``hooks`` for this ``SSL_CTX``."""
    _by_context[_address(library.ffi, context)] = hooks
    pointers, lib = _made(library), library.lib
    if hooks.cache is not None:
        lib.SSL_CTX_sess_set_new_cb(context, pointers.new_session)
        lib.SSL_CTX_sess_set_get_cb(context, pointers.get_session)
        lib.SSL_CTX_sess_set_remove_cb(context, pointers.remove_session)
    if hooks.keys is not None:
        lib.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, pointers.ticket_key)


def _address(ffi: Any, context: Any) -> int:
    return int(ffi.cast("uintptr_t", context))


def _made(library: Library) -> Pointers:
    """The C functions of a library: made once, and alive as long as the process."""
    known = _pointers.get(library.mode)
    if known is None or known[0].ffi is not library.ffi:
        known = _pointers[library.mode] = (library, _make(library))
    return known[1]


def _make(library: Library) -> Pointers:
    ffi, lib = library.ffi, library.lib

    def of(ssl: Any) -> Hooks | None:
        return _by_context.get(_address(ffi, lib.SSL_get_SSL_CTX(ssl)))

    def new_session(ssl: Any, session: Any) -> int:
        hooks = of(ssl)
        if hooks is not None and hooks.cache is not None:
            hooks.cache.store(ssl, session)
        return 0  # no reference is kept

    def remove_session(context: Any, session: Any) -> None:
        hooks = _by_context.get(_address(ffi, context))
        if hooks is not None and hooks.cache is not None:
            hooks.cache.forget(session)

    def get_session(ssl: Any, session_id: Any, length: int, copy: Any) -> Any:
        copy[0] = 0  # the reference that we give is the library's
        hooks = of(ssl)
        if hooks is None or hooks.cache is None:
            return ffi.NULL
        return hooks.cache.find(ffi.buffer(session_id, length)[:])

    def ticket_key(ssl: Any, name: Any, iv: Any, cipher: Any, mac: Any, encrypts: int) -> int:
        hooks = of(ssl)
        if hooks is None or hooks.keys is None:
            return KEY_UNKNOWN
        if encrypts:
            return hooks.keys.seal(name, iv, cipher, mac)
        # A TLS 1.3 client uses a ticket once: it needs another.
        return hooks.keys.open(name, iv, cipher, mac, renew=lib.SSL_version(ssl) == _TLS_1_3)

    def c_function(name: str, signature: str, function: Callable[..., Any], error: Any) -> Any:
        if library.mode == "api":
            ffi.def_extern(name=name, error=error, onerror=_failed)(function)
            return getattr(lib, name)
        return ffi.callback(signature, function, error, _failed)

    return Pointers(
        c_function("gatepost_new_session", "int(SSL *, SSL_SESSION *)", new_session, 0),
        c_function("gatepost_remove_session", "void(SSL_CTX *, SSL_SESSION *)", remove_session, None),
        c_function(
            "gatepost_get_session",
            "SSL_SESSION *(SSL *, const unsigned char *, int, int *)",
            get_session,
            ffi.NULL,
        ),
        c_function(
            "gatepost_ticket_key",
            "int(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)",
            ticket_key,
            KEY_UNKNOWN,
        ),
    )


def _failed(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Of an error in a function above, say only what and where: the rest could hold what is secret."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    errors.report(f"TLS callback failed: {kind.__name__}{place}")
