"""What a finished handshake settled: what the authentication service is told about the client's TLS."""

from dataclasses import dataclass
from typing import Any

from ._load import Library

_HOST_NAME = 0  # TLSEXT_NAMETYPE_host_name


@dataclass(frozen=True, slots=True)
class Facts:
    """``protocol`` and ``cipher`` are OpenSSL's names: ``TLSv1.3``, ``TLS_AES_256_GCM_SHA384``.

    ``sni`` and ``alpn`` are what the client asked for and got, empty if it did not ask. ``sni`` is the client's
    choice: quote it before it goes into a log.
    """

    protocol: bytes
    cipher: bytes
    sni: bytes = b""
    alpn: bytes = b""


def read_facts(library: Library, ssl: Any) -> Facts:
    """The facts of an ``SSL *`` after its handshake."""
    ffi, lib = library.ffi, library.lib
    string = ffi.string
    name = lib.SSL_get_servername(ssl, _HOST_NAME)
    alpn, length = ffi.new("unsigned char **"), ffi.new("unsigned int *")
    lib.SSL_get0_alpn_selected(ssl, alpn, length)
    return Facts(
        string(lib.SSL_get_version(ssl)),
        string(lib.SSL_CIPHER_get_name(lib.SSL_get_current_cipher(ssl))),
        string(name) if name else b"",
        bytes(ffi.buffer(alpn[0], length[0])) if length[0] else b"",
    )
