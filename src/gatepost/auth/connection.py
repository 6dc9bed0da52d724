"""One connection to the authentication service: carries one question, and knows whether it may carry another.

A ``Protocol`` on the loop's own transport: measured against descriptors driven by hand it costs the same, and half
of what streams cost. The answer is handed over as soon as its head is complete; the rest of the message is read
and thrown away afterwards, within limits, to make the connection free again.
"""

import asyncio
import errno
import os
import typing
from typing import Final

from gatepost.errors import AuthError
from gatepost.net.room import Place
from gatepost.net.waiting import Waitable

from .response import MAX_HEAD_BYTES, Answer, Fate, Reader

REST_SECONDS: Final = 5.0  # how long a body may take to end; it is as a rule empty and already here


class StaleError(Exception):
    """A connection that had served before was closed before anything of this answer came: ask on another one."""


class Owner(typing.Protocol):
    """Keeps the connections that are free."""

    def freed(self, connection: "Connection") -> None:
        """The answer has been read to its end."""

    def lost(self, connection: "Connection") -> None:
        """The connection is closed, or about to be. May be told more than once."""


class Connection(asyncio.Protocol):
    """Owns its transport. ``idle_since`` is the owner's, in seconds of the loop's clock.

    ``place`` is left when the transport is closed.
    """

    __slots__ = (
        "_early",
        "_hasty",
        "_loop",
        "_lost",
        "_owner",
        "_place",
        "_reader",
        "_rest_timer",
        "_served",
        "_server",
        "_transport",
        "_waiting",
        "idle_since",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, server: str, place: Place) -> None:
        self._loop = loop
        self._owner = owner
        self._place = place
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._waiting: Waitable | None = None  # whoever asked, until the answer is there
        self._rest_timer: asyncio.TimerHandle | None = None
        self._served = False
        self._early = b""  # of the first answer, from before its question
        self._hasty = False  # there was something early
        self._lost: tuple[Exception | None] | None = None  # how it was closed before anything was asked
        self.idle_since = 0.0

    async def ask(self, request: bytes, deadline: float) -> Answer:
        """Send ``request``, wait for the head of the answer until ``deadline`` (the loop's clock).

        Raises StaleError, AuthError. Whatever ends the wait early closes the connection, cancelling included.
        """
        assert self._transport is not None
        assert self._reader is None
        self._reader = reader = Reader(self._server)
        self._waiting = waiting = Waitable(self._loop)
        timer = self._loop.call_at(deadline, self._expire, waiting)
        if self._lost is None:
            self._transport.write(request)
        if self._early or self._lost is not None:
            self._catch_up()
        try:
            while reader.answer is None:
                await waiting
            return reader.answer
        finally:
            timer.cancel()
            if reader.answer is None:
                self.close()

    def _catch_up(self) -> None:
        """What has happened before the question. An early answer can be nobody else's: it is taken, as by nginx."""
        self._hasty = True
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        if self._lost is not None:
            self.connection_lost(*self._lost)

    def close(self) -> None:
        """Close at once. Idempotent."""
        self._stop_rest_timer()
        self._place.leave()
        self._owner.lost(self)
        if self._transport is not None:
            self._transport.abort()

    def _expire(self, waiting: Waitable) -> None:
        if waiting is self._waiting:
            code = errno.ETIMEDOUT
            self._fail(AuthError(f"auth http server {self._server} timed out ({code}: {os.strerror(code)})"))

    def _fail(self, error: Exception) -> None:
        """Whoever asked goes on at once: to be called last."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.fail(error)

    def _stop_rest_timer(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = typing.cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            if self._served or len(self._early) > MAX_HEAD_BYTES:
                # Nobody asked. Read as an answer it would be the wrong one, so nothing may be asked here again.
                self.close()
            else:
                self._early += data
            return
        try:
            fate = reader.receive(data)
        except AuthError as error:
            self.close()
            self._fail(error)
            return
        answer = reader.answer
        if answer is None:
            return
        # A connection that is free keeps no password, and may be asked again before who asked this has run.
        waiting, self._waiting = self._waiting, None
        if fate is Fate.SPENT:
            self.close()
        elif fate is Fate.FREE:
            self._free()
        elif self._rest_timer is None:
            self._rest_timer = self._loop.call_later(REST_SECONDS, self.close)
        if waiting is not None:
            waiting.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_rest_timer()
        self._place.leave()
        self._owner.lost(self)
        reader = self._reader
        if reader is None:
            self._lost = (exc,)
            return
        if self._waiting is None:
            return
        if self._served and not reader.touched:
            self._fail(StaleError())
        elif isinstance(exc, OSError):
            code = exc.errno or errno.EIO
            call = "send" if code == errno.EPIPE else "recv"
            self._fail(AuthError(f"{call}() failed ({code}: {os.strerror(code)})"))
        else:
            self._fail(AuthError(f"auth http server {self._server} prematurely closed connection"))

    def _free(self) -> None:
        self._stop_rest_timer()
        assert self._transport is not None
        if self._hasty or self._transport.get_write_buffer_size():
            # It answered before it had the whole question; it would take what follows for the next one.
            self.close()
            return
        self._reader = None
        self._served = True
        self._owner.freed(self)
