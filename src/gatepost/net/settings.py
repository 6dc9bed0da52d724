"""Directives about the network round a session."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import MAIL, SERVER, directive
from gatepost.config.kinds import TIME

from .name_servers import NAME_SERVERS, NameServers


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverSettings:
    """Whether and how the names of clients are looked up. Times are seconds."""

    TITLE: ClassVar[str] = "Names of clients"

    resolver: NameServers | None = directive(
        NAME_SERVERS,
        MAIL | SERVER,
        default="off",
        doc="""Name servers that are asked, in turn, for the names of SMTP clients, which the authentication
        service is told as ``Client-Host`` and the backend with XCLIENT. A name counts when it leads back to the
        client's address. Port 53 unless given; host names among the servers are looked up once, at start.
        ``valid=time`` replaces the time to live of every answer; ``ipv4=off`` and ``ipv6=off`` leave out the
        addresses of that family when a name is confirmed. ``off`` undoes what the outer level says.""",
    )
    resolver_timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="30s",
        doc="""How long each of the two look-ups may take; the client waits for its greeting meanwhile. Then the
        name is ``[TEMPUNAVAIL]``.""",
    )


SETTINGS: tuple[type, ...] = (ResolverSettings,)
