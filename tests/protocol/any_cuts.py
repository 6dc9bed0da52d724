"""What must hold for every machine: any bytes in any cuts give the effects of the bytes at once, within limits."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    BackendRefused,
    Close,
    Effect,
    Note,
    Send,
    StartTls,
)
from gatepost.protocol.framing import Framer
from gatepost.protocol.machine import ClientMachine
from gatepost.protocol.upstream import BaseUpstream
from tests.transcript import joined

Refusal = AuthRefused | BackendRefused


class Client(ClientMachine, Protocol):
    """A client machine that lets its input be looked at."""

    _input: Framer


def cut(stream: bytes, cuts: Sequence[int]) -> Iterator[list[bytes]]:
    """The stream cut at the places ``cuts`` as far as it has them, and byte by byte."""
    places = sorted({0, len(stream), *(place for place in cuts if place < len(stream))})
    yield [stream[a:b] for a, b in pairwise(places)]
    yield [stream[i : i + 1] for i in range(len(stream))]


def drive(client: Client, pieces: Sequence[bytes], answers: Sequence[Refusal], limit: int) -> list[Effect]:
    """Feed ``pieces``; every login is answered, the last ones for good. Checks each step on the way."""
    remaining = list(answers)
    out: list[Effect] = []
    for piece in pieces:
        effects = client.receive(piece)
        while effects:
            for effect in effects[:-1]:
                assert isinstance(effect, Send | Note)
            out += effects
            last = effects[-1]
            effects = []
            if isinstance(last, Authenticate):
                credentials = last.credentials
                assert not set(credentials.user + credentials.secret) & set(b"\r\n\0")
                client.upstream(Account(credentials.user, credentials.secret, proven=False))
                effects = client.tell(remaining.pop(0) if remaining else AuthRefused(b"no", final=True))
        assert len(client._input) <= limit
    for effect in out:
        assert not isinstance(effect, Send) or effect.data.endswith(b"\r\n")
    return joined(out)


def client_in_any_cuts(
    make: Callable[[], Client], stream: bytes, cuts: Sequence[int], answers: Sequence[Refusal], limit: int
) -> None:
    """``make`` makes a fresh machine; its input may hold ``limit`` bytes; logins are refused with ``answers``."""
    whole = drive(make(), [stream], answers, limit)
    for pieces in cut(stream, cuts):
        assert drive(make(), pieces, answers, limit) == whole
    for effect in (Close(), StartTls()):
        assert effect not in whole[:-1]


def upstream_in_any_cuts(
    make: Callable[[], BaseUpstream], stream: bytes, cuts: Sequence[int], limit: int
) -> tuple[list[Effect], bytes]:
    """As above. Returns the effects, and what is left for the relay."""

    def outcome(pieces: Sequence[bytes]) -> tuple[list[Effect], bytes]:
        upstream = make()
        effects: list[Effect] = []
        for piece in pieces:
            effects += upstream.receive(piece)
            over = bool(effects) and not isinstance(effects[-1], Send)
            assert over or len(upstream._input) + len(upstream._reply) < limit
        return effects, upstream.rest()

    whole = outcome([stream])
    for pieces in cut(stream, cuts):
        assert outcome(pieces) == whole
    assert all(isinstance(effect, Send) for effect in whole[0][:-1])
    return whole
