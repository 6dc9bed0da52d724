"""What lies behind: mail servers that keep the books of what they get, and an authentication service that flaps.

After the login all mail servers speak alike, in lines: ``GET N`` brings N bytes, ``PUT N`` takes them, ``PING``,
and ``QUIT``. To gatepost these are bytes like any others.
"""

import asyncio
import base64
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum

from bench.backend import Auth
from tests.functional.ports import claim_port

from .ledger import Flow, Ledger

BLOCK = random.Random(1).randbytes(1 << 20)  # what uploads and downloads are cut from
CHUNK_BYTES = 1 << 16
BACKLOG = 4096  # all clients may come back at once


class Peer:
    """One end of a session after its login: sends and receives, and enters both."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sends: Flow, takes: Flow
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._sends = sends
        self._takes = takes
        self._buffer = bytearray()

    async def send(self, data: bytes) -> None:
        self._writer.write(self._sends.send(data))
        await self._writer.drain()

    async def send_some(self, count: int, offset: int) -> None:
        """``count`` bytes of the block, which begins anew at its end."""
        while count:
            offset %= len(BLOCK)
            piece = BLOCK[offset : offset + min(count, CHUNK_BYTES)]
            await self.send(piece)
            count -= len(piece)
            offset += len(piece)

    async def line(self) -> bytes:
        """The next line without its end. Raises EOFError."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def skip(self, count: int) -> None:
        while len(self._buffer) < count:
            count -= len(self._buffer)
            self._buffer.clear()
            await self._more()
        del self._buffer[:count]

    async def to_end(self) -> None:
        """Read what there is until the other side ends."""
        with contextlib.suppress(EOFError):
            while True:
                await self._more()

    async def _more(self) -> None:
        data = await self._reader.read(CHUNK_BYTES)
        if not data:
            raise EOFError("the other side has closed")
        self._takes.take(data)
        self._buffer += data


Login = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str]]


async def _imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    # As Dovecot's every other time; else literals have to be asked for.
    writer.write(random.choice((b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n", b"* OK ready\r\n")))
    line = await reader.readuntil(b"\r\n")
    tag = line.partition(b" ")[0]
    words: list[bytes] = []
    while line.endswith(b"}\r\n"):
        size = line.rpartition(b"{")[2][:-3]
        if not size.endswith(b"+"):
            writer.write(b"+ go on\r\n")
        words.append(await reader.readexactly(int(size.rstrip(b"+"))))
        line = await reader.readuntil(b"\r\n")
    writer.write(tag + b" OK in\r\n")
    return words[0].decode()


async def _pop3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"+OK ready\r\n")
    user = (await reader.readuntil(b"\r\n"))[5:-2]
    writer.write(b"+OK\r\n")
    await reader.readuntil(b"\r\n")
    writer.write(b"+OK in\r\n")
    return user.decode()


async def _smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"220 ready\r\n")
    await reader.readuntil(b"\r\n")
    writer.write(b"250-ready\r\n250 AUTH PLAIN\r\n")
    words = (await reader.readuntil(b"\r\n")).split()
    writer.write(b"235 in\r\n")
    return base64.b64decode(words[2]).split(b"\0")[1].decode()


LOGINS: Mapping[str, Login] = {"imap": _imap, "pop3": _pop3, "smtp": _smtp}


class Backends:
    """One mail server for each protocol. ``count`` is how many connections they have."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._servers: list[asyncio.Server] = []
        self.ports: dict[str, int] = {}
        self.count = 0

    async def start(self) -> None:
        for protocol in LOGINS:
            server = await asyncio.start_server(self._for(protocol), "127.0.0.1", 0, backlog=BACKLOG)
            self._servers.append(server)
            self.ports[protocol] = server.sockets[0].getsockname()[1]

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def _for(self, protocol: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.count += 1
            try:
                await self._serve(protocol, reader, writer)
            except (EOFError, OSError):
                pass  # the session is over; whether it may be is the client's to say
            except (ValueError, IndexError) as error:
                self._ledger.fail(f"a backend for {protocol} got something wrong: {error}")
            finally:
                self.count -= 1
                writer.close()

        return serve

    async def _serve(self, protocol: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user = await LOGINS[protocol](reader, writer)
        record = self._ledger.find(user, protocol)
        if record is None:
            return  # its client has left meanwhile
        try:
            await self._answer(Peer(reader, writer, sends=record.down, takes=record.up), record.number)
        finally:
            self._ledger.leave(record)

    async def _answer(self, peer: Peer, offset: int) -> None:
        while True:
            command, _, argument = (await peer.line()).partition(b" ")
            if command == b"GET":
                await peer.send_some(int(argument), offset)
                await peer.send(b"DONE\r\n")
            elif command == b"PUT":
                await peer.skip(int(argument))
                await peer.send(b"GOT\r\n")
            elif command == b"PING":
                await peer.send(b"PONG\r\n")
            elif command == b"QUIT":
                await peer.send(b"BYE\r\n")
                return
            else:
                raise ValueError(f"no such command: {bytes(command[:40])!r}")


class Mood(Enum):
    """What the authentication service does to those that ask."""

    ANSWERS = "answers"
    REFUSES = "refuses"  # nobody listens
    HANGS = "hangs"  # questions of that time are never answered
    CLOSES = "closes"  # connections, as soon as they are there


class Service:
    """The authentication service. Always at the same port."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = dict(ports)
        self.port = claim_port()
        self.mood = Mood.ANSWERS
        self._server: asyncio.Server | None = None
        self.open: set[asyncio.BaseTransport] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Question(self, self._ports), "127.0.0.1", self.port, backlog=BACKLOG
        )

    async def change(self, mood: Mood) -> None:
        """Whoever is connected is hung up on, unless the service hangs."""
        if self.mood is Mood.REFUSES:
            await self.start()
        self.mood = mood
        if mood is Mood.REFUSES:
            self.close()
        if mood in (Mood.REFUSES, Mood.CLOSES):
            self.hang_up()

    def hang_up(self) -> None:
        for transport in tuple(self.open):
            transport.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class _Question(Auth):
    def __init__(self, service: Service, ports: dict[str, int]) -> None:
        super().__init__(ports)
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._service.mood is Mood.CLOSES:
            transport.close()
        else:
            self._service.open.add(transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._service.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._service.mood is Mood.ANSWERS:
            super().data_received(data)
