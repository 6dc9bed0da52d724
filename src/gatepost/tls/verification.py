"""Client certificates: asking for them, and judging what came.

Theory of operation. A handshake never fails because of a client's certificate: the library notes what it found, and
``judge`` is asked after the handshake. So the client can be told in its own protocol, inside TLS, and certificates
of unknown authorities can be let through where the authentication service is to decide. A resumed session
carries what was found when it began, and is judged again.

While verification is off, none of the files is opened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatepost.errors import ConfigError

from ._load import Library
from .certificates import at_end, opened, path_bytes
from .errors import StepError, config_error
from .settings import TlsSettings

OFF, ON, OPTIONAL, OPTIONAL_NO_CA = "off", "on", "optional", "optional_no_ca"  # words of ssl_verify_client

_MAX_DEPTH = 2**31 - 1  # of a C int: more is no limit at all
_DIGEST_BYTES = 20  # SHA-1; tells names apart, proves nothing


@dataclass(frozen=True, slots=True)
class CertificateProblem:
    """Why a client is refused. ``code`` and ``text`` are the library's; ``str`` is the line for the log."""

    missing: bool
    code: int = 0
    text: str = ""

    def __str__(self) -> str:
        if self.missing:
            return "client sent no required SSL certificate"
        return f"client SSL certificate verify error: ({self.code}:{self.text})"


def judge(library: Library, ssl: Any, mode: str) -> CertificateProblem | None:
    """What ``mode`` says to the certificate of an ``SSL *`` after its handshake; None: it may go on."""
    lib = library.lib
    if mode == OFF:
        return None
    code: int = lib.SSL_get_verify_result(ssl)
    if code != lib.X509_V_OK and not (mode == OPTIONAL_NO_CA and _is_about_the_authority(lib, code)):
        return CertificateProblem(False, code, verify_text(library, code).decode("ascii", "replace"))
    if mode == ON and not lib.SSL_get0_peer_certificate(ssl):
        return CertificateProblem(True)
    return None


def _is_about_the_authority(lib: Any, code: int) -> bool:
    """Whether all that is wrong is that nobody we know vouches for the certificate."""
    return code in (
        lib.X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        lib.X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
        lib.X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        lib.X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
        lib.X509_V_ERR_CERT_UNTRUSTED,
    )


def verify_text(library: Library, code: int) -> bytes:
    """The library's words for a result of verification."""
    text: bytes = library.ffi.string(library.lib.X509_verify_cert_error_string(code))
    return text


def forget_session(library: Library, context: Any, ssl: Any) -> None:
    """Take the session of an ``SSL *`` out of the caches of its ``SSL_CTX *``."""
    session = library.lib.SSL_get_session(ssl)
    if session:
        library.lib.SSL_CTX_remove_session(context, session)


def ask_for_certificates(library: Library, context: Any, settings: TlsSettings) -> None:
    """Make connections of an ``SSL_CTX *`` ask their client for a certificate. Raises ConfigError."""
    mode = settings.ssl_verify_client
    if mode == OFF:
        return
    ours, trusted, crl = settings.ssl_client_certificate, settings.ssl_trusted_certificate, settings.ssl_crl
    if ours is None and trusted is None and mode != OPTIONAL_NO_CA:
        raise ConfigError("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client")
    lib = library.lib
    lib.SSL_CTX_set_verify(context, lib.SSL_VERIFY_PEER, library.fused.accept_certificate)
    lib.SSL_CTX_set_verify_depth(context, min(settings.ssl_verify_depth, _MAX_DEPTH))
    if ours is not None:
        _name_authorities(library, context, _trust(library, context, ours))
    if trusted is not None:
        _trust(library, context, trusted)
    if crl is not None:
        _check_revocation(library, context, crl)
    lib.ERR_clear_error()


def _trust(library: Library, context: Any, path: str) -> list[Any]:
    """Trust the certificates of a file, at least one, and return them."""
    ffi, lib = library.ffi, library.lib
    store = lib.SSL_CTX_get_cert_store(context)
    try:
        found = [ffi.gc(item, lib.X509_free) for item in _items(library, path, "PEM_read_bio_X509_AUX")]
        for certificate in found:
            if not lib.X509_STORE_add_cert(store, certificate):
                raise StepError(f'X509_STORE_add_cert("{path}") failed')
    except StepError as refused:
        raise config_error(library, f'cannot load certificate "{path}": {refused}') from None
    return found


def _name_authorities(library: Library, context: Any, certificates: list[Any]) -> None:
    """Tell clients which authorities we know: each name once, in the order of the file."""
    ffi, lib = library.ffi, library.lib
    digest, length = ffi.new("unsigned char[]", _DIGEST_BYTES), ffi.new("unsigned int *")
    named: set[bytes] = set()
    for certificate in certificates:
        name = lib.X509_get_subject_name(certificate)
        if not lib.X509_NAME_digest(name, lib.EVP_sha1(), digest, length):
            raise config_error(library, "X509_NAME_digest() failed")
        key = bytes(ffi.buffer(digest))
        if key not in named:
            named.add(key)
            if not lib.SSL_CTX_add_client_CA(context, certificate):
                raise config_error(library, "SSL_CTX_add_client_CA() failed")


def _check_revocation(library: Library, context: Any, path: str) -> None:
    """From now on each certificate of a chain needs a current list of its issuer."""
    lib = library.lib
    store = lib.SSL_CTX_get_cert_store(context)
    try:
        for item in _items(library, path, "PEM_read_bio_X509_CRL"):
            crl = library.ffi.gc(item, lib.X509_CRL_free)
            if not lib.X509_STORE_add_crl(store, crl):
                raise StepError(f'X509_STORE_add_crl("{path}") failed')
    except StepError as refused:
        raise config_error(library, f'cannot load CRL "{path}": {refused}') from None
    lib.X509_STORE_set_flags(store, lib.X509_V_FLAG_CRL_CHECK | lib.X509_V_FLAG_CRL_CHECK_ALL)


def _items(library: Library, path: str, read: str) -> Iterator[Any]:
    """Everything in a PEM file that the function ``read`` finds. Raises StepError, also if there is nothing."""
    null, lib = library.ffi.NULL, library.lib
    found = False
    with opened(library, path_bytes(path)) as bio:
        while item := getattr(lib, read)(bio, null, null, null):
            found = True
            yield item
        if not found or not at_end(lib.ERR_peek_last_error()):
            raise StepError(f"{read}() failed")
        lib.ERR_clear_error()
