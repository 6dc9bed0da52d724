"""The value of ``resolver``: whom to ask for names, for which addresses, and how long to believe the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.address import Address
from gatepost.config.directive import Kind, Scene
from gatepost.config.hosts import HostError, addresses_of, host_and_port
from gatepost.config.kinds import milliseconds
from gatepost.errors import ConfigError

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class NameServers:
    """``valid_seconds``: how long every answer is kept; 0: as long as it says itself.

    ``ipv4`` and ``ipv6``: which addresses of a name are asked for, whatever the name servers are reached by.
    """

    addresses: tuple[Address, ...]
    valid_seconds: int = 0
    ipv4: bool = True
    ipv6: bool = True


def _name_servers(words: Sequence[str], scene: Scene) -> NameServers | None:
    if words[0] == "off":
        if len(words) > 1:
            scene.warn(f'what follows "off" in "{scene.name}" is ignored')
        return None
    addresses: list[Address] = []
    valid_seconds = 0
    families = {"ipv4": True, "ipv6": True}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name == "valid":
            valid_seconds = _seconds(word, value)
        elif equals and name in families:
            families[name] = _flag(word, value)
        else:
            addresses += _addresses(word)
    if not any(families.values()):
        raise ConfigError('"ipv4" and "ipv6" cannot both be "off"')
    if not addresses:
        raise ConfigError("no name servers defined")
    return NameServers(tuple(dict.fromkeys(addresses)), valid_seconds, **families)


def _seconds(word: str, value: str) -> int:
    found = milliseconds(value, coarse=True)
    if found is None:
        raise ConfigError(f"invalid parameter: {word}")
    return found // 1000


def _flag(word: str, value: str) -> bool:
    if value not in ("on", "off"):
        raise ConfigError(f"invalid parameter: {word}")
    return value == "on"


def _addresses(word: str) -> tuple[Address, ...]:
    try:
        # A URI, a query or a unix socket is no name server; nginx looks at them before the port.
        if "/" in word or "?" in word:
            raise HostError("invalid host")
        return addresses_of(*host_and_port(word, DNS_PORT))
    except HostError as error:
        raise ConfigError(f'{error.message} in resolver "{word}"') from error


NAME_SERVERS: Kind[NameServers | None] = Kind(
    "address[:port] ... [valid=time] [ipv4=on|off] [ipv6=on|off] | off", (1, None), _name_servers
)
