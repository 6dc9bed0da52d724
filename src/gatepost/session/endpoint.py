"""What sessions share: the endpoint they were accepted on, and the worker that hosts them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost.auth import Authenticator
from gatepost.log import Log
from gatepost.net.deadlines import Deadlines
from gatepost.net.poller import Poller
from gatepost.net.proxy_protocol import Writer
from gatepost.net.real_ip import Trusted
from gatepost.net.relay import Relay, Shared
from gatepost.net.room import Room
from gatepost.protocol.machine import Protocol, Service
from gatepost.tls.context import Context

if TYPE_CHECKING:
    from gatepost.net.resolver import Resolver

    from .driver import Session


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One listening address of one server, with everything that its sessions need worked out. Times in seconds."""

    name: str  # as configured: ``0.0.0.0:993``
    ssl: bool  # TLS from the first byte
    proxied: bool  # a PROXY header from the first byte
    protocol: Protocol
    service: Service
    authenticator: Authenticator
    context: Context | None  # None: this server never speaks TLS
    resolver: "Resolver | None"  # None: clients are not looked up
    log: Log
    timeout: float
    proxy_timeout: float
    pass_error_message: bool
    trusted: Trusted  # whose PROXY headers say who the client is
    proxy_header: Writer | None  # of the one for the backend


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(slots=True, eq=False)
class Host:
    """The worker, as its sessions see it. A session is in ``sessions`` until its relay is in ``relays``.

    ``on_exhausted`` is to be called when there was no descriptor for a session that needs one.
    """

    shared: Shared
    room: Room = field(default_factory=Room)
    on_exhausted: Callable[[], None] = _nothing
    sessions: "set[Session]" = field(default_factory=set)
    relays: set[Relay] = field(default_factory=set)
    on_ended: asyncio.Event = field(default_factory=asyncio.Event)  # set whenever a session or relay has ended
    # Since the worker began. Plain numbers: each costs a session one addition, and the scoreboard reads them.
    accepted: int = 0  # sessions
    logins: int = 0  # of them, those that came to a relay

    def __post_init__(self) -> None:
        self.room.counted = lambda: self.sockets

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.shared.poller.loop

    @property
    def poller(self) -> Poller:
        return self.shared.poller

    @property
    def wheel(self) -> Deadlines:
        return self.shared.wheel

    @property
    def count(self) -> int:
        """Clients being served."""
        return len(self.sessions) + len(self.relays)

    @property
    def sockets(self) -> int:
        """Those of sessions and relays. A relay has two; until then, its upstream's has a ``Place``."""
        return len(self.sessions) + 2 * len(self.relays)

    def relay_ended(self, relay: Relay) -> None:
        self.relays.discard(relay)
        self.on_ended.set()
