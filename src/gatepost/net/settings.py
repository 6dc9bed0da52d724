"""Directives about the network round a session."""

from dataclasses import dataclass

from gatepost.config.directive import MAIL, SERVER, directive
from gatepost.config.kinds import TIME

from .name_servers import NAME_SERVERS, NameServers


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverSettings:
    """Whether and how the names of clients are looked up. Times are seconds."""

    resolver: NameServers | None = directive(
        NAME_SERVERS,
        MAIL | SERVER,
        default="off",
        doc="""Name servers that are asked for the names of SMTP clients, in turn; hosts among them are looked up
        once, at start. ``valid`` replaces the time to live of every answer; ``ipv4=off`` and ``ipv6=off`` leave
        out the addresses of that family when a name is confirmed.""",
    )
    resolver_timeout: float = directive(
        TIME,
        MAIL | SERVER,
        default="30s",
        doc="""How long each of the two look-ups may take; the client waits for its greeting meanwhile.""",
    )


SETTINGS: tuple[type, ...] = (ResolverSettings,)
