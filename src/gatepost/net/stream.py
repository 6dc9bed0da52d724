"""One byte stream over a non-blocking socket, plain or TLS, for the time before the relay.

Theory of operation. A write first tries the socket and waits only when the kernel takes nothing. A read waits
first: between two lines of a dialogue there is a round trip, and the poller tells of what is there already, too.
The descriptor is watched from the first wait on: most of the time the next thing a session does is wait for the
same descriptor again, and each change would be a system call. If it becomes readable while nobody wants to read (a
client that talks while we ask the authentication service, or that does not take our answers), it is taken out
until the next wait, so that it is not told of again and again.

One coroutine uses a stream at a time, and waits for the stream itself (``Waitable``). ``fail`` ends its wait from
outside: that is how deadlines reach a session.
"""

import errno
import os
import select
import socket
from typing import Final

from gatepost.address import Address, unix
from gatepost.tls.connection import DONE, EOF, WANT_READ, WANT_WRITE, Connection
from gatepost.tls.context import Context

from .poller import Poller
from .waiting import Waitable

LINGER_SECONDS: Final = 3.0  # how long a closed side may take to say that it is done, as in nginx
LINGER_BYTES: Final = 65536  # what is read and thrown away meanwhile, so that an endless sender cannot hold us


class StreamError(Exception):
    """A system call on the socket failed. ``str`` is a log text: ``recv() failed (104: Connection ...)``."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}() failed ({code}: {os.strerror(code)})")
        self.call = call
        self.code = code


def send_tls(tls: Connection, data: bytes | memoryview, *, last: bool = False) -> int:
    """How many bytes were taken; 0: wait. ``last``: our end follows. Raises TlsError, BrokenPipeError."""
    taken = tls.finish(data) if last else tls.write(data)
    if taken == EOF and data:
        # The client has said its end and is gone: the library calls that an end of the stream, even for a write.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    return max(0, taken)


def _unwatched(error: OSError) -> StreamError:
    """The kernel has no room for one more descriptor to watch."""
    return StreamError("epoll_ctl", error.errno or errno.EIO)


class Stream(Waitable):
    """Owns its socket and its TLS state; ``close`` ends both."""

    __slots__ = ("_poller", "_reading", "_registered", "fd", "is_amid_write", "socket", "tls")

    def __init__(self, poller: Poller, sock: socket.socket) -> None:
        super().__init__(poller.loop)
        self._poller = poller
        self.socket = sock
        self.fd = sock.fileno()
        self.tls: Connection | None = None
        self._reading = False  # what is waited for: to read, or to write
        self._registered = False
        self.is_amid_write = False  # a part of what was to be written is out: nothing but the rest may follow

    # Reading and writing

    async def read(self, limit: int) -> bytes:
        """1 to ``limit`` bytes, or ``b""`` at the end of the stream. Raises StreamError, TlsError."""
        tls = self.tls
        if tls is None or not tls.has_pending():
            await self._readable()  # what is there already is told at once; as a rule nothing is
        while True:
            if tls is None:
                try:
                    return self.socket.recv(limit)
                except BlockingIOError:
                    await self._readable()
                except OSError as error:
                    raise StreamError("recv", error.errno or errno.EIO) from error
            else:
                got = tls.read(limit)
                if isinstance(got, bytes):
                    return got
                await self._ready(got)

    async def peek(self, limit: int) -> bytes:
        """As ``read``, but what has arrived stays where it is. Only before TLS. Raises StreamError."""
        while True:
            try:
                return self.socket.recv(limit, socket.MSG_PEEK)
            except BlockingIOError:
                await self._readable()
            except OSError as error:
                raise StreamError("recv", error.errno or errno.EIO) from error

    def take(self, count: int) -> None:
        """Throw ``count`` bytes away that a peek has shown. Raises StreamError."""
        try:
            while count:
                taken = len(self.socket.recv(count))
                if not taken:
                    raise ConnectionResetError(errno.ECONNRESET, "")  # since the peek
                count -= taken
        except OSError as error:
            raise StreamError("recv", error.errno or errno.EIO) from error

    async def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the kernel. Raises StreamError, TlsError."""
        taken = self.try_write(data)
        rest = memoryview(data)[taken:]
        while rest or (self.tls is not None and self.tls.unsent):
            # Of what TLS has not taken, a part may be encrypted and out, too.
            self.is_amid_write = len(rest) < len(data) or self.tls is not None
            await self._writable()
            rest = rest[self.try_write(rest) :]
        self.is_amid_write = False

    def try_write(self, data: bytes | memoryview) -> int:
        """How many bytes the kernel took at once; 0 when it takes none. Raises StreamError, TlsError."""
        tls = self.tls
        try:
            return self.socket.send(data) if tls is None else send_tls(tls, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise StreamError("send", error.errno or errno.EIO) from error

    # TLS

    async def start_tls(self, context: Context) -> None:
        """Shake hands as the server. Raises StreamError, TlsError; the stream is then only good for closing."""
        # A client that never speaks must be cheap, and the library holds 40 KiB from its first look on. As a rule
        # that look would find nothing: a hello is a round trip away.
        await self._readable()
        self.tls = tls = Connection(context, self.fd)
        while (state := tls.handshake()) != DONE:
            await self._ready(state)

    @property
    def local_address(self) -> Address:
        """Our end of the connection. A unix socket's has no path here: nobody asks for it."""
        if self.socket.family is socket.AF_UNIX:
            return unix("")
        host, port = self.socket.getsockname()[:2]
        return Address(self.socket.family, host, port)

    def ended(self) -> bool:
        """Whether the other side has said its end or is gone. Takes nothing of what it sent before."""
        poll = select.poll()
        poll.register(self.fd, select.POLLRDHUP)
        return bool(poll.poll(0))

    # Waiting

    async def _ready(self, state: int) -> None:
        await (self._readable() if state == WANT_READ else self._writable())

    async def _readable(self) -> None:
        if not self._registered:
            try:
                self._poller.watch_reading(self.fd, self._on_readable)
            except OSError as error:
                raise _unwatched(error) from error
            self._registered = True
        self._reading = True
        await self

    async def _writable(self) -> None:
        self._reading = False
        try:
            self._poller.watch_writing(self.fd, self._on_writable)
        except OSError as error:
            raise _unwatched(error) from error
        try:
            await self
        finally:
            self._poller.ignore_writing(self.fd)

    def _on_readable(self, _events: int) -> None:
        if self._reading and self._resume is not None:
            self.wake()
        else:
            self._poller.ignore_reading(self.fd)
            self._registered = False

    def _on_writable(self, _events: int) -> None:
        if not self._reading:
            self.wake()

    # Ending

    def close(self) -> None:
        """Close at once, without a word: after time-outs and errors. Idempotent."""
        if self.fd < 0:
            return
        self._poller.forget(self.fd)
        self._registered = False
        if self.tls is not None:
            self.tls.quiet()
            self.tls.free()
        self.socket.close()
        self.fd = -1

    def release(self) -> tuple[socket.socket, Connection | None]:
        """Give the socket and its TLS state away; ``close`` then does nothing.

        The descriptor may stay watched for reading: the new owner's callback takes the place of ours, which costs
        no system call.
        """
        tls, self.tls = self.tls, None
        self.fd = -1
        self._registered = False
        return self.socket, tls

    def say_end(self) -> None:
        """Answer the client's end of stream with ours, without waiting."""
        if self.tls is not None:
            self.tls.shutdown()

    async def finish(self) -> None:
        """Close so that the last bytes arrive: say the end, then wait for the other side to say it too.

        Closing a socket with unread input resets the connection, and a reset may overtake the reply that was
        just sent. So what still comes is read and thrown away, within limits. Never raises.
        """
        waiting = LINGER_BYTES
        self.forgive()
        timer = self._loop.call_later(LINGER_SECONDS, self.fail, TimeoutError())
        try:
            if self.tls is not None:
                while (state := self.tls.shutdown()) == WANT_WRITE:
                    await self._writable()  # no room behind the last bytes; without our end they would look cut off
                if state == DONE:
                    return
            self.socket.shutdown(socket.SHUT_WR)
            while waiting > 0:
                try:
                    got = self.socket.recv(4096)  # below TLS: nobody will look at it
                except BlockingIOError:
                    await self._readable()
                    continue
                if not got:
                    break
                waiting -= len(got)
        except (OSError, StreamError):
            # Already gone, or out of time: there is nobody left to be polite to.
            pass
        finally:
            timer.cancel()
            self.close()


def connect(poller: Poller, address: Address) -> Stream:
    """Start to connect; the first wait on the stream learns how it ended. Raises StreamError if it cannot start."""
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise StreamError("socket", error.errno or errno.EIO) from error
    try:
        if address.family is not socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address.sockaddr)
    except OSError as error:  # a path that is no path, an option that is not there
        code = error.errno or errno.EIO
    # A TCP connect goes on by itself; on a unix socket EAGAIN means that the queue is full.
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        raise StreamError("connect", code)
    return Stream(poller, sock)
