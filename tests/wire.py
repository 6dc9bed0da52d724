"""The far ends of connections under test, driven by the test on the same loop; a loop that keeps accounts."""

import asyncio
import contextlib
import errno
import functools
import gc
import math
import os
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ParamSpec, cast

import trustme
import uvloop

from gatepost.config.build import defaults
from gatepost.log import Level, Log, Output
from gatepost.net.poller import Callback, Poller
from gatepost.tls.context import Context, server_context
from gatepost.tls.settings import TlsSettings

P = ParamSpec("P")

CLOSING_LOOKS = 200  # 10 ms apart
STORY_SECONDS = 30.0  # what one test may take at most
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


class Far:
    """One end of a connection. Reads and writes wait for the other end on the test's loop."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.loop = asyncio.get_running_loop()

    async def read(self, limit: int = 65536) -> bytes:
        """Some bytes, ``b""`` at the end. Raises ConnectionResetError."""
        return await self.loop.sock_recv(self.socket, limit)

    async def read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = await self.read(min(65536, count - len(data)))
            if not piece:
                raise EOFError(bytes(data))
            data += piece
        return bytes(data)

    async def read_line(self) -> bytes:
        """Up to LF, read byte by byte: what comes behind stays where it is."""
        line = b""
        while not line.endswith(b"\n"):
            line += await self.read_exactly(1)
        return line

    async def read_all(self) -> bytes:
        data = bytearray()
        while piece := await self.read():
            data += piece
        return bytes(data)

    async def write(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.socket, data)

    def end(self) -> None:
        """No more bytes from here; the other direction stays open."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the other end sees a reset, right behind what was written."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


_IGNORE_UNEXPECTED_EOF = 1 << 7  # SSL_OP_IGNORE_UNEXPECTED_EOF, which ssl names from Python 3.12 on


class TlsFar(Far):
    """The client's end of a TLS connection. ``held`` is what it has encrypted and not yet sent."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self.incoming = ssl.MemoryBIO()
        self.held = ssl.MemoryBIO()
        # Where Python asks OpenSSL to take a bare end for close_notify, a test could not tell them apart.
        context.options &= ~ssl.Options(_IGNORE_UNEXPECTED_EOF)
        self.tls = context.wrap_bio(self.incoming, self.held, server_hostname="localhost")

    async def handshake(self, *, hold_last_flight: bool = False) -> None:
        await self._work(self.tls.do_handshake)
        if not hold_last_flight:
            await self.flush()

    async def read(self, limit: int = 65536) -> bytes:
        """Some bytes; ``b""`` at close_notify. Raises EOFError when the stream ends without one."""
        try:
            data: bytes = await self._work(lambda: self.tls.read(limit))
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            # The class of its own came to memory BIOs in a later 3.11.
            if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
                raise EOFError from error
            raise
        return data

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.tls.write(rest[:65536]) :]
            await self.flush()

    def hold(self, data: bytes) -> None:
        """Encrypt ``data``; the next flush or write sends it."""
        self.tls.write(data)

    def hold_close_notify(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    async def flush(self) -> None:
        if self.held.pending:
            await super().write(self.held.read())

    def send_now(self) -> None:
        """Send what is held in one call that must not block: it arrives in one piece."""
        data = self.held.read()
        assert self.socket.send(data) == len(data)

    async def _work(self, call: Callable[[], Any]) -> Any:
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                await self.flush()
                data = await Far.read(self)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()


def pair(*, small: bool = False) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over loopback, non-blocking. ``small``: with the least of buffers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        if small:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one = socket.socket()
        if small:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(listener.getsockname())
        other = listener.accept()[0]
    for sock in (one, other):
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
    return one, other


@functools.cache
def contexts() -> tuple[Context, ssl.SSLContext]:
    """A server's context of ours, and a context for clients that trust it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
    settings = defaults(
        TlsSettings,
        ssl_session_tickets=False,  # they would come with the first bytes, uncounted
        ssl_certificate=("data:" + chain,),
        ssl_certificate_key=("data:" + issued.private_key_pem.bytes().decode(),),
    )
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    return server_context(settings, alpn=b"imap", warn=print), trusting


_pollers: list[Poller] = []  # of the test that runs


def poller(loop: asyncio.AbstractEventLoop) -> Poller:
    """The poller of ``loop``, closed with it."""
    for known in _pollers:
        if known.loop is loop:
            return known
    made = Poller(loop)
    _pollers.append(made)
    return made


class Accounts(Poller):
    """A real poller that counts.

    ``runs`` counts callbacks that were run, ``watched`` is what is registered: (fd, "r" or "w"). ``room`` is how
    many descriptors more it takes in; others it refuses as the kernel does beyond ``fs.epoll.max_user_watches``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.runs = 0
        self.registrations: Counter[tuple[int, str]] = Counter()
        self.watched: set[tuple[int, str]] = set()
        self.room = math.inf
        _pollers.append(self)

    def watch_reading(self, fd: int, callback: Callback) -> None:
        super().watch_reading(fd, self._counted(callback))
        self._note(fd, "r")

    def watch_writing(self, fd: int, callback: Callback) -> None:
        super().watch_writing(fd, self._counted(callback))
        self._note(fd, "w")

    def ignore_reading(self, fd: int) -> None:
        super().ignore_reading(fd)
        self.watched.discard((fd, "r"))

    def ignore_writing(self, fd: int) -> None:
        super().ignore_writing(fd)
        self.watched.discard((fd, "w"))

    def forget(self, fd: int) -> None:
        super().forget(fd)
        self.watched -= {(fd, "r"), (fd, "w")}

    def _set(self, fd: int, mask: int) -> None:
        if fd not in self._masks:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= 1
        super()._set(fd, mask)

    def _note(self, fd: int, way: str) -> None:
        self.watched.add((fd, way))
        self.registrations[fd, way] += 1

    def _counted(self, callback: Callback) -> Callback:
        def run(events: int) -> None:
            self.runs += 1
            callback(events)

        return run


class Lines(Output):
    """A log in memory; ``texts`` are its lines without time and process."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def emit(self, level: Level, line: bytes) -> None:
        text = line.decode()
        assert text.endswith("\n")
        assert text.split()[2] == f"[{level.word}]"
        self.texts.append(f"[{level.word}] {text.partition('#0: ')[2][:-1]}")

    def close(self) -> None:
        """There is nothing to let go of."""

    def log(self, level: Level = Level.DEBUG) -> Log:
        return Log([(level, self)])


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:"):
                found.add(target)
    return found


def a_loop(kind: str) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for one test. Afterwards nothing may have failed in a callback, and no socket may be left open."""
    gc.collect()
    before = sockets()
    loop = LOOPS[kind]()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    while _pollers:
        _pollers.pop().close()
    loop.close()
    gc.collect()
    assert not failures, failures[:2]
    # A resolver's channel is destroyed by a thread of its library, a moment after it was closed.
    for _ in range(CLOSING_LOOKS):
        if not sockets() - before:
            break
        time.sleep(0.01)
    assert not sockets() - before, "sockets were left open"


def story(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Make a test of a coroutine function: it runs on its ``loop``, and its tasks are ended with it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        loop = cast("asyncio.AbstractEventLoop", kwargs["loop"])

        async def bounded() -> None:
            try:
                async with asyncio.timeout(STORY_SECONDS):
                    await test(*args, **kwargs)
            finally:
                rest = asyncio.all_tasks() - {asyncio.current_task()}
                for task in rest:
                    task.cancel()
                await asyncio.gather(*rest, return_exceptions=True)

        loop.run_until_complete(bounded())

    return run


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until ``condition`` holds; the test's own limit ends it."""
    while not condition():
        await asyncio.sleep(0.002)
