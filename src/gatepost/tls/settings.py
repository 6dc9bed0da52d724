"""The directives of TLS, and the kinds of values that only they have.

Nothing here loads OpenSSL: a configuration without TLS never does.
"""

import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from gatepost.config.directive import MAIL, MAIN, SERVER, Kind, Repeat, Scene, directive, nginx
from gatepost.config.kinds import (
    DATA_FILES,
    FLAG,
    NUMBER,
    PATH_CONF,
    SECONDS,
    STRING,
    enum,
    number,
    size_bytes,
    words,
)
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError, Where
from gatepost.store.declare import declare_zone

from .passwords import Passwords, read_passwords

if TYPE_CHECKING:
    from gatepost.config.build import Server

BUILTIN_SESSIONS = 20480  # OpenSSL's default size of its own cache
MAX_SESSIONS = 2**31 - 1  # of a cache; 0 means no limit
_LEAST_ZONE_PAGES = 8  # nginx's


class Keeping(Enum):
    """Whether the library keeps sessions in the worker's own memory."""

    OFF = "off"  # and clients are told that nothing can be resumed
    NONE = "none"  # but clients are not told
    BUILTIN = "builtin"
    ZONE_ONLY = "shared"  # what a line says that names nothing but a zone


@dataclass(frozen=True, slots=True)
class Zone:
    """A cache that all workers share, by its name. ``size`` is in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class SessionCache:
    """Where sessions are kept. ``builtin_sessions`` counts; 0 means no limit."""

    keeping: Keeping
    builtin_sessions: int = BUILTIN_SESSIONS
    zone: Zone | None = None


@dataclass(frozen=True, slots=True)
class ConfCommand:
    """One command for OpenSSL's own configuration parser. Relative files of it are below ``directory``."""

    name: str
    value: str
    directory: str


def _session_cache(given: Sequence[str], scene: Scene) -> SessionCache:
    keeping: Keeping | None = None
    sessions = BUILTIN_SESSIONS
    zone: Zone | None = None
    for word in given:
        kind, _, rest = word.partition(":")
        if word in ("off", "none", "builtin"):
            keeping, sessions = Keeping(word), BUILTIN_SESSIONS
        elif kind == "builtin":
            count = number(rest)
            if count is None or count > MAX_SESSIONS:
                raise ConfigError(f'invalid session cache "{word}"')
            keeping, sessions = Keeping.BUILTIN, count
        elif kind == "shared":
            zone = _zone(word, rest, scene)
        else:
            raise ConfigError(f'invalid session cache "{word}"')
    return SessionCache(keeping or Keeping.ZONE_ONLY, sessions, zone)


def _zone(word: str, rest: str, scene: Scene) -> Zone:
    name, _, size_word = rest.partition(":")
    size = size_bytes(size_word)
    if not name or size is None:
        raise ConfigError(f'invalid session cache "{word}"')
    if size < _LEAST_ZONE_PAGES * mmap.PAGESIZE:
        raise ConfigError(f'session cache "{word}" is too small')
    declare_zone(scene, name, size, "tls sessions")
    return Zone(name, size)


def _later_wins(first: SessionCache, second: SessionCache, _scene: Scene) -> SessionCache:
    """Of two lines on one level, the later for each half."""
    own = first if second.keeping is Keeping.ZONE_ONLY else second
    return SessionCache(own.keeping, own.builtin_sessions, second.zone or first.zone)


def _inherited(outer: SessionCache, inner: SessionCache) -> SessionCache:
    """The two halves are inherited separately: a server that names no zone has the outer one."""
    return SessionCache(inner.keeping, inner.builtin_sessions, inner.zone or outer.zone)


def _conf_command(given: Sequence[str], scene: Scene) -> tuple[ConfCommand, ...]:
    return (ConfCommand(given[0], given[1], scene.directory),) if given else ()


def _ticket_key(given: Sequence[str], scene: Scene) -> tuple[tuple[str, Where | None], ...]:
    return ((PATH_CONF.parse(given, scene), scene.where),) if given else ()


def _password_file(given: Sequence[str], scene: Scene) -> Passwords:
    return read_passwords(PATH_CONF.parse(given, scene))


def _deprecated_flag(given: Sequence[str], scene: Scene) -> bool:
    if scene.where is not None:
        scene.warn(f'the "{scene.name}" directive is deprecated, use the "listen ... ssl" directive instead')
    return FLAG.parse(given, scene)


SESSION_CACHE = Kind(
    "off | none | [builtin[:size]] [shared:name:size]", (1, 2), _session_cache, _later_wins, _inherited
)
_PROTOCOLS = words("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_OLD_PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")  # RFC 7568, RFC 8996


def _protocols(given: Sequence[str], scene: Scene) -> tuple[str, ...]:
    chosen = _PROTOCOLS.parse(given, scene)
    old = [word for word in chosen if word in _OLD_PROTOCOLS]
    if old:
        scene.warn(f'"{scene.name}" allows protocols below TLSv1.2: {" ".join(old)}')
    return chosen


def _optional_file(given: Sequence[str], scene: Scene) -> str | None:
    """An empty word undoes what the outer level says."""
    return PATH_CONF.parse(given, scene) if given[0] else None


PROTOCOLS = Kind(_PROTOCOLS.syntax, _PROTOCOLS.arity, _protocols, _PROTOCOLS.combine)
OPTIONAL_FILE = Kind("file", (1, 1), _optional_file)
CONF_COMMANDS = Kind("name value", (2, 2), _conf_command)
TICKET_KEYS = Kind("file", (1, 1), _ticket_key)  # path, place of the directive
PASSWORD_FILE = Kind("file", (1, 1), _password_file)
DEPRECATED_FLAG = Kind("on | off", (1, 1), _deprecated_flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How clients' TLS is terminated. Files are absolute paths."""

    TITLE: ClassVar[str] = "TLS"

    ssl: bool = directive(
        DEPRECATED_FLAG,
        MAIL | SERVER,
        default="off",
        origin=nginx(until="1.25.1"),
        doc="""Deprecated: with ``on``, every ``listen`` of the server is taken to have ``ssl``. Write ``listen
        ... ssl`` instead.""",
    )
    ssl_certificate: tuple[str, ...] = directive(
        DATA_FILES,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        doc="""File with the certificate of the server, its intermediate certificates behind it, in PEM; or
        ``data:`` and the PEM text itself. Give one for each kind of key (RSA, ECDSA); each client gets the one
        it can use.""",
    )
    ssl_certificate_key: tuple[str, ...] = directive(
        DATA_FILES,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        doc="""File with the private key, in PEM: the first belongs to the first certificate, and so on. Also
        ``data:`` and the PEM text, ``store:`` and the URI of an OpenSSL store, or ``engine:NAME:ID`` where the
        library still has engines.""",
    )
    ssl_password_file: Passwords | None = directive(
        PASSWORD_FILE,
        MAIL | SERVER,
        default=None,
        origin=nginx("1.7.3"),
        doc="""File with passwords for encrypted keys, one in each line, of at most 4096 bytes; they are tried
        in order. It may be a named pipe, and is read once at start and once at each reload.""",
    )
    ssl_certificate_compression: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="off",
        origin=nginx("1.29.1"),
        doc="""Send certificates compressed to clients that can take them (RFC 8879). Needs OpenSSL 3.2.""",
    )
    ssl_protocols: tuple[str, ...] = directive(
        PROTOCOLS,
        MAIL | SERVER,
        default="TLSv1.2 TLSv1.3",
        repeat=Repeat.ADDS,
        doc="""Protocol versions that clients may use. Versions before TLSv1.2 also need ``@SECLEVEL=0`` in
        ``ssl_ciphers``.""",
    )
    ssl_ciphers: str = directive(
        STRING,
        MAIL | SERVER,
        default="HIGH:!aNULL:!MD5",
        doc="""Cipher suites up to TLSv1.2, as a list of OpenSSL. Those of TLSv1.3 are set with
        ``ssl_conf_command Ciphersuites``.""",
    )
    ssl_prefer_server_ciphers: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="off",
        doc="""Choose by the order of our list rather than of the client's.""",
    )
    ssl_ecdh_curve: str = directive(
        STRING,
        MAIL | SERVER,
        default="auto",
        origin=nginx("1.0.6"),
        doc="""Groups for the key exchange, separated by colons; ``auto`` leaves them to OpenSSL.""",
    )
    ssl_dhparam: str | None = directive(
        PATH_CONF,
        MAIL | SERVER,
        default=None,
        origin=nginx("0.7.2"),
        doc="""File with Diffie-Hellman parameters in PEM. Without it, DHE suites are not offered.""",
    )
    ssl_session_cache: SessionCache = directive(
        SESSION_CACHE,
        MAIL | SERVER,
        default="none",
        repeat=Repeat.ADDS,
        doc="""Where sessions are kept for clients that resume them without tickets. One word for each worker's
        own memory and one for what workers share may be given; of two uses in one block the later holds, for
        each of the two by itself.

        * ``off`` tells clients that nothing is resumed; ``none`` keeps nothing and does not tell them.
        * ``builtin`` keeps sessions in each worker, 20480 unless a number is given (0: without limit).
        * ``shared`` keeps them in a zone for all workers and for all servers that name it: about 4000 in each
          megabyte, of which the oldest make room. The size is at least 8 memory pages, usually 32k.""",
    )
    ssl_session_tickets: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="on",
        origin=nginx("1.5.9"),
        doc="""Let clients keep their session themselves, encrypted for us (RFC 5077, RFC 8446 section 4.6.1).""",
    )
    ssl_session_ticket_key: tuple[tuple[str, Where | None], ...] = directive(
        TICKET_KEYS,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        absent="random keys, made at start",
        origin=nginx("1.5.7"),
        doc="""File with 48 or 80 random bytes that encrypt session tickets. The first encrypts, those behind it
        only decrypt, so that keys can be exchanged. Without one, keys are made at start; with a shared session
        cache all workers make new ones each ``ssl_session_timeout``.""",
    )
    ssl_session_timeout: int = directive(
        SECONDS,
        MAIL | SERVER,
        default="5m",
        doc="""How long after its full handshake a session can be resumed, in whole seconds.""",
    )
    ssl_conf_command: tuple[ConfCommand, ...] = directive(
        CONF_COMMANDS,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        origin=nginx("1.19.4"),
        doc="""A command for OpenSSL's own configuration parser, for what has no directive here. It comes last
        and overrides what the directives said.""",
    )
    ssl_verify_client: str = directive(
        enum("off", "on", "optional", "optional_no_ca"),
        MAIL | SERVER,
        default="off",
        origin=nginx("1.7.11"),
        doc="""Whether clients are asked for a certificate, and what is accepted. A client that is refused hears
        why in its protocol, inside TLS. The authentication service is told what came.

        * ``on``: a certificate of an authority that is trusted is required.
        * ``optional``: one that is sent must be good.
        * ``optional_no_ca``: one that is sent may be of an unknown authority.""",
    )
    ssl_verify_depth: int = directive(
        NUMBER,
        MAIL | SERVER,
        default="1",
        origin=nginx("1.7.11"),
        doc="""How many certificates of authorities may stand between a client's certificate and one that is
        trusted. A longer chain is a verification error.""",
    )
    ssl_client_certificate: str | None = directive(
        OPTIONAL_FILE,
        MAIL | SERVER,
        default=None,
        origin=nginx("1.7.11"),
        doc="""File with the authorities of clients' certificates, in PEM. Clients are told their names, so that
        they can choose a certificate.""",
    )
    ssl_trusted_certificate: str | None = directive(
        OPTIONAL_FILE,
        MAIL | SERVER,
        default=None,
        origin=nginx("1.7.11"),
        doc="""File with further authorities of clients' certificates, which clients are not told.""",
    )
    ssl_crl: str | None = directive(
        OPTIONAL_FILE,
        MAIL | SERVER,
        default=None,
        origin=nginx("1.7.11"),
        doc="""File with lists of revoked certificates, in PEM. With it, each certificate of a client's chain
        needs a current list of its issuer.""",
    )
    starttls: str = directive(
        enum("off", "on", "only"),
        MAIL | SERVER,
        default="off",
        doc="""Whether clients may ask for TLS with STARTTLS (STLS in POP3) on a connection that begins in the
        clear. With ``only`` they must before they may log in, and in SMTP before they may send mail. Has no
        effect with ``listen ... ssl``.""",
    )

    def check(self, server: "Server") -> None:
        """Refuse a server that has to do TLS and has no certificate. Raises ConfigError."""
        demand = self.demanded_by(server)
        if demand is not None:
            self.require_certificates(*demand)

    def demanded_by(self, server: "Server") -> tuple[str, Where | None] | None:
        """The directive because of which this server needs a context, as messages name it, and its place."""
        for listen in server[ListenSettings].listen:
            if listen.ssl:
                return "listen ... ssl", listen.where
        if self.ssl:
            return "ssl", server.where_of("ssl")
        if self.starttls != "off":
            return "starttls", server.where_of("starttls")
        return None

    def require_certificates(self, mode: str, where: Where | None) -> None:
        """Raise ConfigError unless each certificate has a key, and there is one."""
        certificates, keys = self.ssl_certificate, self.ssl_certificate_key
        if not certificates:
            raise ConfigError(f'no "ssl_certificate" is defined for the "{mode}" directive', where)
        if not keys:
            raise ConfigError(f'no "ssl_certificate_key" is defined for the "{mode}" directive', where)
        if len(keys) < len(certificates):
            last = shown(certificates[-1])
            raise ConfigError(
                f'no "ssl_certificate_key" is defined for certificate "{last}" and the "{mode}" directive', where
            )


_PIN = re.compile(r"(?<=pin-value=)[^;?&\s)]*")  # RFC 7512


def without_pin(text: str) -> str:
    """``text`` without the PINs of ``pkcs11:`` URIs in it."""
    return _PIN.sub("...", text)


def shown(name: str) -> str:
    """The name of a certificate or key for a message. What stands in ``data:`` may be a secret, so may a URI."""
    return "data:..." if name.startswith("data:") else without_pin(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySettings:
    """How the process uses OpenSSL, for all servers."""

    TITLE: ClassVar[str] = "The TLS library"

    ssl_engine: str | None = directive(
        STRING,
        MAIN,
        default=None,
        doc="""An engine of OpenSSL before 4.0 that does everything it can do, in place of the library.""",
    )
    ssl_object_cache_inheritable: bool = directive(
        FLAG,
        MAIN,
        default="on",
        origin=nginx("1.27.4"),
        doc="""Whether a new configuration may take over certificates and keys whose files have not changed.""",
    )


SETTINGS: tuple[type, ...] = (TlsSettings, LibrarySettings)
