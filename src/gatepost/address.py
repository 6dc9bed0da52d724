"""Addresses of sockets: parsed once, then passed around as values."""

import ipaddress
import socket
from dataclasses import dataclass


@dataclass(slots=True, init=False, unsafe_hash=True)
class Address:
    """Where a socket connects to or listens on.

    ``host`` is a numeric IPv4 or IPv6 address without brackets, or the path of a unix socket; ``port`` is
    0 for unix sockets. Nobody changes an address; not frozen because each client makes one, see protocol/events.py.
    """

    family: socket.AddressFamily
    host: str
    port: int

    def __init__(self, family: socket.AddressFamily, host: str, port: int = 0) -> None:
        self.family = family
        self.host = host
        self.port = port

    @property
    def sockaddr(self) -> str | tuple[str, int]:
        """What ``socket.connect`` and ``socket.bind`` take."""
        return self.host if self.family is socket.AF_UNIX else (self.host, self.port)

    def __str__(self) -> str:
        """``127.0.0.1:143``, ``[::1]:143`` or ``unix:/path``, as the log shows it."""
        if self.family is socket.AF_UNIX:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if self.family is socket.AF_INET6 else f"{self.host}:{self.port}"


def from_literal(host: str, port: int) -> Address:
    """The address of a numeric host, brackets allowed round IPv6. Raises ValueError for a name."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    parsed = ipaddress.ip_address(bare)
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    return Address(family, str(parsed), port)


def unix(path: str) -> Address:
    """The address of the unix socket at ``path``."""
    return Address(socket.AF_UNIX, path)
