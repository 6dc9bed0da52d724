"""The mail protocols, pure: bytes and events in, effects out. A protocol exists because its package exists."""

import sys
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from gatepost import registry
from gatepost.config.build import Server
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError

from .machine import Protocol


@cache
def protocols() -> Mapping[str, Protocol]:
    """Every protocol there is, by the word that names it in the configuration."""
    found = registry.collect(sys.modules[__name__], "PROTOCOL", Protocol)
    return MappingProxyType({protocol.name: protocol for protocol in found})


def protocol_of(server: Server) -> Protocol:
    """What a server speaks: the word of its ``protocol`` directive, or what its first well-known port says.

    Raises ConfigError if neither tells.
    """
    from .settings import ProtocolSettings  # not above: it looks its words up in ``protocols``

    word = server[ProtocolSettings].protocol
    if word is not None:
        return protocols()[word]
    by_port = {port: protocol for protocol in protocols().values() for port in protocol.ports}
    for listen in server[ListenSettings].listen:
        if listen.first_port in by_port:
            return by_port[listen.first_port]
    raise ConfigError("unknown mail protocol for server", server.where)
