"""What a worker knows of its clients: how many there are, and how many sockets they take."""

import asyncio
import socket

from gatepost.net.deadlines import Deadlines
from gatepost.net.relay import Relay, Shared
from gatepost.session.endpoint import Host
from gatepost.session_log import SessionLog
from tests.wire import Far, Lines, pair, poller, story

Loop = asyncio.AbstractEventLoop


def relay(host: Host) -> tuple[Relay, Far, Far]:
    """A relay of ``host``, and the far ends of its client and its upstream."""
    client, ours = pair()
    upstream, theirs = pair()
    log = SessionLog(Lines().log(), 1, "192.0.2.1", "0.0.0.0:143")
    made = Relay(host.shared, log, ours, None, theirs, 60.0, b"* BYE\r\n", host.relay_ended)
    host.relays.add(made)
    made.start(b"", b"")
    return made, Far(client), Far(upstream)


@story
async def test_a_relay_is_one_client_with_two_sockets_until_it_ends(loop: Loop) -> None:
    wheel = Deadlines(loop)
    host = Host(Shared(poller(loop), wheel))
    assert (host.count, host.sockets) == (0, 0)
    first, client, upstream = relay(host)
    _, other_client, other_upstream = relay(host)
    assert (host.count, host.sockets) == (2, 4)
    for far in (client, upstream):
        far.socket.shutdown(socket.SHUT_WR)
    while first in host.relays:
        host.on_ended.clear()
        await host.on_ended.wait()
    assert (host.count, host.sockets) == (1, 2)
    for far in (other_client, other_upstream, client, upstream):
        far.close()
    while host.count:
        host.on_ended.clear()
        await host.on_ended.wait()
    assert host.sockets == 0
