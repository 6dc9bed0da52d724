"""Graceful stop of a worker: established sessions finish; what is left when the time is over is cut."""

import asyncio

from gatepost.session.endpoint import Host


async def drain(host: Host, limit_seconds: float | None) -> None:
    """Wait until every session has ended, at most ``limit_seconds`` (None: as long as it takes).

    Then relays are told to go with their protocol's last words. Sessions before login are dropped by the end
    of the worker: their clients have sent nothing that could be lost.
    """
    try:
        async with asyncio.timeout(limit_seconds):
            while host.count:
                host.on_ended.clear()
                await host.on_ended.wait()
    except TimeoutError:
        for relay in tuple(host.relays):
            relay.shut_down()
