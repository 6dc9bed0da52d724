"""``HOST[:PORT]`` and ``[V6][:PORT]`` of a configuration -> addresses, once, at start, by the system's resolver."""

import socket

from gatepost.address import Address, from_literal
from gatepost.errors import ConfigError

NOT_RESOLVED = frozenset("[]/?#@\\")  # in no host name: a value with one of them is a mistake, not a look-up


class HostError(ConfigError):
    """What is wrong with a host or port, in the words of the error texts (``no host``); the caller says of what."""


def host_and_port(text: str, default: int) -> tuple[str, int]:
    """The two parts; the host keeps its brackets. ``default`` is the port where none is given. Raises HostError."""
    if text.startswith("["):
        inside, bracket, behind = text.partition("]")
        if not bracket or (behind and not behind.startswith(":")):
            raise HostError("invalid host")
        host, colon, port = inside + bracket, behind[:1], behind[1:]
    else:
        host, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and len(port) <= 8 and 1 <= int(port) <= 65535):
        raise HostError("invalid port")
    if not host:
        raise HostError("no host")
    return host, int(port) if colon else default


def addresses_of(host: str, port: int) -> tuple[Address, ...]:
    """Every address of ``host``, IPv4 first, as nginx orders them; at least one. Raises HostError."""
    if host.startswith("["):
        try:
            address = from_literal(host, port)
        except ValueError:
            raise HostError("invalid IPv6 address") from None
        if address.family is not socket.AF_INET6:
            raise HostError("invalid IPv6 address")
        return (address,)
    try:
        return (from_literal(host, port),)
    except ValueError:
        pass  # a name
    if NOT_RESOLVED.intersection(host) or not host.isprintable():
        raise HostError("invalid host")
    try:
        # Bytes, because for text the idna codec would be loaded.
        found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError):
        raise HostError("host not found") from None
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    return tuple(dict.fromkeys(Address(family, str(place[0]), port) for family, _, _, _, place in found))
