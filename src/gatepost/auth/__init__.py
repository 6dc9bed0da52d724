"""Finding out who logs in, where the mailbox is, and as whom to go there."""

import socket
import typing
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gatepost.config.build import Server
from gatepost.net.room import Room
from gatepost.protocol.machine import Protocol

if typing.TYPE_CHECKING:
    from .message import Accepted, Refused, Request


Wait = Callable[[float], Awaitable[None]]  # returns after so many seconds


class Authenticator(typing.Protocol):
    """Whoever is asked about logins. One per server of the configuration and worker.

    ``backend_decides``: an account is good only once the upstream has taken it, and the upstream's refusal is the
    answer to the client.
    """

    backend_decides: bool

    async def ask(self, request: "Request", wait: Wait) -> "Accepted | Refused":
        """The verdict about one attempt. Raises AuthError when there is none, and what ``wait`` raises.

        ``wait`` is how to let the time pass that a service may ask for before it decides.
        """

    def close(self) -> None:
        """Let go of what is kept open; attempts under way still end."""


def authenticator(server: Server, protocol: Protocol, room: Room) -> Authenticator:
    """The one that the settings of ``server``, already checked, ask for. It takes its places in ``room``."""
    # Imported here, so that checking a configuration loads neither an event loop nor HTTP.
    from .backend import FixedBackend
    from .client import HttpAuth
    from .message import layout
    from .settings import AuthSettings, backend_decides

    settings = server[AuthSettings]
    if backend_decides(settings, server):
        address = settings.proxy_pass
        assert address is not None
        if not address.port and address.family is not socket.AF_UNIX:
            address = replace(address, port=protocol.upstream_port)
        return FixedBackend(address)
    url = settings.auth_http
    assert url is not None
    return HttpAuth(
        url.address,
        layout(
            url.host,
            url.uri,
            settings.auth_http_header,
            pass_certificate=settings.auth_http_pass_client_cert,
        ),
        timeout=settings.auth_http_timeout,
        needs_password=protocol.needs_password,
        room=room,
    )
