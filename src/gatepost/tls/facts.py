"""What a finished handshake settled: what the authentication service is told about the client's TLS."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ._load import Library
from .verification import verify_text

_SHA1_BYTES: Final = 20  # a name for the certificate that services know it by, not a proof


def _nothing() -> bytes:
    return b""


@dataclass(slots=True, init=False)
class Facts:
    """``protocol`` and ``cipher`` are OpenSSL's names: ``TLSv1.3``, ``TLS_AES_256_GCM_SHA384``.

    ``verify`` is empty if no certificate was asked for, else ``SUCCESS``, ``NONE`` or ``FAILED:reason``. The rest
    is empty without a certificate: ``subject`` and ``issuer`` as in RFC 2253, ASCII without controls; ``serial`` in
    upper-case hex, an even number of digits; ``fingerprint``, SHA-1 of the DER in lower-case hex.
    ``certificate`` makes the PEM text when it is called.
    """

    protocol: bytes
    cipher: bytes
    verify: bytes
    subject: bytes
    issuer: bytes
    serial: bytes
    fingerprint: bytes
    certificate: Callable[[], bytes] = field(repr=False, compare=False)

    def __init__(
        self,
        protocol: bytes,
        cipher: bytes,
        verify: bytes = b"",
        subject: bytes = b"",
        issuer: bytes = b"",
        serial: bytes = b"",
        fingerprint: bytes = b"",
        certificate: Callable[[], bytes] = _nothing,
    ) -> None:
        self.protocol = protocol
        self.cipher = cipher
        self.verify = verify
        self.subject = subject
        self.issuer = issuer
        self.serial = serial
        self.fingerprint = fingerprint
        self.certificate = certificate


def read_facts(library: Library, ssl: Any, *, verifies: bool) -> Facts:
    """The facts of an ``SSL *`` after its handshake. ``verifies``: its client was asked for a certificate."""
    ffi, lib = library.ffi, library.lib
    string = ffi.string
    protocol = string(lib.SSL_get_version(ssl))
    cipher = string(lib.SSL_CIPHER_get_name(lib.SSL_get_current_cipher(ssl)))
    if not verifies:
        return Facts(protocol, cipher)
    certificate = lib.SSL_get0_peer_certificate(ssl)
    if not certificate:
        return Facts(protocol, cipher, b"NONE")
    lib.X509_up_ref(certificate)
    certificate = ffi.gc(certificate, lib.X509_free)  # the facts may outlive the connection
    code = lib.SSL_get_verify_result(ssl)
    return Facts(
        protocol,
        cipher,
        b"SUCCESS" if code == lib.X509_V_OK else b"FAILED:" + verify_text(library, code),
        _name(library, lib.X509_get_subject_name(certificate)),
        _name(library, lib.X509_get_issuer_name(certificate)),
        _serial(library, certificate),
        _fingerprint(library, certificate),
        lambda: _printed(library, lambda bio: lib.PEM_write_bio_X509(bio, certificate)),
    )


def _name(library: Library, name: Any) -> bytes:
    """The most specific part first; what is not printable ASCII is escaped (RFC 2253)."""
    lib = library.lib
    return _printed(library, lambda bio: lib.X509_NAME_print_ex(bio, name, 0, lib.XN_FLAG_RFC2253))


def _serial(library: Library, certificate: Any) -> bytes:
    lib = library.lib
    number = lib.X509_get_serialNumber(certificate)
    # The library folds long numbers; a line end has no place in a header.
    return _printed(library, lambda bio: lib.i2a_ASN1_INTEGER(bio, number)).replace(b"\\\n", b"")


def _fingerprint(library: Library, certificate: Any) -> bytes:
    ffi, lib = library.ffi, library.lib
    digest, length = ffi.new("unsigned char[]", _SHA1_BYTES), ffi.new("unsigned int *")
    if not lib.X509_digest(certificate, lib.EVP_sha1(), digest, length):
        lib.ERR_clear_error()
        return b""
    return bytes(ffi.buffer(digest)).hex().encode()


def _printed(library: Library, write: Callable[[Any], int]) -> bytes:
    """What ``write`` puts into a BIO; empty if it fails."""
    ffi, lib = library.ffi, library.lib
    bio = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
    if write(bio) < 0:
        lib.ERR_clear_error()
        return b""
    size = lib.BIO_ctrl_pending(bio)
    text = ffi.new("char[]", size or 1)
    lib.BIO_read(bio, text, size)
    return bytes(ffi.buffer(text, size))
