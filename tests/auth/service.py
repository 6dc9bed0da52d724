"""An authentication service on loopback that does whatever a test's script says, and counts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from gatepost.address import Address, unix
from gatepost.auth.message import Accepted, Request
from gatepost.protocol.events import Account
from gatepost.sasl.mechanism import Credentials

T = TypeVar("T")

LIMIT_SECONDS = 30.0  # for a whole test; only a hanging one gets there

REQUEST = Request(Credentials("plain", b"user", b"pass", cleartext=True), "imap", 1, "127.0.0.1")
FIELDS = b"Auth-Status: OK\r\nAuth-Server: 10.0.0.5\r\nAuth-Port: 143\r\n"
KEPT = b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Content-Length: 0\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Connection: close\r\n\r\n"
ACCEPTED = Accepted(
    Address(socket.AF_INET, "10.0.0.5", 143), Account(b"user", b"pass", proven=True), "10.0.0.5:143"
)


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on the loop that the program uses, within the limit."""

    async def limited() -> T:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(limited())


class Peer:
    """The service's end of one connection. ``number`` counts connections from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes | None:
        """The next request, or None at the end of the stream."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ended(self) -> None:
        """Wait until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Service:
    """``accepted`` counts connections; ``open`` holds the scripts that still run."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.accepted = 0
        self.open: set[asyncio.Task[Any]] = set()

    async def all_closed(self) -> None:
        """Wait until every connection so far has come to the end of its script."""
        while self.open:
            await asyncio.wait(self.open)


def answering(*answers: bytes) -> Script:
    """On each connection: one of ``answers`` per request, the last one for ever."""

    async def script(peer: Peer) -> None:
        left = list(answers)
        while await peer.request() is not None:
            await peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script


@contextlib.asynccontextmanager
async def serving(script: Script, path: str = "") -> AsyncIterator[Service]:
    """A service on a free port of loopback, or on the unix socket ``path``."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        service.accepted += 1
        service.open.add(task)
        try:
            await script(Peer(service.accepted, reader, writer))
        finally:
            service.open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    if path:
        server = await asyncio.start_unix_server(connected, path)
        service = Service(unix(path))
    else:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        service = Service(Address(socket.AF_INET, "127.0.0.1", server.sockets[0].getsockname()[1]))
    try:
        yield service
    finally:
        server.close()
        for task in tuple(service.open):
            task.cancel()
        await asyncio.gather(*service.open, return_exceptions=True)
