"""Which sockets to bind for all servers together, and which server a connection belongs to (pure).

A wildcard address covers the other addresses of its family and port: one socket is bound, and the local address of
an accepted connection picks the server. An address that asks for a socket of its own (``bind``, ``backlog=`` and
so on) keeps it. Whether a connection is encrypted belongs to the address, not to the socket it came through.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatepost.address import Address
from gatepost.config.build import Server
from gatepost.config.listen import Listen
from gatepost.config.settings import ListenSettings

WILDCARDS = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Route:
    """Where connections to one configured address go. ``server`` is the index in ``configuration.servers``."""

    server: int
    listen: Listen
    address: Address


@dataclass(frozen=True, slots=True)
class Bind:
    """A socket to bind to ``address`` with the options of ``listen``.

    ``routes`` maps the local host of a connection, as ``getsockname`` gives it, to its route; all others take
    ``fallback``.
    """

    address: Address
    listen: Listen
    fallback: Route
    routes: Mapping[str, Route]


def plan(servers: Sequence[Server]) -> tuple[Bind, ...]:
    """The sockets of all servers, in the order of their first mention. No two have the same address."""
    found = [
        Route(index, listen, address)
        for index, server in enumerate(servers)
        for listen in server[ListenSettings].listen
        for address in listen.addresses
    ]
    covering = {_group(route.address) for route in found if _is_wildcard(route.address)}
    sockets = [route for route in found if not _is_covered(route, covering)]
    guests: dict[tuple[socket.AddressFamily, int], dict[str, Route]] = {}
    for route in found:
        if _is_covered(route, covering):
            guests.setdefault(_group(route.address), {})[route.address.host] = route
    return tuple(
        Bind(
            route.address,
            route.listen,
            route,
            guests.get(_group(route.address), {}) if _is_wildcard(route.address) else {},
        )
        for route in sockets
    )


def _group(address: Address) -> tuple[socket.AddressFamily, int]:
    return address.family, address.port


def _is_wildcard(address: Address) -> bool:
    return address.family is not socket.AF_UNIX and address.host in WILDCARDS


def _is_covered(route: Route, covering: set[tuple[socket.AddressFamily, int]]) -> bool:
    address = route.address
    return _group(address) in covering and not _is_wildcard(address) and not route.listen.bind
