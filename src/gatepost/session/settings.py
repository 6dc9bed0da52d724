"""Directives that every mail listener obeys, whatever it speaks."""

from dataclasses import dataclass

from gatepost.config.directive import MAIL, SERVER, Repeat, directive
from gatepost.config.error_log import ERROR_LOG, ErrorLog
from gatepost.config.kinds import FLAG, TIME, enum
from gatepost.net.real_ip import TRUSTED, Trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Times, logs, and what a client is told. Times are seconds."""

    timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="60s",
        doc="""From the greeting to the login; counted from the greeting, not from the last byte. Also for the
        TLS handshake, and for connecting and logging in to the backend. 0: closed right after the greeting.""",
    )
    proxy_timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="24h",
        doc="""How long a logged-in session may be silent in both directions. Longer than clients' IDLE: 30 min.""",
    )
    proxy_pass_error_message: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="off",
        doc="""Pass on the backend's words when it refuses a login, instead of an internal error.""",
    )
    proxy: bool = directive(FLAG, MAIL | SERVER, default="off", doc="""Accepted; has no effect, as in nginx.""")
    proxy_protocol: str = directive(
        enum("off", "on", "v2"),
        MAIL | SERVER,
        default="off",
        doc="""Begin each connection to the backend with a PROXY header that names the client: ``on`` in version 1,
        ``v2`` in version 2 with what is known about the client's TLS. The backend must expect it.""",
    )
    set_real_ip_from: Trusted = directive(
        TRUSTED,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        doc="""Proxies in front that are believed: where one of them sends a PROXY header (``listen`` with
        ``proxy_protocol``), the client is whom the header names. ``unix:`` stands for all unix sockets.""",
    )
    error_log: tuple[ErrorLog, ...] | None = directive(
        ERROR_LOG,
        MAIL | SERVER,
        default=None,
        repeat=Repeat.ADDS,
        doc="""Logs of the sessions of this server, instead of those of the outer level.""",
    )


SETTINGS: tuple[type, ...] = (SessionSettings,)
