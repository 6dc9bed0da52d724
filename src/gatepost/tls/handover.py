"""What a backend is told about a client's TLS by a PROXY header: names, and both sides' certificates."""

from dataclasses import dataclass
from typing import Any

from ._load import Library
from .facts import Facts

MAX_NAME_BYTES = 255  # of a common name; X.520 allows 64 characters, and a header has to stay small

_HOST_NAME = 0  # TLSEXT_NAMETYPE_host_name
_NID_COMMON_NAME = 13  # NID_commonName
_KEY_NAMES = {6: b"RSA", 116: b"DSA", 408: b"EC"}  # EVP_PKEY_RSA, _DSA, _EC; others have no agreed name


@dataclass(frozen=True, slots=True)
class Handover:
    """Texts are empty where nothing is known.

    ``sni`` (the server's name as it asked for it) and ``client_name`` (the common name, UTF-8) are the client's
    choice; ``alpn`` is the protocol agreed on; ``verify`` is OpenSSL's code for the client's certificate (0: good);
    ``signature`` and ``key`` describe our own: ``ecdsa-with-SHA256``, ``EC256``.
    """

    protocol: bytes
    cipher: bytes
    sni: bytes = b""
    alpn: bytes = b""
    signature: bytes = b""
    key: bytes = b""
    has_certificate: bool = False
    is_resumed: bool = False
    verify: int = 0
    client_name: bytes = b""


def read_handover(library: Library, ssl: Any, facts: Facts) -> Handover:
    """From an ``SSL *`` after its handshake."""
    lib = library.lib
    signature, key = _our_certificate(library, ssl)
    theirs = lib.SSL_get0_peer_certificate(ssl)
    return Handover(
        facts.protocol,
        facts.cipher,
        *_names(library, ssl),
        signature,
        key,
        has_certificate=bool(theirs),
        is_resumed=bool(lib.SSL_session_reused(ssl)),
        verify=lib.SSL_get_verify_result(ssl),
        client_name=_common_name(library, theirs) if theirs else b"",
    )


def _names(library: Library, ssl: Any) -> tuple[bytes, bytes]:
    """The server name that the client asked for, and the protocol it got (RFC 6066, RFC 7301)."""
    ffi, lib = library.ffi, library.lib
    name = lib.SSL_get_servername(ssl, _HOST_NAME)
    alpn, length = ffi.new("unsigned char **"), ffi.new("unsigned int *")
    lib.SSL_get0_alpn_selected(ssl, alpn, length)
    return ffi.string(name) if name else b"", bytes(ffi.buffer(alpn[0], length[0])) if length[0] else b""


def _our_certificate(library: Library, ssl: Any) -> tuple[bytes, bytes]:
    lib = library.lib
    ours = lib.SSL_get_certificate(ssl)
    if not ours:
        return b"", b""
    signature = lib.OBJ_nid2sn(lib.X509_get_signature_nid(ours))
    public = lib.X509_get0_pubkey(ours)
    name = _KEY_NAMES.get(lib.EVP_PKEY_get_base_id(public)) if public else None
    return (
        library.ffi.string(signature) if signature else b"",
        b"%b%d" % (name, lib.EVP_PKEY_get_bits(public)) if name else b"",
    )


def _common_name(library: Library, certificate: Any) -> bytes:
    """The first common name; empty where there is none, or what there is cannot be one.

    A longer one is not cut: what is left could be somebody else's.
    """
    ffi, lib = library.ffi, library.lib
    name = lib.X509_get_subject_name(certificate)
    at = lib.X509_NAME_get_index_by_NID(name, _NID_COMMON_NAME, -1)
    if at < 0:
        return b""
    text = ffi.new("unsigned char **")
    length = lib.ASN1_STRING_to_UTF8(text, lib.X509_NAME_ENTRY_get_data(lib.X509_NAME_get_entry(name, at)))
    if length < 0:
        lib.ERR_clear_error()
        return b""
    try:
        return bytes(ffi.buffer(text[0], length)) if length <= MAX_NAME_BYTES else b""
    finally:
        lib.CRYPTO_free(text[0], b"", 0)
