"""Certificates and private keys: from files, ``data:`` values and stores to objects of the library.

The objects returned free themselves; a context takes references of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._load import Library
from .engines import load_engine_key
from .errors import StepError, config_error
from .passwords import Passwords
from .settings import shown

MAX_PASSWORD_BYTES = 1024  # PEM_BUFSIZE: the library ignores the rest

_LIB_PEM, _NO_START_LINE = 9, 108  # ERR_LIB_PEM, PEM_R_NO_START_LINE
_LIB_SHIFT, _LIB_MASK, _REASON_MASK = 23, 0xFF, 0x7FFFFF


def load_chain(library: Library, name: str) -> list[Any]:
    """The certificate called ``name`` (a path or ``data:``) and those behind it, in order. Raises ConfigError."""
    ffi, lib = library.ffi, library.lib
    try:
        with opened(library, path_bytes(name)) as bio:
            leaf = lib.PEM_read_bio_X509_AUX(bio, ffi.NULL, ffi.NULL, ffi.NULL)
            if not leaf:
                raise StepError("PEM_read_bio_X509_AUX() failed")
            chain = [ffi.gc(leaf, lib.X509_free)]
            while more := lib.PEM_read_bio_X509(bio, ffi.NULL, ffi.NULL, ffi.NULL):
                chain.append(ffi.gc(more, lib.X509_free))
            if not at_end(lib.ERR_peek_last_error()):
                raise StepError("PEM_read_bio_X509() failed")
            lib.ERR_clear_error()
    except StepError as refused:
        raise config_error(library, f'cannot load certificate "{shown(name)}": {refused}') from None
    return chain


def at_end(code: int) -> bool:
    """Whether the error means that a PEM text held nothing more."""
    return (code >> _LIB_SHIFT) & _LIB_MASK == _LIB_PEM and code & _REASON_MASK == _NO_START_LINE


def load_key(
    library: Library, name: str, passwords: Passwords | None, certificate: str, warn: Callable[[str], None]
) -> Any:
    """The private key called ``name`` (a path, ``data:``, ``store:`` or ``engine:``). Raises ConfigError.

    ``certificate`` is the name of its certificate, for the message. An encrypted key without a password file makes
    the library ask on the terminal.
    """
    suffix = "" if certificate == name else f' for certificate "{shown(certificate)}"'
    prefix = f'cannot load certificate key "{shown(name)}": '
    load = next((load for start, load in _ELSEWHERE.items() if name.startswith(start)), _from_pem)
    secrets: list[bytearray | None] = list(passwords) if passwords is not None else [None]
    for number, secret in enumerate(secrets, 1):
        if secret is not None and len(secret) - 1 > MAX_PASSWORD_BYTES:
            warn(f"password is truncated to {MAX_PASSWORD_BYTES} bytes")
        try:
            key = load(library, name, secret)
        except StepError as refused:
            if number == len(secrets):
                raise config_error(library, f"{prefix}{refused}", suffix) from None
            library.lib.ERR_clear_error()
        else:
            library.lib.ERR_clear_error()  # loaders try formats in turn and leave their misses
            return library.ffi.gc(key, library.lib.EVP_PKEY_free)
    raise AssertionError("a password file has at least one password")


def _from_pem(library: Library, name: str, secret: bytearray | None) -> Any:
    ffi, lib = library.ffi, library.lib
    with opened(library, path_bytes(name)) as bio:
        # Without a callback the library takes the last argument for the password itself.
        given = ffi.NULL if secret is None else ffi.from_buffer(secret)
        key = lib.PEM_read_bio_PrivateKey(bio, ffi.NULL, ffi.NULL, given)
        if not key:
            raise StepError("PEM_read_bio_PrivateKey() failed")
        return key


def _from_store(library: Library, name: str, secret: bytearray | None) -> Any:
    """The first private key of the store. ``store:`` is followed by its URI."""
    ffi, lib = library.ffi, library.lib
    method, given = _answering(library, secret)
    store = lib.OSSL_STORE_open(path_bytes(name[len("store:") :]), method, given, ffi.NULL, ffi.NULL)
    if not store:
        raise StepError("OSSL_STORE_open() failed")
    try:
        while not lib.OSSL_STORE_eof(store):
            info = lib.OSSL_STORE_load(store)
            if not info:
                continue
            is_key = lib.OSSL_STORE_INFO_get_type(info) == lib.OSSL_STORE_INFO_PKEY
            key = lib.OSSL_STORE_INFO_get1_PKEY(info) if is_key else ffi.NULL
            lib.OSSL_STORE_INFO_free(info)
            if key:
                return key
    finally:
        lib.OSSL_STORE_close(store)
    raise StepError("OSSL_STORE_load() failed")


def _from_engine(library: Library, name: str, secret: bytearray | None) -> Any:
    return load_engine_key(library, name, *_answering(library, secret))


_ELSEWHERE = {"store:": _from_store, "engine:": _from_engine}


def _answering(library: Library, secret: bytearray | None) -> tuple[Any, Any]:
    """A method that answers questions for a password with ``secret``, and its argument. None: the terminal does."""
    ffi, lib = library.ffi, library.lib
    if secret is None:
        return ffi.NULL, ffi.NULL
    return ffi.gc(lib.UI_UTIL_wrap_read_pem_callback(ffi.NULL, 0), lib.UI_destroy_method), ffi.from_buffer(secret)


def path_bytes(name: str) -> bytes:
    """A path or other word of the configuration, as the library takes it."""
    return name.encode("utf-8", "surrogateescape")


@contextmanager
def opened(library: Library, text: bytes) -> Iterator[Any]:
    """A BIO over the file or over the text behind ``data:``."""
    ffi, lib = library.ffi, library.lib
    if text.startswith(b"data:"):
        memory = ffi.from_buffer(text)
        bio = lib.BIO_new_mem_buf(memory + len("data:"), len(text) - len("data:"))
        failed = "BIO_new_mem_buf() failed"
    else:
        bio = lib.BIO_new_file(text, b"r")
        failed = "BIO_new_file() failed"
    if not bio:
        raise StepError(failed)
    try:
        yield bio
    finally:
        lib.BIO_free(bio)
