"""Accepting clients: from a readable listening socket to a session that runs.

Theory of operation. A TCP address has a socket, a lane, for each worker, and the kernel spreads connections over
them; a unix socket is shared by all workers. A readable one makes a worker accept one connection per turn of
its loop: a burst on a shared socket then spreads over the workers that are idle, and no turn ends with a call that
finds nothing. Out of descriptors, here or where a session needs one, nothing is accepted for a while: the clients
wait in the queue.

Nobody waits in the lane of a worker that hangs, or that is not there because it dies again and again. Once a
second every worker looks at the lanes of the others, in one call, and serves those that were found waiting twice
in a row.
"""

import asyncio
import os
import select
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from gatepost.address import Address
from gatepost.errors import EXHAUSTED
from gatepost.log import Level, Log
from gatepost.net.bind_plan import Route
from gatepost.net.listener import Listener
from gatepost.net.room import Place
from gatepost.session.driver import Session
from gatepost.session.endpoint import Endpoint, Host

# Between looks at the lanes of others: a worker that is alive takes its clients in far less.
LOOK_SECONDS: Final = 1.0
MAX_TAKEN: Final = 256  # connections from the lane of another, per look: half the usual queue, in some milliseconds
PAUSE_SECONDS: Final = 0.5  # without descriptors, accepting again at once would only fail again, in a hot loop


def own_lanes(listeners: Sequence[Listener], slot: int, workers: int) -> list[Listener]:
    """Those of ``listeners`` that the worker in ``slot``, of so many, accepts on.

    Each is somebody's, also where there are more lanes than workers; where there are fewer, workers share them.
    """
    lanes: dict[Address, list[Listener]] = {}
    for listener in listeners:
        lanes.setdefault(listener.bind.address, []).append(listener)
    return [
        lane
        for siblings in lanes.values()
        for number, lane in enumerate(siblings)
        if number % workers == slot or slot % len(siblings) == number
    ]


class _Door:
    """A listening socket, and whose its connections are: by the local host one of ``guests``, else ``owner``."""

    __slots__ = ("family", "guests", "owner", "socket")

    def __init__(self, listener: Listener, endpoints: Mapping[Route, Endpoint]) -> None:
        bind = listener.bind
        self.socket = listener.socket
        self.family = bind.address.family
        self.owner = endpoints[bind.fallback]
        self.guests = {host: endpoints[route] for host, route in bind.routes.items()}


class Accepting:
    """The accepting side of a worker: on, pausing, or off for good. Owns the listeners of this process.

    ``own`` are those of ``listeners`` that this worker accepts on.
    """

    def __init__(
        self,
        host: Host,
        listeners: Sequence[Listener],
        own: Sequence[Listener],
        endpoints: Mapping[Route, Endpoint],
        log: Log,
    ) -> None:
        self._host = host
        self._poller = host.poller
        self._listeners = listeners
        self._own = [_Door(each, endpoints) for each in own]
        self._places = [Place(host.room) for _ in own]
        self._others = {each.socket.fileno(): _Door(each, endpoints) for each in listeners if each not in own}
        self._lookout = select.epoll()
        self._waiting: set[int] = set()  # lanes of others that had connections in their queues at the last look
        self._next_look: asyncio.TimerHandle | None = None
        self._log = log
        self._numbers = 0
        self._crowded_at = -1.0
        self._watching = False
        self._over = False

    def start(self) -> None:
        """Accept from now on; also after a pause."""
        if self._over or self._watching:
            return
        self._watching = True
        for door in self._own:
            self._poller.watch_reading(door.socket.fileno(), partial(self._accept, door))
        if self._others and self._next_look is None:
            for fd in self._others:
                self._lookout.register(fd, select.EPOLLIN)
            self._look()

    def stop(self) -> None:
        """Never accept again, and close our ends of the listening sockets. Idempotent."""
        self._over = True
        self._unwatch()
        if self._next_look is not None:
            self._next_look.cancel()
        self._lookout.close()
        for listener in self._listeners:
            listener.close()
        for place in self._places:
            place.leave()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            for door in self._own:
                self._poller.ignore_reading(door.socket.fileno())

    def pause(self) -> None:
        """Accept nothing for a while: a descriptor less for new clients is one more for those that are here."""
        if self._watching:
            self._unwatch()
            self._poller.loop.call_later(PAUSE_SECONDS, self.start)

    def _look(self) -> None:
        """Serve those who wait for another worker for too long."""
        self._next_look = self._poller.loop.call_later(LOOK_SECONDS, self._look)
        waiting = {fd for fd, _ in self._lookout.poll(0)}
        for fd in waiting & self._waiting:
            for _ in range(MAX_TAKEN):
                if not self._watching or not self._accept(self._others[fd]):
                    break
        self._waiting = waiting

    def _accept(self, door: _Door, _events: int = 0) -> bool:
        """False: there was nobody."""
        try:
            # What ``accept`` does, without asking the listening socket for its family and type each time: each
            # answer is looked up in an enumeration.
            fd, peer = door.socket._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return False  # another worker was faster
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._log.write(Level.CRIT, f"accept4() failed ({error.errno}: {os.strerror(error.errno)})")
                self.pause()
            return True  # anything else was this client's own: it went away in the queue
        sock = socket.socket(door.family, socket.SOCK_STREAM, 0, fd)
        if self._host.room.is_full():
            sock.close()
            self._crowded()
            return True
        sock.setblocking(False)
        endpoint = door.owner
        if door.guests:
            endpoint = door.guests.get(sock.getsockname()[0], endpoint)
        self._numbers += 1
        address = _client_address(door.family, peer)
        if endpoint.log.wants(Level.INFO):
            shown = "unix:" if address.family is socket.AF_UNIX else str(address)
            endpoint.log.write(Level.INFO, f"*{self._numbers} client {shown} connected to {endpoint.name}")
        Session(self._host, endpoint, sock, address, self._numbers).start()
        return True

    def _crowded(self) -> None:
        """Say that ``worker_connections`` is too low, at most once a second."""
        now = self._host.wheel.now
        if now != self._crowded_at:
            self._crowded_at = now
            self._log.write(Level.ALERT, self._host.room.complaint)


def _client_address(family: socket.AddressFamily, peer: object) -> Address:
    if isinstance(peer, tuple):
        # Without the zone of an address of one link (fe80::1%eth0): it means nothing to whoever is told.
        host: str = peer[0]
        return Address(family, host.partition("%")[0] if "%" in host else host, peer[1])
    return Address(socket.AF_UNIX, "")
