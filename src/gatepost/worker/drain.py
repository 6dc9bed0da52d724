"""Graceful stop of a worker: established sessions finish; what is left when the time is over is told to go.

Theory of operation. Whoever is told to go comes back, mostly at once, and logs in anew: what ten thousand phones do
in one second is a flood for all that stand behind us. So they are told a few at a time, those first that have not
logged in. A small worker has done so in a second or two, a large one takes a minute and not more.
"""

import asyncio
import contextlib
import math

from gatepost.net.relay import Relay
from gatepost.net.stream import LINGER_SECONDS
from gatepost.session.driver import Session
from gatepost.session.endpoint import Host

# Each that comes back costs about a millisecond here, and as much in its backend: a tenth of a processor.
CUTS_PER_SECOND = 100
MAX_CUTTING_SECONDS = 60.0  # then more at a time: whoever waits for our end does not wait for ever
STEP_SECONDS = 0.1  # between two lots
GOODBYE_SECONDS = LINGER_SECONDS + 1.0  # for those that were told last to close their side


async def drain(host: Host, limit_seconds: float | None) -> None:
    """Wait until every session has ended, at most ``limit_seconds`` (None: as long as it takes).

    Then all are told to go with their protocol's last words, within ``MAX_CUTTING_SECONDS``.
    """
    if not await _is_over(host, limit_seconds):
        await _cut(host)
        await _is_over(host, GOODBYE_SECONDS)


async def _is_over(host: Host, limit_seconds: float | None) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_seconds):
            while host.count:
                host.on_ended.clear()
                await host.on_ended.wait()
    return not host.count


async def _cut(host: Host) -> None:
    clients: list[Session | Relay] = [*host.sessions, *host.relays]
    size = lot(len(clients))
    for start in range(0, len(clients), size):
        if start:
            await asyncio.sleep(STEP_SECONDS)
        for client in clients[start : start + size]:
            client.shut_down()
    for relay in tuple(host.relays):
        relay.shut_down()  # of those that logged in meanwhile


def lot(count: int) -> int:
    """How many of ``count`` clients are told to go at a time."""
    return max(1, math.ceil(CUTS_PER_SECOND * STEP_SECONDS), math.ceil(count * STEP_SECONDS / MAX_CUTTING_SECONDS))
