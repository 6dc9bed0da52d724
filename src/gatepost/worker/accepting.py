"""Accepting clients: from a readable listening socket to a session that runs.

Theory of operation. The listening sockets are shared by all workers. A readable one makes a worker accept one
connection per turn of its loop: a burst then spreads over the workers that are idle, and no turn ends with a
call that finds nothing. Out of descriptors, here or where a session needs one, nothing is accepted for a while: the
clients wait in the queue.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence

from gatepost.address import Address
from gatepost.errors import EXHAUSTED
from gatepost.log import Level, Log
from gatepost.net.bind_plan import Route
from gatepost.net.listener import Listener
from gatepost.net.room import Place
from gatepost.session.driver import Session
from gatepost.session.endpoint import Endpoint, Host

PAUSE_SECONDS = 0.5  # without descriptors, accepting again at once would only fail again, in a hot loop


class Accepting:
    """The accepting side of a worker: on, pausing, or off for good. Owns the listeners of this process."""

    def __init__(
        self,
        host: Host,
        listeners: Sequence[Listener],
        endpoints: Mapping[Route, Endpoint],
        log: Log,
    ) -> None:
        self._host = host
        self._loop: asyncio.AbstractEventLoop = host.loop
        self._listeners = listeners
        self._endpoints = endpoints
        self._places = [Place(host.room) for _ in listeners]
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
        for listener in self._listeners:
            self._loop.add_reader(listener.socket.fileno(), self._accept, listener)

    def stop(self) -> None:
        """Never accept again, and close our ends of the listening sockets."""
        self._over = True
        self._unwatch()
        for listener, place in zip(self._listeners, self._places, strict=True):
            listener.close()
            place.leave()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            for listener in self._listeners:
                self._loop.remove_reader(listener.socket.fileno())

    def pause(self) -> None:
        """Accept nothing for a while: a descriptor less for new clients is one more for those that are here."""
        if self._watching:
            self._unwatch()
            self._loop.call_later(PAUSE_SECONDS, self.start)

    def _accept(self, listener: Listener) -> None:
        try:
            sock, peer = listener.socket.accept()
        except BlockingIOError:
            return  # another worker was faster
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._log.write(Level.CRIT, f"accept4() failed ({error.errno}: {os.strerror(error.errno)})")
                self.pause()
            return  # anything else was this client's own: it went away in the queue
        if self._host.room.is_full():
            sock.close()
            self._crowded()
            return
        sock.setblocking(False)
        bind = listener.bind
        route = bind.route(sock.getsockname()[0]) if bind.routes else bind.fallback
        endpoint = self._endpoints[route]
        self._numbers += 1
        address = _client_address(bind.address.family, peer)
        if endpoint.log.wants(Level.INFO):
            shown = "unix:" if address.family is socket.AF_UNIX else str(address)
            endpoint.log.write(Level.INFO, f"*{self._numbers} client {shown} connected to {endpoint.name}")
        Session(self._host, endpoint, sock, address, self._numbers).start()

    def _crowded(self) -> None:
        """Say that ``worker_connections`` is too low, at most once a second."""
        now = self._host.wheel.now
        if now != self._crowded_at:
            self._crowded_at = now
            self._log.write(Level.ALERT, self._host.room.complaint)


def _client_address(family: socket.AddressFamily, peer: object) -> Address:
    if isinstance(peer, tuple):
        # Without the zone of an address of one link (fe80::1%eth0): it means nothing to whoever is told.
        return Address(family, peer[0].partition("%")[0], peer[1])
    return Address(socket.AF_UNIX, "")
