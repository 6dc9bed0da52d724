"""The contract that every protocol keeps, so that the session driver knows none of them by name.

A protocol package offers one ``PROTOCOL``. At start its ``serve`` turns a server's settings into a
``Service``, where everything that is the same for all sessions (capability lines, enabled mechanisms)
is worked out once. The service makes one client machine per session; that machine makes the upstream
machine that carries its session on.
"""

import typing
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.address import Address
from gatepost.config.build import Server

from .events import Account, Effect, Event


class UpstreamMachine(typing.Protocol):
    """Logs in to the server behind us. Speaks second: it waits for the greeting."""

    def receive(self, data: bytes) -> list[Effect]:
        """Bytes from the upstream. Ends with ``LoggedIn``, ``Declined`` or ``Failed``, after which it is deaf."""

    def tell(self, event: Event) -> list[Effect]:
        """Something else happened (``TlsReady``)."""

    def rest(self) -> bytes:
        """What the upstream sent behind its last reply; for the relay. Empties the buffer."""


class ClientMachine(typing.Protocol):
    """Everything from the greeting to the login, as seen by the client."""

    def start(self) -> list[Effect]:
        """What to do first, usually greet. Called once, when the client may be spoken to (after implicit TLS)."""

    def receive(self, data: bytes) -> list[Effect]:
        """Bytes from the client, in any cuts. Never raises. Buffers at most the protocol's limit plus ``data``."""

    def tell(self, event: Event) -> list[Effect]:
        """Something else happened. Also works off what the client had pipelined."""

    def upstream(self, account: Account) -> UpstreamMachine:
        """The machine that logs ``account`` in for the command that asked to ``Authenticate``."""

    def rest(self) -> bytes:
        """What the client sent behind its login command; for the relay. Empties the buffer."""


class Service(typing.Protocol):
    """One server of the configuration, ready to serve clients."""

    def client(self, *, tls: bool, address: Address) -> ClientMachine:
        """A machine for a new session of the client at ``address``.

        ``tls``: the connection is encrypted from its first byte.
        """


@dataclass(frozen=True, slots=True)
class LastWords:
    """What a client of this protocol is told when the session must end. Whole lines with CR LF."""

    internal_error: bytes
    certificate_error: bytes
    certificate_missing: bytes
    shutting_down: bytes


@dataclass(frozen=True, slots=True)
class Protocol:
    """A mail protocol. ``name`` is the word in the configuration and towards the authentication service."""

    name: str
    ports: tuple[int, ...]  # a listen on one of these selects the protocol
    needs_password: bool  # its upstream login always presents one
    upstream_port: int  # where proxy_pass goes when it names no port
    alpn: bytes  # RFC 7301 protocol id
    settings: type  # its directives
    serve: Callable[[Server], Service]
    last_words: LastWords
