"""A relay under test: joined to a client and a backend that the test drives, with its log."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from gatepost.net.deadlines import Deadlines
from gatepost.net.relay import Relay, Shared
from gatepost.net.stream import Stream
from gatepost.session_log import SessionLog
from gatepost.tls.connection import WANT_WRITE, Connection
from tests.wire import Accounts, Far, Lines, TlsFar, contexts, pair, until

Loop = asyncio.AbstractEventLoop
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 30  # callbacks
LAST_WORDS = b"* BYE shutting down\r\n"

SUFFIX = ", client: 192.0.2.1, server: 0.0.0.0:993"
DONE = "[info] *7 proxied session done" + SUFFIX


@dataclass
class Joined:
    """A relay between a client and a backend that the test drives."""

    client: Far
    backend: Far
    relay: Relay
    accounts: Accounts
    lines: Lines
    ended: list[Relay] = field(default_factory=list)

    @property
    def tls(self) -> TlsFar:
        assert isinstance(self.client, TlsFar)
        return self.client

    @property
    def pending(self) -> int:
        kept = len(self.relay._to_client) or int(self.relay._is_client_full)  # or by the library
        return max(kept, len(self.relay._to_upstream))

    async def end(self) -> None:
        """Wait until it has ended; nothing of it may be left."""
        await until(lambda: self.ended)
        assert self.ended == [self.relay]
        assert self.accounts.watched == set()
        self.client.close()
        self.backend.close()

    async def assert_idle(self) -> None:
        await asyncio.sleep(0.01)
        before = self.accounts.runs
        await asyncio.sleep(IDLE_SECONDS)
        assert self.accounts.runs - before < FEW


async def join(
    loop: Loop,
    *,
    tls: bool = False,
    small: bool = False,
    idle: float = 60.0,
    start: bool = True,
    kind: type[Relay] = Relay,
) -> Joined:
    accounts = Accounts(loop)
    one, other = pair(small=small)
    stream = Stream(accounts, other)
    client: Far
    if tls:
        ours, theirs = contexts()
        client = shaking = TlsFar(one, theirs)
        await asyncio.gather(shaking.handshake(), stream.start_tls(ours))
    else:
        client = Far(one)
    upstream, backend = pair(small=small)
    lines = Lines()
    log = SessionLog(lines.log(), 7, "192.0.2.1", "0.0.0.0:993")
    ended: list[Relay] = []
    shared = Shared(accounts, Deadlines(loop))
    relay = kind(shared, log, *stream.release(), upstream, idle, LAST_WORDS, ended.append)
    if start:
        relay.start(b"", b"")
    return Joined(client, Far(backend), relay, accounts, lines, ended)


async def fill(joined: Joined, far: Far) -> int:
    """Write until the relay is stuck with it; how many bytes were taken."""
    total = 0

    async def write() -> None:
        nonlocal total
        while True:
            await far.write(bytes(8192))
            total += 8192

    writing = asyncio.ensure_future(write())
    await until(lambda: joined.pending)
    state = -1, -1
    while state != (state := (joined.accounts.runs, total)):
        await asyncio.sleep(IDLE_SECONDS)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    return total


class Hesitant:
    """A TLS connection that finds no room for its close_notify at first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.refusals = 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def shutdown(self) -> int:
        if self.refusals:
            self.refusals -= 1
            return WANT_WRITE
        return self._connection.shutdown()
