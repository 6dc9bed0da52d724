"""Directives that every mail listener obeys, whatever it speaks."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import MAIL, SERVER, Repeat, directive, nginx
from gatepost.config.error_log import ERROR_LOG, ErrorLog
from gatepost.config.kinds import FLAG, TIME, enum
from gatepost.net.real_ip import TRUSTED, Trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Times, logs, and what a client is told. Times are seconds."""

    TITLE: ClassVar[str] = "Sessions and backends"

    timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="60s",
        doc="""How long a client may take from the greeting to its login; commands do not extend it. The clock
        stands still while the authentication service is asked, and begins anew after a delayed refusal. Before
        the greeting, the PROXY header and the TLS handshake have the same time together; later, connecting and
        logging in to the backend has it. A client that is late is cut off without a word, as by nginx; the
        backend's lateness is an internal error to the client. ``0`` closes right after the greeting.""",
    )
    proxy_timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="24h",
        doc="""How long a logged-in session may be silent in both directions; then both connections are closed.
        Make it longer than mail clients' IDLE, which is renewed every 29 minutes at the latest (RFC 2177).""",
    )
    proxy_pass_error_message: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="off",
        doc="""Whether a client whose login the backend has refused hears the backend's own words. Otherwise it
        hears of an internal error: the authentication service had said that the login was good. With
        ``proxy_pass`` the backend's words are passed on in any case.""",
    )
    proxy: bool = directive(FLAG, MAIL | SERVER, default="off", doc="""Has no effect, as in nginx.""")
    proxy_protocol: str = directive(
        enum("off", "on", "v2"),
        MAIL | SERVER,
        default="off",
        origin=nginx("1.19.8"),
        doc="""Whether each connection to the backend begins with a PROXY header that names the client, as the
        backend must then expect: ``on`` in version 1, ``v2`` in version 2 with what is known about the client's
        TLS. ``v2`` is not in nginx's manual, but in nginx.""",
    )
    set_real_ip_from: Trusted = directive(
        TRUSTED,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        origin=nginx("1.19.8"),
        doc="""A proxy in front that is believed: an address, a network (``10.0.0.0/8``), a host name, which is
        looked up once, at start, or ``unix:`` for all unix sockets. Where one of them sends a PROXY header
        (``listen`` with ``proxy_protocol``), the client is whom the header names: in the log, for the
        authentication service, for XCLIENT and in headers to the backend.""",
    )
    # Documented with the one of the top level.
    error_log: tuple[ErrorLog, ...] | None = directive(
        ERROR_LOG,
        MAIL | SERVER,
        default=None,
        repeat=Repeat.ADDS,
        doc="",
    )


SETTINGS: tuple[type, ...] = (SessionSettings,)
