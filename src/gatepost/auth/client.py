"""Asks an authentication service over HTTP: keeps connections for reuse, one deadline per question, asks again.

**Theory of operation.** A connection carries one question at a time. Free ones are kept, bounded in number and
age; the one used last is used next, so that the others can age out. A service may close a free connection
just when it is asked again: where nothing has been answered yet the question is repeated once, on a fresh
connection; where something has, or where a fresh one fails, the login fails.
"""

import asyncio
import dataclasses
import errno
import os
import socket
from typing import Final

from gatepost.address import Address
from gatepost.errors import AuthError
from gatepost.log import Level
from gatepost.net.room import Room

from . import Wait
from .connection import Connection, StaleError
from .message import Accepted, Layout, Postponed, Refused, Request, request_bytes, verdict
from .response import Answer

MAX_IDLE: Final = 64  # connections per server and worker; a burst of logins beyond that opens and closes its own
# Common services close after 5 to 75; theirs is noticed at once, ours only saves descriptors.
MAX_IDLE_SECONDS: Final = 30.0
POSTPONE_SECONDS: Final = 1.0  # between questions where the service does not say; nginx asks at once, without end
# All waits of one login together; whoever is still there has found another way.
MAX_POSTPONED_SECONDS: Final = 3600.0

# What nginx logs at level error; anything else (a missing socket file, no permission) is a set-up gone wrong.
_USUAL: Final = frozenset(
    (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EAGAIN,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
    )
)


class Pool:
    """The free connections of one service, the one used last on top."""

    __slots__ = ("_idle", "_loop", "_open", "_sweep")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: list[Connection] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._open = True

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> Connection | None:
        return self._idle.pop() if self._idle else None

    def freed(self, connection: Connection) -> None:
        if not self._open or len(self._idle) >= MAX_IDLE:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(MAX_IDLE_SECONDS, self.sweep)

    def lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self) -> None:
        """Close what has been free for too long; the oldest are at the bottom."""
        self._sweep = None
        limit = self._loop.time() - MAX_IDLE_SECONDS
        while self._idle and self._idle[0].idle_since <= limit:
            self._idle[0].close()
        if self._idle:
            self._sweep = self._loop.call_at(self._idle[0].idle_since + MAX_IDLE_SECONDS, self.sweep)

    def spare(self) -> bool:
        """Close the connection that has been free longest; False: none is free."""
        if not self._idle:
            return False
        self._idle[0].close()
        return True

    def close(self) -> None:
        """Close the free connections now and the others when they become free."""
        self._open = False
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._idle:
            self._idle[-1].close()


class HttpAuth:
    """The service of one server of the configuration, in one worker. Used from the worker's running loop only."""

    backend_decides = False

    def __init__(
        self,
        address: Address,
        frame: Layout,
        *,
        timeout: float,
        needs_password: bool,
        room: Room,
    ) -> None:
        """``timeout`` is in seconds, for one question, from the attempt to connect to the answer's last header."""
        self._address = address
        self._server = str(address)
        self._frame = frame
        self._timeout = timeout
        self._needs_password = needs_password
        self._room = room
        self._pool: Pool | None = None

    async def ask(self, request: Request, wait: Wait = asyncio.sleep) -> Accepted | Refused:
        """The final verdict; waits as long as it is postponed. Raises AuthError, and what ``wait`` raises."""
        waited = 0.0
        while True:
            answer = await self._exchange(request_bytes(request, self._frame))
            found = verdict(answer, request.credentials, self._server, needs_password=self._needs_password)
            if not isinstance(found, Postponed):
                return found
            seconds = found.seconds or POSTPONE_SECONDS
            waited += seconds
            if waited > MAX_POSTPONED_SECONDS:
                limit = f"{MAX_POSTPONED_SECONDS:.0f} seconds"
                raise AuthError(f"auth http server {self._server} postponed its verdict for more than {limit}")
            if found.user is not None:
                request = dataclasses.replace(
                    request, credentials=dataclasses.replace(request.credentials, user=found.user)
                )
            await wait(seconds)

    def close(self) -> None:
        """Let go of the connections; questions under way are still answered."""
        if self._pool is not None:
            self._pool.close()

    async def _exchange(self, request: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        pool = self._pool
        if pool is None:
            self._pool = pool = Pool(loop)
            self._room.spares.append(pool.spare)
        connection = pool.take()
        if connection is not None:
            try:
                return await connection.ask(request, deadline)
            except StaleError:
                pass  # it was closed under our hands, unanswered
        connection = await self._connect(loop, pool, deadline)
        return await connection.ask(request, deadline)

    async def _connect(self, loop: asyncio.AbstractEventLoop, pool: Pool, deadline: float) -> Connection:
        address = self._address
        place = self._room.take()
        if place is None:
            raise AuthError(self._room.complaint, level=Level.ALERT)

        def made() -> Connection:
            return Connection(loop, pool, self._server, place)

        async def opened() -> Connection:
            async with asyncio.timeout_at(deadline):
                if address.family is socket.AF_UNIX:
                    return (await loop.create_unix_connection(made, address.host))[1]
                return (await loop.create_connection(made, address.host, address.port))[1]

        found: Connection | None = None
        opening = loop.create_task(opened())  # a session is no task, and only tasks have time limits
        try:
            found = await opening
            return found
        except TimeoutError:
            code = errno.ETIMEDOUT
            raise AuthError(f"auth http server {self._server} timed out ({code}: {os.strerror(code)})") from None
        except OSError as error:
            code = error.errno or errno.EIO
            level = Level.ERROR if code in _USUAL else Level.CRIT
            raise AuthError(
                f"connect() to {self._server} failed ({code}: {os.strerror(code)})", level=level, code=code
            ) from error
        finally:
            if found is None:
                place.leave()
                if opening.done() and not opening.cancelled() and opening.exception() is None:
                    opening.result().close()  # it stood, and we were cancelled before we heard of it
