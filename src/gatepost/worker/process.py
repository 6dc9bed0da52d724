"""A worker: one process, one event loop; accepts clients and runs their sessions.

Everything that is the same for all sessions of an address is worked out at start, in ``Endpoint``s. Garbage
collection leaves alone what exists then: it lives as long as the worker.
"""

import asyncio
import gc
import signal
from typing import TYPE_CHECKING

import uvloop

# For ``authenticator``: loaded now, in the master, so that workers share it, which saves each a megabyte.
import gatepost.auth.backend
import gatepost.auth.client  # noqa: F401
from gatepost.auth import authenticator
from gatepost.config.build import Server
from gatepost.errors import ConfigError
from gatepost.log import Level
from gatepost.net.bind_plan import Route
from gatepost.net.deadlines import Deadlines
from gatepost.net.poller import Poller
from gatepost.net.proxy_protocol import WRITERS
from gatepost.net.relay import Shared
from gatepost.net.room import Room
from gatepost.net.settings import ResolverSettings
from gatepost.protocol import protocol_of
from gatepost.session.endpoint import Endpoint, Host
from gatepost.session.settings import SessionSettings
from gatepost.tls.errors import report_stale_to
from gatepost.tls.settings import TlsSettings

from .accepting import Accepting, own_lanes
from .drain import drain
from .heritage import FATAL_STATUS, Heritage
from .privileges import settle
from .scoreboard import Reporter
from .settings import WorkerSettings
from .trimming import Trimming

if TYPE_CHECKING:
    from gatepost.net.resolver import Resolver

# New objects between two looks for cycles. A session makes no cycle as long as nothing goes wrong, and the usual
# 700 are a dozen sessions under way: each look would go through all of them and find nothing.
YOUNG_OBJECTS = 10_000
TITLE = "gatepost-worker"  # at most 15 bytes: the kernel's limit for the name of a thread


def serve(heritage: Heritage, slot: int, place: int) -> int:
    """Be the worker in ``slot``, and in row ``place`` of the scoreboard, until told to stop; the exit status."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        # All code is loaded before root is given up: it may lie where the worker's user cannot read.
        worker = Worker(Poller(loop), heritage, slot, place)
        _entitle()
        settle(heritage.configuration, lambda text: heritage.log.write(Level.ALERT, text))
        heritage.zones.attach(lambda text: heritage.log.write(Level.WARN, text))
        report_stale_to(lambda text: heritage.log.write(Level.ALERT, text))
        loop.run_until_complete(worker.run())
    except ConfigError as error:
        heritage.log.write(Level.EMERG, str(error))
        return FATAL_STATUS
    finally:
        loop.close()
    return 0


def _entitle() -> None:
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(TITLE)
    except OSError:
        return  # only a convenience for ps


class Worker:
    """What a worker serves, what it is told, and how it stops."""

    def __init__(self, poller: Poller, heritage: Heritage, slot: int, place: int) -> None:
        self._loop = loop = poller.loop
        self._heritage = heritage
        self._log = heritage.log
        wheel = Deadlines(loop)
        limit = heritage.configuration[WorkerSettings].worker_connections
        self._host = Host(Shared(poller, wheel), Room(limit))
        self._reporter = Reporter(heritage.scoreboard.cells(place), heritage.generation, self._host)
        self._resolvers: dict[ResolverSettings, Resolver] = {}
        endpoints = {
            route: self._endpoint(route)
            for listener in heritage.listeners
            for route in (listener.bind.fallback, *listener.bind.routes.values())
        }
        own = own_lanes(heritage.listeners, slot, heritage.workers)
        self._accepting = Accepting(self._host, heritage.listeners, own, endpoints, heritage.log)
        self._host.on_exhausted = self._accepting.pause
        self._stop = asyncio.Event()
        self._graceful = False

    async def run(self) -> None:
        """Serve until QUIT (drain) or TERM (go)."""
        for number, graceful in ((signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGQUIT, True)):
            self._loop.add_signal_handler(number, self._told, graceful)
        self._loop.add_signal_handler(signal.SIGUSR1, self._reopen)
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH):
            # The master's business; a signal to the whole group may bring them.
            self._loop.add_signal_handler(number, _nothing)
        # The master forked us with its signals blocked: one that came before its handler was there waits until now.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._loop.add_reader(self._heritage.lifeline.read_fd, self._orphaned)
        gc.collect()  # of what we have made; what we have inherited is frozen already
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        self._accepting.start()
        self._reporter.begin()
        Trimming(self._host).begin()
        await self._stop.wait()
        self._reporter.drain()
        if self._graceful:
            self._log.write(Level.NOTICE, "gracefully shutting down")
            limit = self._heritage.configuration[WorkerSettings].worker_shutdown_timeout
            # TERM while we drain ends the draining.
            self._stop.clear()
            draining = self._loop.create_task(drain(self._host, limit))
            stopping = self._loop.create_task(self._stop.wait())
            await asyncio.wait((draining, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            draining.cancel()
        self._reporter.write()
        self._log.write(Level.NOTICE, "exiting")

    def _endpoint(self, route: Route) -> Endpoint:
        heritage = self._heritage
        server = heritage.configuration.servers[route.server]
        protocol = protocol_of(server)
        settings = server[SessionSettings]
        return Endpoint(
            name=str(route.address),
            ssl=route.listen.ssl or server[TlsSettings].ssl,
            proxied=route.listen.proxy_protocol,
            protocol=protocol,
            service=protocol.serve(server),
            authenticator=authenticator(server, protocol, self._host.room),
            context=heritage.contexts[route.server],
            resolver=self._resolver(server),
            log=heritage.logs[route.server],
            timeout=settings.timeout,
            proxy_timeout=settings.proxy_timeout,
            pass_error_message=settings.proxy_pass_error_message,
            trusted=settings.set_real_ip_from,
            proxy_header=WRITERS.get(settings.proxy_protocol),
        )

    def _resolver(self, server: Server) -> "Resolver | None":
        """The one of all servers with the same settings: what it has learnt serves them all."""
        settings = server[ResolverSettings]
        if settings.resolver is None:
            return None
        # Loaded only where it is configured: the library costs every worker memory, and every start time.
        from gatepost.net.resolver import Resolver

        if settings not in self._resolvers:
            self._resolvers[settings] = Resolver(
                self._loop, settings.resolver, settings.resolver_timeout, self._host.room
            )
        return self._resolvers[settings]

    # Signals

    def _told(self, graceful: bool) -> None:
        if graceful and self._graceful:
            return  # told again, by a master that ends or is gone: what drains goes on draining
        self._graceful = graceful
        self._accepting.stop()  # at once: the turn of the loop that brings the signal may also bring clients
        self._stop.set()

    def _reopen(self) -> None:
        for error in self._heritage.outputs.reopen():
            self._log.write(Level.EMERG, f'open() "{error.filename}" failed ({error.errno}: {error.strerror})')

    def _orphaned(self) -> None:
        self._loop.remove_reader(self._heritage.lifeline.read_fd)
        self._log.write(Level.ALERT, "the master process is gone, finishing established sessions")
        self._told(True)


def _nothing() -> None:
    """For signals that must not end a worker."""
