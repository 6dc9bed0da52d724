"""Accepting clients: from a readable listening socket to a session that runs.

Theory of operation. The listening sockets are shared by all workers. A readable one makes a worker accept one
connection per turn of its loop: a burst then spreads over the workers that are idle, and no turn ends with a
call that finds nothing. Out of descriptors, nothing is accepted for a while: the clients wait in the queue.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Mapping, Sequence

from gatepost.address import Address
from gatepost.log import Level, Log
from gatepost.net.bind_plan import Route
from gatepost.net.listener import Listener
from gatepost.session.driver import Session
from gatepost.session.endpoint import Endpoint, Host

PAUSE_SECONDS = 0.5  # without descriptors, accepting again at once would only fail again, in a hot loop

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Accepting:
    """The accepting side of a worker: on, pausing, or off for good. Owns the listeners of this process."""

    def __init__(
        self,
        host: Host,
        listeners: Sequence[Listener],
        endpoints: Mapping[Route, Endpoint],
        max_connections: int,
        log: Log,
    ) -> None:
        self._host = host
        self._loop: asyncio.AbstractEventLoop = host.loop
        self._listeners = listeners
        self._endpoints = endpoints
        self._max_connections = max_connections
        self._limit = max_connections - len(listeners)
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
        for listener in self._listeners:
            listener.close()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            for listener in self._listeners:
                self._loop.remove_reader(listener.socket.fileno())

    def _pause(self) -> None:
        self._unwatch()
        self._loop.call_later(PAUSE_SECONDS, self.start)

    def _accept(self, listener: Listener) -> None:
        try:
            sock, peer = listener.socket.accept()
        except BlockingIOError:
            return  # another worker was faster
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._log.write(Level.CRIT, f"accept4() failed ({error.errno}: {os.strerror(error.errno)})")
                self._pause()
            return  # anything else was this client's own: it went away in the queue
        if self._host.descriptors >= self._limit:
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
            self._log.write(Level.ALERT, f"{self._max_connections} worker_connections are not enough")


def _client_address(family: socket.AddressFamily, peer: object) -> Address:
    if isinstance(peer, tuple):
        # Without the zone of an address of one link (fe80::1%eth0): it means nothing to whoever is told.
        return Address(family, peer[0].partition("%")[0], peer[1])
    return Address(socket.AF_UNIX, "")
