"""Streams under test and the far ends of their connections, in the clear and under TLS."""

import asyncio

import pytest

from gatepost.net.poller import Poller
from gatepost.net.stream import Stream
from tests.wire import Far, TlsFar, contexts, pair

IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 20  # callbacks

ways = pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])


class PassedError(Exception):
    """What a deadline raises in a wait."""


async def tls_pair(poller: Poller, *, small: bool = False) -> tuple[TlsFar, Stream]:
    """A client and our stream, hands shaken."""
    ours, theirs = contexts()
    one, other = pair(small=small)
    far, stream = TlsFar(one, theirs), Stream(poller, other)
    await asyncio.gather(far.handshake(), stream.start_tls(ours))
    return far, stream


async def either(poller: Poller, *, tls: bool, small: bool = False) -> tuple[Far, Stream]:
    if tls:
        return await tls_pair(poller, small=small)
    one, other = pair(small=small)
    return Far(one), Stream(poller, other)
