"""The clients: each place in the crowd is taken by one session after the other, of a kind that chance decides.

A client that is doomed leaves at a random moment, whatever it is doing then, and half of those with a reset.
"""

import asyncio
import base64
import contextlib
import random
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from .ledger import End, Ledger, Record
from .servers import Peer

LIMIT_SECONDS = 60.0  # for one session beside the silence it wants
LOGINS_AT_ONCE = 24  # of the whole crowd: more would only wait in a queue, for longer than somebody's patience
DOOMED, DOOMED_BUSY = 0.15, 0.3  # of all sessions; of those that move bytes
RETURN_SECONDS = 1.0  # until a client that was not let in tries again, at most
LARGEST_BYTES = 1 << 21
MOST_BYTES = 1 << 16  # what most transfers have at most
NO_LINGER = struct.pack("ii", 1, 0)

PASSWORD = "sesame"


class RefusedError(Exception):
    """The answer to the login was no."""


@dataclass(frozen=True, slots=True)
class Door:
    """A way in: ``context`` is None where there is no TLS."""

    protocol: str
    port: int
    context: ssl.SSLContext | None


Lines = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _say(lines: Lines, text: str, expected: bytes) -> None:
    reader, writer = lines
    writer.write(f"{text}\r\n".encode())
    line = await reader.readuntil(b"\r\n")
    while line[3:4] == b"-":
        line = await reader.readuntil(b"\r\n")
    if not line.startswith(expected):
        raise RefusedError(line.decode("latin-1").strip())


async def _imap(lines: Lines, user: str) -> None:
    await _say(lines, f"a LOGIN {user} {PASSWORD}", b"a OK")


async def _pop3(lines: Lines, user: str) -> None:
    await _say(lines, f"USER {user}", b"+OK")
    await _say(lines, f"PASS {PASSWORD}", b"+OK")


async def _smtp(lines: Lines, user: str) -> None:
    await _say(lines, "EHLO client.example.org", b"250")
    await _say(lines, "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode(), b"235")


LOGINS: Mapping[str, Callable[[Lines, str], Awaitable[None]]] = {"imap": _imap, "pop3": _pop3, "smtp": _smtp}


@dataclass(slots=True)
class Crowd:
    """All clients. ``hold_seconds`` is how long a silent one stays at most; ``seed`` decides everything."""

    ledger: Ledger
    doors: list[Door]
    hold_seconds: float
    seed: int
    by_port: dict[tuple[int, int], Record] = field(default_factory=dict)  # client's port, ours: who that is
    peak: int = 0  # connections at a time
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOGINS_AT_ONCE))

    async def run(self, places: int, seconds: float) -> None:
        """Fill so many places for so long; return when everybody has left."""
        busy = min(LOGINS_AT_ONCE // 2, max(places // 2, 1))
        kinds = [place < busy for place in range(places)]
        self.over.clear()
        tasks = [asyncio.create_task(self._place(place, is_busy)) for place, is_busy in enumerate(kinds)]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            self.over.set()
            await asyncio.wait(tasks, timeout=2 * LIMIT_SECONDS)
            for task in tasks:
                if not task.done():
                    self.ledger.fail("a client did not come to its end")
                elif error := task.exception():
                    raise error
        finally:
            for task in tasks:
                task.cancel()

    async def _place(self, place: int, is_busy: bool) -> None:
        chance = random.Random(f"{self.seed}/{place}/{self.peak}")
        while not self.over.is_set():
            await Session(self, chance, is_busy).run()


class Session:
    """One client's session."""

    def __init__(self, crowd: Crowd, chance: random.Random, is_busy: bool) -> None:
        self._crowd = crowd
        self._chance = chance
        self._is_busy = is_busy
        self._door = chance.choice(crowd.doors)
        self._record = crowd.ledger.begin(self._door.protocol)
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        ledger, record, chance = self._crowd.ledger, self._record, self._chance
        client = socket.socket()
        client.setblocking(False)
        # At once: from here on, the kernel may have given us to a worker, and the worker may die.
        client.connect_ex(("127.0.0.1", self._door.port))
        key = client.getsockname()[1], self._door.port
        self._crowd.by_port[key] = record
        self._crowd.peak = max(self._crowd.peak, len(self._crowd.by_port))
        # Mostly short: what takes long is silence, and there is more to be cut before it.
        patience = (
            chance.random() ** 4 * self._silence
            if chance.random() < (DOOMED_BUSY if self._is_busy else DOOMED)
            else None
        )
        try:
            if patience is None:
                async with asyncio.timeout(LIMIT_SECONDS + self._silence):
                    how = await self._story(client)
            else:
                how = await self._doomed(client, patience)
            ledger.end(record, how)
        except (RefusedError, EOFError, OSError, ValueError) as error:
            how = self._judge(error)
        finally:
            self._leave(client, reset=patience is not None and chance.random() < 0.5)
            if self._crowd.by_port.get(key) is record:  # else the kernel has given the port to the next one already
                del self._crowd.by_port[key]
        if how is End.REFUSED:
            await asyncio.sleep(chance.uniform(0, RETURN_SECONDS))

    @property
    def _silence(self) -> float:
        """How long this kind of session lasts at most; most of it is silence."""
        return 1.0 if self._is_busy else self._crowd.hold_seconds

    async def _doomed(self, client: socket.socket, patience: float) -> End:
        try:
            async with asyncio.timeout(patience):
                return await self._story(client)
        except TimeoutError:
            return End.ABORTED

    def _judge(self, error: Exception) -> End:
        """Enter how a session has ended that did not come to its end. With a wrong byte none ever may."""
        ledger, record = self._crowd.ledger, self._record
        if isinstance(error, ValueError):
            ledger.lose(record, f"its client got something wrong: {error}")
            return End.LOST
        how = End.LOST
        if record.worker_died and not isinstance(error, (RefusedError, TimeoutError)):
            how = End.KILLED
        elif isinstance(error, RefusedError) and not record.is_inside and ledger.may_be_refused(record):
            how = End.REFUSED
        else:
            ledger.lose(record, f"{type(error).__name__}: {error}")
            return End.LOST
        ledger.end(record, how)
        return how

    def _leave(self, client: socket.socket, reset: bool) -> None:
        if reset:
            with contextlib.suppress(OSError):  # closed already
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        if self._writer is not None:
            self._writer.transport.abort()
        else:
            client.close()

    async def _story(self, client: socket.socket) -> End:
        async with self._crowd._gate:
            lines = await self._enter(client)
            says_nothing = not self._is_busy and self._chance.random() < 0.1
            if not says_nothing:
                await LOGINS[self._door.protocol](lines, self._record.user)
        if says_nothing:
            await self._wait()
            return End.ABORTED
        peer = Peer(*lines, sends=self._record.up, takes=self._record.down)
        if self._is_busy:
            for _ in range(self._chance.randint(1, 4)):
                await self._act(peer)
        else:
            await self._wait()
            await peer.send(b"PING\r\n")
            await _expect(peer, b"PONG")
        await peer.send(b"QUIT\r\n")
        await _expect(peer, b"BYE")
        await peer.to_end()
        return End.WHOLE

    async def _enter(self, client: socket.socket) -> Lines:
        await _connected(client)
        context = self._door.context
        name = "localhost" if context is not None else None
        reader, writer = await asyncio.open_connection(sock=client, ssl=context, server_hostname=name)
        self._writer = writer
        await reader.readuntil(b"\r\n")  # the greeting
        return reader, writer

    async def _act(self, peer: Peer) -> None:
        chance = self._chance
        count = chance.randint(1, LARGEST_BYTES if chance.random() < 0.05 else MOST_BYTES)
        match chance.choice(("get", "put", "ping")):
            case "get":
                await peer.send(b"GET %d\r\n" % count)
                await peer.skip(count)
                await _expect(peer, b"DONE")
            case "put":
                await peer.send(b"PUT %d\r\n" % count)
                await peer.send_some(count, chance.randrange(count))
                await _expect(peer, b"GOT")
            case _:
                await asyncio.sleep(chance.uniform(0, 0.05))
                await peer.send(b"PING\r\n")
                await _expect(peer, b"PONG")

    async def _wait(self) -> None:
        """Say nothing for a while, or until all leave."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._chance.uniform(0, self._silence)):
                await self._crowd.over.wait()


async def _expect(peer: Peer, word: bytes) -> None:
    line = await peer.line()
    if line != word:
        raise ValueError(f"{line[:40]!r} instead of {word!r}")


async def _connected(client: socket.socket) -> None:
    """Return when the connection is there. Raises OSError."""
    loop = asyncio.get_running_loop()
    writable: asyncio.Future[None] = loop.create_future()

    def can_be_written() -> None:
        if not writable.done():
            writable.set_result(None)

    loop.add_writer(client.fileno(), can_be_written)
    try:
        await writable
    finally:
        loop.remove_writer(client.fileno())
    if error := client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, "connect")
