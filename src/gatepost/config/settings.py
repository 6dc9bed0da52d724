"""Where a server listens. It stands with the language because the directives of several packages look at it."""

from dataclasses import dataclass

from .directive import SERVER, Repeat, directive
from .listen import LISTEN, Listen


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """The listeners of a server, in the order they were written."""

    listen: tuple[Listen, ...] = directive(
        LISTEN,
        SERVER,
        default="",
        repeat=Repeat.ADDS,
        required=True,
        doc="""Address and port, or unix socket, to accept connections on. With ``ssl`` the connection is
        encrypted from its first byte. The first known port decides the protocol where ``protocol`` does not.""",
    )


SETTINGS: tuple[type, ...] = (ListenSettings,)
