"""The value of ``listen``: addresses to accept connections on, and how.

Every form of address gives one or more ``Address``: a port range one per port, a host name one per address of
the host. Names are looked up once, here, by the system's resolver.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TypeAlias

from gatepost.address import Address, unix
from gatepost.errors import ConfigError, Where

from .directive import Kind, Scene
from .kinds import milliseconds, number, size_bytes

DEFAULT_BACKLOG = 511  # connections; nginx's
MAX_BACKLOG = 2**31 - 1  # what listen(2) takes; the kernel cuts it down to net.core.somaxconn
MAX_KEEPALIVE_SECONDS = 32767  # what Linux takes for TCP_KEEPIDLE and TCP_KEEPINTVL
MAX_KEEPALIVE_COUNT = 127  # what Linux takes for TCP_KEEPCNT
IPPROTO_MPTCP = 262  # Linux; named in the socket module from Python 3.10 only where the headers had it
MAX_PATH_BYTES = 107  # sun_path holds 108 with the closing NUL

KeepAlive: TypeAlias = "bool | tuple[int, int, int] | None"

_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Listen:
    """One ``listen``, ready to be bound.

    ``keepalive``: None leaves the system's default; a tuple is (idle seconds, interval seconds, count), 0 meaning
    the system's. Buffer sizes are bytes, None the system's. ``first_port`` is 0 for unix sockets.
    ``bind``: its addresses get sockets of their own even where a wildcard would cover them; every parameter that
    belongs to a socket asks for that.
    """

    addresses: tuple[Address, ...]
    where: Where
    ssl: bool = False
    proxy_protocol: bool = False
    bind: bool = False
    backlog: int = DEFAULT_BACKLOG
    rcvbuf: int | None = None
    sndbuf: int | None = None
    ipv6only: bool = True
    keepalive: KeepAlive = None
    multipath: bool = False

    @property
    def first_port(self) -> int:
        return self.addresses[0].port


def addresses(text: str) -> tuple[Address, ...]:
    """Parse the first argument of ``listen``. Raises ConfigError."""

    def fail(reason: str) -> NoReturn:
        raise ConfigError(f'{reason} in "{text}" of the "listen" directive')

    if text.lower().startswith("unix:"):
        path = text[5:]
        if not path:
            fail("no path in the unix domain socket")
        if len(path.encode("utf-8", "surrogateescape")) > MAX_PATH_BYTES:
            fail("too long path in the unix domain socket")
        return (unix(path),)
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or "/" in text or (port and not port.startswith(":")):
            fail("invalid host")
        return _expand(*_ports(port, fail), _ipv6(host, fail))
    if "/" in text:
        fail("invalid host")
    if _RANGE.fullmatch(text):
        return _expand(*_ports(":" + text, fail), [(socket.AF_INET, "0.0.0.0")])
    host, colon, digits = text.partition(":")
    ports = _ports(colon + digits, fail) if colon else None
    if not host:
        fail("no host")
    hosts = _resolved(host, fail)
    if ports is None:
        # nginx would take port 0 and so whatever port the kernel has left.
        fail("no port")
    return _expand(*ports, hosts)


_Fail: TypeAlias = Callable[[str], NoReturn]


def _ports(text: str, fail: _Fail) -> tuple[int, int]:
    """First and last port of ``:PORT`` or ``:FIRST-LAST``."""
    if not text:
        fail("no port")
    match = _RANGE.fullmatch(text[1:])
    if match is None:
        fail("invalid port")
    first = _port(match[1], fail)
    last = first if match[2] is None else _port(match[2], fail)
    if last < first:
        fail("invalid port range")
    return first, last


def _port(digits: str, fail: _Fail) -> int:
    port = number(digits)
    if port is None or not 1 <= port <= 65535:
        fail("invalid port")
    return port


_Host: TypeAlias = "tuple[socket.AddressFamily, str]"


def _ipv6(host: str, fail: _Fail) -> Sequence[_Host]:
    try:
        packed = socket.inet_pton(socket.AF_INET6, host)
    except (OSError, ValueError):
        fail("invalid IPv6 address")
    return [(socket.AF_INET6, socket.inet_ntop(socket.AF_INET6, packed))]


def _resolved(host: str, fail: _Fail) -> Sequence[_Host]:
    """Every address of ``host``, in the resolver's order."""
    if host == "*":
        return [(socket.AF_INET, "0.0.0.0")]
    try:
        packed = socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        pass
    else:
        return [(socket.AF_INET, socket.inet_ntop(socket.AF_INET, packed))]
    try:
        # Bytes, because for text the idna codec would be loaded.
        name = host.encode("ascii")
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, ValueError):
        fail("host not found")
    return list(dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found))


def _expand(first: int, last: int, hosts: Sequence[_Host]) -> tuple[Address, ...]:
    return tuple(Address(family, host, port) for family, host in hosts for port in range(first, last + 1))


# Parameters


def _backlog(listen: Listen, value: str) -> Listen:
    backlog = number(value)
    if not backlog:
        raise ConfigError(f'invalid backlog "backlog={value}"')
    return replace(listen, backlog=min(backlog, MAX_BACKLOG))


def _buffer(name: str, value: str) -> int:
    size = size_bytes(value)
    if size is None or size > 2**31 - 1:  # setsockopt(2) takes an int
        raise ConfigError(f'invalid {name} "{name}={value}"')
    return size


def _rcvbuf(listen: Listen, value: str) -> Listen:
    return replace(listen, rcvbuf=_buffer("rcvbuf", value))


def _sndbuf(listen: Listen, value: str) -> Listen:
    return replace(listen, sndbuf=_buffer("sndbuf", value))


def _ipv6only(listen: Listen, value: str) -> Listen:
    if value in ("on", "off"):
        return replace(listen, ipv6only=value == "on")
    if value.startswith("o"):
        raise ConfigError(f'invalid ipv6only flags "{value}"')
    raise ConfigError(f'invalid parameter "ipv6only={value}"')


def _so_keepalive(listen: Listen, value: str) -> Listen:
    if value in ("on", "off"):
        return replace(listen, keepalive=value == "on")
    parts = value.split(":")
    if len(parts) <= 3:
        idle, interval, count = (*parts, "", "")[:3]
        times = [milliseconds(part or "0", coarse=True) for part in (idle, interval)]
        seconds = [None if time is None else time // 1000 for time in times]
        found = tuple(part for part in (*seconds, number(count or "0")) if part is not None)
        if (
            len(found) == 3
            and any(found)
            and max(found[:2]) <= MAX_KEEPALIVE_SECONDS
            and found[2] <= MAX_KEEPALIVE_COUNT
        ):
            return replace(listen, keepalive=(found[0], found[1], found[2]))
    raise ConfigError(f'invalid so_keepalive value: "{value}"')


_VALUED: dict[str, Callable[[Listen, str], Listen]] = {
    "backlog": _backlog,
    "rcvbuf": _rcvbuf,
    "sndbuf": _sndbuf,
    "ipv6only": _ipv6only,
    "so_keepalive": _so_keepalive,
}


def parse_listen(words: Sequence[str], scene: Scene) -> tuple[Listen, ...]:
    """The one Listen that the words of a ``listen`` describe. Raises ConfigError."""
    if not words:
        return ()
    assert scene.where is not None
    listen = Listen(addresses(words[0]), scene.where)
    for word in words[1:]:
        listen = _parameter(listen, word)
    if listen.multipath and not _supports_multipath():
        scene.warn("multipath is not supported on this platform, ignored")
    for address in listen.addresses:
        if not scene.claim(("listen", address)):
            raise ConfigError(f'duplicate "{address}" address and port pair')
    return (listen,)


def _parameter(listen: Listen, word: str) -> Listen:
    name, equals, value = word.partition("=")
    if equals and name in _VALUED:
        listen = _VALUED[name](listen, value)
    elif word == "ssl":
        return replace(listen, ssl=True)
    elif word == "proxy_protocol":
        return replace(listen, proxy_protocol=True)
    elif word == "multipath":
        listen = replace(listen, multipath=True)
    elif word != "bind":
        raise ConfigError(f'invalid parameter "{word}"')
    return replace(listen, bind=True)


def _supports_multipath() -> bool:
    """Whether the kernel has MPTCP, and nobody has switched it off."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP).close()
    except OSError:
        return False
    return True


LISTEN = Kind(
    "address[:port] [ssl] [proxy_protocol] [backlog=number] [rcvbuf=size] [sndbuf=size] [ipv6only=on|off] "
    "[so_keepalive=on|off|[idle]:[interval]:[count]] [multipath] [bind]",
    (1, None),
    parse_listen,
)
