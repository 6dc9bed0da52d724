"""Who decides about a login: an HTTP service (``auth_http``) or the backend itself (``proxy_pass``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gatepost.address import Address
from gatepost.config.build import Server
from gatepost.config.directive import MAIL, OURS, SERVER, Kind, Repeat, Scene, directive, nginx
from gatepost.config.kinds import FLAG, TIME, to_bytes
from gatepost.errors import ConfigError
from gatepost.protocol import protocol_of

from .endpoint import AuthUrl, auth_url, backend_address

# Mechanisms that leave us with the password itself. A backend that decides must be shown it: a digest of our
# challenge, or a certificate, proves nothing to it.
PASSWORD_MECHANISMS = frozenset(("plain", "login"))


def _headers(words: Sequence[str], _scene: Scene) -> tuple[tuple[bytes, bytes], ...]:
    """Not quoted in errors: the value is often a secret shared with the service."""
    if not words:
        return ()
    name, value = (to_bytes(word) for word in words)
    for part in (name, value):
        if any(character in part for character in b"\r\n"):
            raise ConfigError('line break in "auth_http_header"')
    return ((name, value),)


AUTH_URL = Kind("[http://]host[:port][/uri] | unix:path[:uri]", (1, 1), lambda words, _scene: auth_url(words[0]))
BACKEND = Kind("host[:port] | unix:path", (1, 1), lambda words, _scene: backend_address(words[0]))
HEADERS = Kind("name value", (2, 2), _headers)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # a header is often a secret
class AuthSettings:
    """How logins are decided. After inheritance both ways may be set; ``backend_decides`` tells which counts."""

    TITLE: ClassVar[str] = "Authentication"

    auth_http: AuthUrl | None = directive(
        AUTH_URL,
        MAIL | SERVER,
        default=None,
        repeat=Repeat.LAST_WINS,
        doc="""The service that is asked about every login, over HTTP: an address or host name, port 80 unless
        given, or a unix socket; and what to ask for, ``/`` unless given. A name is looked up once, at start,
        and its first address is used, IPv4 before IPv6. Connections are kept open where the service allows
        that. A server needs this or ``proxy_pass``; the innermost of the two is in effect.""",
    )
    auth_http_timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="60s",
        doc="""Time for one question, from the attempt to connect to the last header of the answer; progress
        does not extend it. Then the client hears of an internal error and is disconnected.""",
    )
    auth_http_header: tuple[tuple[bytes, bytes], ...] = directive(
        HEADERS,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        doc="""A header of your own in every request, such as a secret that proves that the request came from
        here. The value never gets into a log. Those of a server replace those of ``mail``.""",
    )
    auth_http_pass_client_cert: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="off",
        origin=nginx("1.7.11"),
        doc="""Whether the service is sent the client's certificate, in PEM form and URL-encoded, as
        ``Auth-SSL-Cert``.""",
    )
    proxy_pass: Address | None = directive(
        BACKEND,
        MAIL | SERVER,
        default=None,
        origin=OURS,
        doc="""Instead of ``auth_http``: the one backend that all logins go to. It decides about them, and its
        refusals reach the client in its own words; the client may then try again, up to ``max_errors`` times.
        Without a port, that of the protocol without TLS is used. A name is looked up once, at start. Only
        mechanisms that reveal the password can be offered (``plain``, ``login``).""",
    )

    def check(self, server: Server) -> None:
        """Exactly one way must be in effect, and fit the mechanisms. Raises ConfigError."""
        if self.auth_http is None and self.proxy_pass is None:
            raise ConfigError('no "auth_http" is defined for server', server.where)
        if self.auth_http is not None and self.proxy_pass is not None:
            where = server.where_of("proxy_pass")
            if server.level_of("proxy_pass") == server.level_of("auth_http"):
                other = server.where_of("auth_http")
                raise ConfigError(f'"proxy_pass" excludes "auth_http" of the same level in {other}: use one', where)
        if backend_decides(self, server):
            _check_mechanisms(server)


def backend_decides(settings: AuthSettings, server: Server) -> bool:
    """Whether ``proxy_pass`` is in effect for ``server``: it is set, and not outdone by a nearer ``auth_http``."""
    if settings.proxy_pass is None:
        return False
    return settings.auth_http is None or server.level_of("proxy_pass") is SERVER


def _check_mechanisms(server: Server) -> None:
    """Refuse what a ``*_auth`` directive offers and the backend could not check."""
    protocol = protocol_of(server)
    name = f"{protocol.name}_auth"
    for word in getattr(server[protocol.settings], name):
        if word not in PASSWORD_MECHANISMS:
            raise ConfigError(
                f'"{word}" in "{name}" cannot be used with "proxy_pass": it does not reveal the password, '
                "without which nobody can log in to the backend",
                server.where_of(name) or server.where,
            )


SETTINGS = (AuthSettings,)
