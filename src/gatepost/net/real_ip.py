"""Whose PROXY headers say who the client is: the value of ``set_real_ip_from``."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.address import Address
from gatepost.config.directive import Kind, Scene
from gatepost.config.kinds import number
from gatepost.errors import ConfigError

from .proxy_protocol import Proxied

_MAPPED = b"\0" * 10 + b"\xff\xff"  # RFC 4291 section 2.5.5.2: an IPv4 address follows
_BITS = {socket.AF_INET: 32, socket.AF_INET6: 128}


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses of ``family`` that give ``base`` under ``mask``; both as integers."""

    family: socket.AddressFamily
    base: int
    mask: int


@dataclass(frozen=True, slots=True)
class Trusted:
    """The proxies that are believed. ``unix``: every client of a unix socket is one."""

    networks: tuple[Network, ...] = ()
    unix: bool = False

    def __add__(self, other: "Trusted") -> "Trusted":
        return Trusted(self.networks + other.networks, self.unix or other.unix)

    def covers(self, address: Address) -> bool:
        """IPv4 written as IPv6 counts as IPv4."""
        if address.family is socket.AF_UNIX:
            return self.unix
        if not self.networks:
            return False
        family = address.family
        packed = socket.inet_pton(family, address.host.partition("%")[0])
        if packed.startswith(_MAPPED):
            family, packed = socket.AF_INET, packed[12:]
        value = int.from_bytes(packed, "big")
        return any(value & network.mask == network.base for network in self.networks if network.family is family)


def client_address(proxied: Proxied) -> Address | None:
    """The recorded source, or None if it is not an address (version 1 can record anything)."""
    host = proxied.source.decode("ascii")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host)
    except OSError:
        return None
    return Address(family, socket.inet_ntop(family, packed), int(proxied.source_port))


def _trusted(words: Sequence[str], scene: Scene) -> Trusted:
    if not words:
        return Trusted()
    word = words[0]
    if word == "unix:":
        return Trusted(unix=True)
    network = _network(word, scene)
    return Trusted((network,) if network is not None else _resolved(word))


def _network(word: str, scene: Scene) -> Network | None:
    """None for a name, and for what can only be a mistake: both are looked up."""
    host, slash, length = word.partition("/")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        value = int.from_bytes(socket.inet_pton(family, host), "big")
    except (OSError, ValueError):
        return None
    bits = _BITS[family]
    prefix = number(length) if slash else bits
    if prefix is None or prefix > bits:
        return None
    mask = (1 << bits) - (1 << bits - prefix)
    if value & mask != value:
        scene.warn(f"low address bits of {word} are meaningless")
    return Network(family, value & mask, mask)


def _resolved(name: str) -> tuple[Network, ...]:
    """Every address of ``name``, looked up once, by the system's resolver."""
    try:
        # Bytes, because for text the idna codec would be loaded.
        found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        raise ConfigError(f'host not found in set_real_ip_from "{name}"') from None
    networks = []
    for family, _, _, _, place in found:
        if family in _BITS:
            packed = socket.inet_pton(family, str(place[0]).partition("%")[0])
            networks.append(Network(family, int.from_bytes(packed, "big"), (1 << _BITS[family]) - 1))
    return tuple(dict.fromkeys(networks))


TRUSTED = Kind("address | network/bits | host | unix:", (1, 1), _trusted)
