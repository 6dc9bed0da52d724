"""The name of a client in DNS, confirmed: the address has a name, and the name has that address.

What a name server says is chosen by whoever owns the client's address. So a name is believed only when it is made
of letters, digits, hyphens and dots, and when its own owner agrees by listing the address. Everything else is one
of two words in brackets, which no host name can be: ``[UNAVAILABLE]`` for a client without a name,
``[TEMPUNAVAIL]`` where that could not be found out now.
"""

import asyncio
import socket
from dataclasses import dataclass

from gatepost.address import Address
from gatepost.log import Level, quoted
from gatepost.session_log import SessionLog

from .host_names import TEMPORARILY, UNAVAILABLE, is_host_name, packed, raw, reverse_name
from .inquiry import AAAA, NOT_FOUND, PTR, A, Answer, Failure, Inquiry
from .lookups import Lookups
from .name_servers import NameServers
from .room import Room

MAX_KEPT_SECONDS = 86400  # a day; what a name server says beyond is a mistake or meant to stay in our memory
MAX_KEPT_ADDRESSES = 16  # of one name; a longer list is used and not kept, so that the cache stays small


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a name leads to. The failures are of the two look-ups, None for one that was not made or found some."""

    packed: frozenset[bytes]
    ipv4: Failure | None
    ipv6: Failure | None


class Resolver:
    """The name servers of one ``resolver`` directive, with what they have answered. One per worker.

    ``timeout`` is in seconds, for each of the two look-ups of a client.
    """

    __slots__ = ("_addresses", "_first", "_kinds", "_loop", "_names", "_room", "_servers", "_timeout")

    def __init__(self, loop: asyncio.AbstractEventLoop, servers: NameServers, timeout: float, room: Room) -> None:
        self._loop = loop
        self._servers = servers
        self._timeout = timeout
        self._room = room
        self._first = 0
        self._kinds = tuple(kind for kind, wanted in ((A, servers.ipv4), (AAAA, servers.ipv6)) if wanted)
        self._names: Lookups[bytes, bytes | Failure] = Lookups(loop, self._find_name)
        self._addresses: Lookups[bytes, Addresses] = Lookups(loop, self._find_addresses)

    async def client_host(self, address: Address, log: SessionLog) -> bytes:
        """The confirmed name in lower case, or one of the two words. Says in ``log`` why there is none."""
        if address.family is socket.AF_UNIX:
            return TEMPORARILY
        client = packed(address.host)
        log.action = "in resolving client address"
        name = await self._names.find(client)
        if isinstance(name, Failure):
            log.write(Level.ERROR, f"{address.host} could not be resolved ({name})")
            return _word(name)
        if not is_host_name(name):
            log.write(Level.ERROR, f'{address.host} resolved to invalid host name "{quoted(raw(name))}"')
            return TEMPORARILY
        log.action = "in resolving client hostname"
        addresses = await self._addresses.find(name)
        if client in addresses.packed:
            return name
        failure = _failure(addresses, client)
        if failure is None:
            return UNAVAILABLE
        log.write(Level.ERROR, f'"{name.decode()}" could not be resolved ({failure})')
        return _word(failure)

    async def _find_name(self, client: bytes) -> tuple[bytes | Failure, float]:
        """The first name, in lower case."""
        (found,) = await self._ask(reverse_name(client), (PTR,))
        if isinstance(found, Failure):
            return found, 0
        return found.records[0].lower(), self._kept(found.ttl)

    async def _find_addresses(self, name: bytes) -> tuple[Addresses, float]:
        outcomes = dict(zip(self._kinds, await self._ask(name.decode(), self._kinds), strict=True))
        answers = [found for found in outcomes.values() if isinstance(found, Answer)]
        failures = {kind: found for kind, found in outcomes.items() if isinstance(found, Failure)}
        addresses = Addresses(
            frozenset(address for answer in answers for address in answer.records),
            failures.get(A),
            failures.get(AAAA),
        )
        certain = all(failure is NOT_FOUND for failure in failures.values())
        if not answers or not certain or len(addresses.packed) > MAX_KEPT_ADDRESSES:
            return addresses, 0
        return addresses, self._kept(min(answer.ttl for answer in answers))

    async def _ask(self, name: str, kinds: tuple[int, ...]) -> list[Answer | Failure]:
        self._first += 1  # round robin
        question = Inquiry(self._loop, self._servers.addresses, name, kinds, self._first, self._room)
        return await question.run(self._timeout)

    def _kept(self, ttl: int) -> float:
        return self._servers.valid_seconds or min(ttl, MAX_KEPT_SECONDS)


def _failure(addresses: Addresses, client: bytes) -> Failure | None:
    """What to say of a name that does not lead to ``client``; None: it leads elsewhere.

    Only the look-up of the client's own family could have confirmed the name, so its failure is never covered up
    by what the other one found.
    """
    same, other = addresses.ipv4, addresses.ipv6
    if len(client) == 16:
        same, other = other, same
    if same is not None and same is not NOT_FOUND:
        return same
    if addresses.packed:
        return None
    return other or same


def _word(failure: Failure) -> bytes:
    return UNAVAILABLE if failure is NOT_FOUND else TEMPORARILY
