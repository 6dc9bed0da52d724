"""Settings -> SSL_CTX.

The steps come in nginx's order, because the first one that fails is the one an operator reads about, and because
each sees what those before it did: ciphers come before certificates, so that ``@SECLEVEL`` governs their loading,
and ``ssl_conf_command`` comes last, so that it overrides everything.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from gatepost.errors import ConfigError
from gatepost.store.zones import SharedZone, Zones

from . import _hooks
from ._load import Library, library
from .advice import advise_on_key_file, advise_on_validity
from .certificates import load_chain, load_key, path_bytes
from .errors import config_error
from .session_cache import ZoneCache
from .settings import Keeping, TlsSettings, shown
from .tickets import ZoneKeys, load_keys
from .verification import OFF, ask_for_certificates

_MAX_VERSION = 0x0304  # TLS 1.3; later versions are for later gateposts
_NO_CERTIFICATE_COMPRESSION = 3 << 32  # SSL_OP_NO_TX_... | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, OpenSSL 3.2
_NO_TX_COMPRESSION = 1 << 32
_COMPRESSION_SINCE = 0x30200000
_DIGEST_BYTES = 20  # SHA-1, the size of a session-id context and nginx's choice; not a signature

# Versions are disabled one by one, so that the list may have holes. SSLv2 has no bit left: no library speaks it.
_VERSION_BITS = {
    "SSLv3": "SSL_OP_NO_SSLv3",
    "TLSv1": "SSL_OP_NO_TLSv1",
    "TLSv1.1": "SSL_OP_NO_TLSv1_1",
    "TLSv1.2": "SSL_OP_NO_TLSv1_2",
    "TLSv1.3": "SSL_OP_NO_TLSv1_3",
}


class Context:
    """What connections of one server are made from. Made before workers are forked, and shared by them."""

    __slots__ = ("_keep", "is_server", "library", "pointer", "verify_client")

    def __init__(
        self,
        library: Library,
        pointer: Any,
        *,
        is_server: bool,
        keep: tuple[Any, ...] = (),
        verify_client: str = OFF,
    ) -> None:
        """``keep``: what callbacks use, alive as long as the context. ``verify_client``: as ssl_verify_client."""
        self.library = library
        self.pointer = pointer
        self.is_server = is_server
        self.verify_client = verify_client
        self._keep = keep


def server_context(
    settings: TlsSettings,
    *,
    alpn: bytes,
    warn: Callable[[str], None],
    zones: Zones | None = None,
    using: Library | None = None,
) -> Context:
    """A context for the server's side. Raises ConfigError.

    ``alpn`` is the one protocol name that clients may ask for (RFC 7301); ``zones`` is where
    the session cache finds its zone; ``using`` is the library, the process's if not given.
    """
    return _ServerContext(settings, warn, zones or Zones(), using or library()).make(alpn)


class _ServerContext:
    """One context while it is made."""

    def __init__(self, settings: TlsSettings, warn: Callable[[str], None], zones: Zones, using: Library) -> None:
        self.settings = settings
        self.warn = warn
        self.zones = zones
        self.library = using
        self.ffi, self.lib = using.ffi, using.lib
        self.leaves: list[Any] = []
        # What others left in the queue must not be taken for a reason of ours.
        self.lib.ERR_clear_error()
        made = self.lib.SSL_CTX_new(self.lib.TLS_method())
        if not made:
            raise config_error(using, "SSL_CTX_new() failed")
        self.context = self.ffi.gc(made, partial(_free, using.ffi, using.lib))

    def make(self, alpn: bytes) -> Context:
        self.fixed_options()
        self.protocols()
        keep = self.alpn(alpn)
        self.ciphers()
        self.certificates()
        self.certificate_compression()
        ask_for_certificates(self.library, self.context, self.settings)
        self.dh_parameters()
        self.groups()
        zone = self.session_cache()
        keep += self.tickets(zone)
        self.conf_commands()
        self.lib.ERR_clear_error()
        return Context(
            self.library,
            self.context,
            is_server=True,
            keep=keep,
            verify_client=self.settings.ssl_verify_client,
        )

    def control(self, command: int, number: int = 0, pointer: Any = None) -> int:
        result: int = self.lib.SSL_CTX_ctrl(
            self.context, command, number, self.ffi.NULL if pointer is None else pointer
        )
        return result

    def fixed_options(self) -> None:
        lib = self.lib
        options = (
            lib.SSL_OP_NO_COMPRESSION
            | lib.SSL_OP_NO_ANTI_REPLAY  # early data is never accepted, so there is nothing to replay
            | lib.SSL_OP_NO_RENEGOTIATION
            | lib.SSL_OP_IGNORE_UNEXPECTED_EOF  # a bare close is a normal end, as most mail clients do it
        )
        if self.library.number >= _COMPRESSION_SINCE:
            options |= _NO_CERTIFICATE_COMPRESSION
        lib.SSL_CTX_set_options(self.context, options)
        self.control(
            lib.SSL_CTRL_MODE,
            lib.SSL_MODE_ENABLE_PARTIAL_WRITE
            | lib.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
            | lib.SSL_MODE_NO_AUTO_CHAIN
            | lib.SSL_MODE_RELEASE_BUFFERS,
        )
        self.control(lib.SSL_CTRL_SET_READ_AHEAD, 1)

    def protocols(self) -> None:
        # openssl.cnf may have set bounds; the directive decides alone.
        self.control(self.lib.SSL_CTRL_SET_MIN_PROTO_VERSION, 0)
        self.control(self.lib.SSL_CTRL_SET_MAX_PROTO_VERSION, _MAX_VERSION)
        disabled = allowed = 0
        for word, option in _VERSION_BITS.items():
            if word in self.settings.ssl_protocols:
                allowed |= getattr(self.lib, option)
            else:
                disabled |= getattr(self.lib, option)
        self.lib.SSL_CTX_clear_options(self.context, allowed)
        self.lib.SSL_CTX_set_options(self.context, disabled)

    def alpn(self, name: bytes) -> tuple[Any, ...]:
        """Refuse clients that only want other protocols: their bytes were meant for another server (ALPACA)."""
        ours = self.ffi.new("unsigned char[]", bytes((len(name),)) + name)
        callback = self.library.fused.select_alpn
        self.lib.SSL_CTX_set_alpn_select_cb(self.context, callback, ours)
        return ours, callback

    def ciphers(self) -> None:
        text = self.settings.ssl_ciphers
        if not self.lib.SSL_CTX_set_cipher_list(self.context, path_bytes(text)):
            raise config_error(self.library, f'SSL_CTX_set_cipher_list("{text}") failed')
        if self.settings.ssl_prefer_server_ciphers:
            self.lib.SSL_CTX_set_options(self.context, self.lib.SSL_OP_CIPHER_SERVER_PREFERENCE)

    # Certificates

    def certificates(self) -> None:
        settings = self.settings
        for certificate, key in zip(settings.ssl_certificate, settings.ssl_certificate_key, strict=False):
            leaf = self.certificate(certificate)
            self.key(key, certificate, leaf)

    def certificate(self, name: str) -> Any:
        certificates = load_chain(self.library, name)
        leaf, *chain = certificates
        if not self.lib.SSL_CTX_use_certificate(self.context, leaf):
            raise config_error(self.library, f'SSL_CTX_use_certificate("{shown(name)}") failed')
        stack = self.lib.OPENSSL_sk_new_null()
        try:
            for link in chain:
                self.lib.OPENSSL_sk_push(stack, link)
            if not self.control(self.lib.SSL_CTRL_CHAIN, 1, stack):  # 1: the context takes references of its own
                raise config_error(self.library, f'SSL_CTX_set1_chain("{shown(name)}") failed')
        finally:
            self.lib.OPENSSL_sk_free(stack)
        self.leaves.append(leaf)
        advise_on_validity(self.library, certificates, name, self.warn)
        return leaf

    def key(self, name: str, certificate: str, leaf: Any) -> None:
        key = load_key(self.library, name, self.settings.ssl_password_file, certificate, self.warn)
        if not self.lib.SSL_CTX_use_PrivateKey(self.context, key):
            suffix = "" if certificate == name else f' for certificate "{shown(certificate)}"'
            raise config_error(self.library, f'SSL_CTX_use_PrivateKey("{shown(name)}") failed', suffix)
        advise_on_key_file(name, self.warn)
        public = self.lib.X509_get0_pubkey(leaf)
        kinds = {self.lib.EVP_PKEY_get_base_id(public) if public else 0, self.lib.EVP_PKEY_get_base_id(key)}
        # Keys of some providers have no number of their own; then there is nothing to compare.
        if len(kinds) == 2 and min(kinds) > 0:
            self.warn(
                f'certificate key "{shown(name)}" is of another type than certificate "{shown(certificate)}",'
                " handshakes with it will fail"
            )

    def certificate_compression(self) -> None:
        if not self.settings.ssl_certificate_compression:
            return
        compress = self.library.optional("SSL_CTX_compress_certs")
        if compress is None:
            self.warn('"ssl_certificate_compression" is not supported on this platform, ignored')
            return
        self.lib.SSL_CTX_clear_options(self.context, _NO_TX_COMPRESSION)
        if not compress(self.context, 0):
            self.lib.ERR_clear_error()
            self.warn("SSL_CTX_compress_certs() failed, ignored")

    # Key exchange

    def dh_parameters(self) -> None:
        path = self.settings.ssl_dhparam
        if path is None:
            return
        lib = self.lib
        bio = lib.BIO_new_file(path_bytes(path), b"r")
        if not bio:
            raise config_error(self.library, f'BIO_new_file("{path}") failed')
        parameters = lib.PEM_read_bio_Parameters(bio, self.ffi.NULL)
        lib.BIO_free(bio)
        if not parameters:
            raise config_error(self.library, f'PEM_read_bio_Parameters("{path}") failed')
        is_dh = lib.EVP_PKEY_is_a(parameters, b"DH") or lib.EVP_PKEY_is_a(parameters, b"DHX")
        # On success they belong to the context.
        if not is_dh or not lib.SSL_CTX_set0_tmp_dh_pkey(self.context, parameters):
            lib.EVP_PKEY_free(parameters)
            raise config_error(self.library, f'SSL_CTX_set0_tmp_dh_pkey("{path}") failed')

    def groups(self) -> None:
        names = self.settings.ssl_ecdh_curve
        if names != "auto" and not self.control(self.lib.SSL_CTRL_SET_GROUPS_LIST, 0, path_bytes(names)):
            raise config_error(self.library, f'SSL_CTX_set1_curves_list("{names}") failed')

    # Sessions

    def session_cache(self) -> SharedZone | None:
        """The shared zone, if it is in use."""
        lib, cache = self.lib, self.settings.ssl_session_cache
        lib.SSL_CTX_set_timeout(self.context, self.settings.ssl_session_timeout)
        self.session_id_context()
        zone: SharedZone | None = None
        if cache.keeping is Keeping.OFF:
            mode = lib.SSL_SESS_CACHE_OFF
        elif cache.keeping is Keeping.NONE:
            # Clients get a session id that will not be found. Told plainly that nothing is resumed, an old
            # Outlook Express could not store sent mail.
            mode = (
                lib.SSL_SESS_CACHE_SERVER | lib.SSL_SESS_CACHE_NO_AUTO_CLEAR | lib.SSL_SESS_CACHE_NO_INTERNAL_STORE
            )
            self.control(lib.SSL_CTRL_SET_SESS_CACHE_SIZE, 1)
        else:
            mode = lib.SSL_SESS_CACHE_SERVER
            if cache.keeping is Keeping.ZONE_ONLY:
                mode |= lib.SSL_SESS_CACHE_NO_INTERNAL
            self.control(lib.SSL_CTRL_SET_SESS_CACHE_SIZE, cache.builtin_sessions)
            if cache.zone is not None:
                zone = self.zones.named(cache.zone.name, cache.zone.size)
        self.control(lib.SSL_CTRL_SET_SESS_CACHE_MODE, mode)
        return zone

    def session_id_context(self) -> None:
        """Tie sessions to these certificates and client CAs, in whatever cache or ticket they come.

        See CVE-2014-3616.
        """
        material = bytearray(b"MAIL")
        digest, length = self.ffi.new("unsigned char[]", _DIGEST_BYTES), self.ffi.new("unsigned int *")
        sha1 = self.lib.EVP_sha1()
        for leaf in self.leaves:
            if not self.lib.X509_digest(leaf, sha1, digest, length):
                raise config_error(self.library, "X509_digest() failed")
            material += self.ffi.buffer(digest)
        names = self.ffi.cast("OPENSSL_STACK *", self.lib.SSL_CTX_get_client_CA_list(self.context))
        for position in range(self.lib.OPENSSL_sk_num(names) if names else 0):
            name = self.ffi.cast("X509_NAME *", self.lib.OPENSSL_sk_value(names, position))
            if not self.lib.X509_NAME_digest(name, sha1, digest, length):
                raise config_error(self.library, "X509_NAME_digest() failed")
            material += self.ffi.buffer(digest)
        material += self.trust()
        if not self.lib.EVP_Digest(
            self.ffi.from_buffer(material), len(material), digest, length, sha1, self.ffi.NULL
        ) or not self.lib.SSL_CTX_set_session_id_context(self.context, digest, _DIGEST_BYTES):
            raise config_error(self.library, "SSL_CTX_set_session_id_context() failed")

    def trust(self) -> bytes:
        """What decided whether a client's certificate is good: a session remembers the result.

        Besides the names of CAs this is more than nginx looks at: there a session that was verified by other
        trusted certificates, or before a revocation list came, can be resumed.
        """
        settings = self.settings
        if settings.ssl_verify_client == OFF:
            return b""
        digest, length = self.ffi.new("unsigned char[]", _DIGEST_BYTES), self.ffi.new("unsigned int *")
        parts = [b"%d" % settings.ssl_verify_depth]
        for path in (settings.ssl_client_certificate, settings.ssl_trusted_certificate, settings.ssl_crl):
            if path is None:
                parts.append(b"none")
                continue
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except OSError as error:  # it has just been read, so this is a race or a pipe
                raise ConfigError(f'open() "{path}" failed ({error.errno}: {error.strerror})') from error
            self.lib.EVP_Digest(content, len(content), digest, length, self.lib.EVP_sha1(), self.ffi.NULL)
            parts.append(bytes(self.ffi.buffer(digest)))
        return b"".join(parts)

    def tickets(self, zone: SharedZone | None) -> tuple[Any, ...]:
        """What must stay alive: the lifetime and the keys."""
        settings, lib = self.settings, self.lib
        kept = settings.ssl_session_cache.keeping not in (Keeping.OFF, Keeping.NONE)
        if not settings.ssl_session_tickets:
            lib.SSL_CTX_set_options(self.context, lib.SSL_OP_NO_TICKET)
        # The library's default is two in each full TLS 1.3 handshake, for browsers that open two connections at
        # once; one costs less. Without tickets they are names of cached sessions: no cache, no name.
        lib.SSL_CTX_set_num_tickets(self.context, 1 if settings.ssl_session_tickets or kept else 0)
        timeout = self.ffi.new("long *", settings.ssl_session_timeout)
        fused = self.library.fused
        lib.SSL_CTX_set_session_ticket_cb(self.context, fused.ticket_made, fused.ticket_opened, timeout)
        hooks = _hooks.Hooks()
        if zone is not None:
            hooks.cache = ZoneCache(self.library, zone, settings.ssl_session_timeout)
        if settings.ssl_session_ticket_key:
            hooks.keys = load_keys(self.library, settings.ssl_session_ticket_key)
        elif zone is not None:
            hooks.keys = ZoneKeys(self.library, zone, settings.ssl_session_timeout)
        # Without either the library has made keys with the context: before workers are forked, so they agree.
        _hooks.install(self.library, self.context, hooks)
        return timeout, hooks

    def conf_commands(self) -> None:
        commands = self.settings.ssl_conf_command
        if not commands:
            return
        lib = self.lib
        parser = self.ffi.gc(lib.SSL_CONF_CTX_new(), lib.SSL_CONF_CTX_free)
        lib.SSL_CONF_CTX_set_flags(
            parser,
            lib.SSL_CONF_FLAG_FILE
            | lib.SSL_CONF_FLAG_SERVER
            | lib.SSL_CONF_FLAG_CLIENT
            | lib.SSL_CONF_FLAG_CERTIFICATE
            | lib.SSL_CONF_FLAG_SHOW_ERRORS,
        )
        lib.SSL_CONF_CTX_set_ssl_ctx(parser, self.context)
        for command in commands:
            name, value = path_bytes(command.name), command.value
            if lib.SSL_CONF_cmd_value_type(parser, name) in (lib.SSL_CONF_TYPE_FILE, lib.SSL_CONF_TYPE_DIR):
                value = os.path.join(command.directory, value)
            if lib.SSL_CONF_cmd(parser, name, path_bytes(value)) <= 0:
                raise config_error(self.library, f'SSL_CONF_cmd("{command.name}", "{value}") failed')
        if lib.SSL_CONF_CTX_finish(parser) != 1:
            raise config_error(self.library, "SSL_CONF_finish() failed")


def _free(ffi: Any, lib: Any, context: Any) -> None:
    """Let go of a context that nobody has any more.

    The library would say of each session in its own memory that it is removed; in a zone it is still good.
    """
    lib.SSL_CTX_sess_set_remove_cb(context, ffi.NULL)
    lib.SSL_CTX_free(context)
