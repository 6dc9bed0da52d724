"""Two streams joined after login: bytes both ways, back-pressure, half-close, counters.

Theory of operation. A relaying session is this object, two sockets and at most one TLS state; the coroutine and
the machines of the login are gone. Bytes are read into one buffer that the whole worker shares and are handed
on before the callback returns, so that an idle session owns no buffer. Only when a side does not take all of
them is the rest copied, reading of the other side stops, and the loop is asked to say when it may go on. So a
session owns at most ``CHUNK_BYTES`` in each direction, and a slow reader slows the sender down.

The end of one side is passed to the other only after its last byte: a reply that arrives after the client's end of
stream still reaches the client. When one side has ended, the other gets a shorter silence to finish.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from gatepost.errors import TlsError
from gatepost.log import Level, SessionLog
from gatepost.tls.connection import DONE, WANT_READ, Connection, RecvBuffer, recv_buffer

from .deadlines import Deadline, Deadlines

CHUNK_BYTES = 65536  # four full TLS records; larger chunks no longer lower the cost per byte
CHUNKS_PER_TURN = 4  # then others get their turn

CLIENT_GONE_SECONDS = 60.0  # silence granted to the upstream to answer after the client's end of stream
UPSTREAM_GONE_SECONDS = 3.0  # silence granted to the client after the upstream's, as nginx waits for close_notify

_HARMLESS = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTUNREACH})


class Shared:
    """What all relays of one worker share."""

    __slots__ = ("buffer", "loop", "wheel")

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Deadlines) -> None:
        self.loop = loop
        self.wheel = wheel
        self.buffer: RecvBuffer = recv_buffer(CHUNK_BYTES)


class Relay:
    """One relaying session. Owns both sockets and the client's TLS state from ``start`` to ``relay_ended``."""

    __slots__ = (
        "_client",
        "_client_done",
        "_client_fd",
        "_deadline",
        "_idle_seconds",
        "_last_words",
        "_log",
        "_on_end",
        "_shared",
        "_tls",
        "_to_client",
        "_to_upstream",
        "_upstream",
        "_upstream_done",
        "_upstream_fd",
        "received",
        "sent",
    )

    def __init__(
        self,
        shared: Shared,
        log: SessionLog,
        client: socket.socket,
        tls: Connection | None,
        upstream: socket.socket,
        idle_seconds: float,
        last_words: bytes,
        on_end: "Callable[[Relay], None]",
    ) -> None:
        """``last_words`` are for a client that ``shut_down`` cuts off. ``idle_seconds`` is the silence allowed.

        ``on_end`` is called from the loop when both sockets are closed and the counters are final.
        """
        self._shared = shared
        self._log = log
        self._last_words = last_words
        self._on_end = on_end
        self._client = client
        self._client_fd = client.fileno()
        self._tls = tls
        self._upstream = upstream
        self._upstream_fd = upstream.fileno()
        self._idle_seconds = idle_seconds
        self._to_client = b""  # taken from the upstream, not yet by the client
        self._to_upstream = b""
        self._client_done = False  # its end of stream was seen
        self._upstream_done = False
        self.received = 0  # bytes, client to upstream
        self.sent = 0  # bytes, upstream to client
        self._deadline = Deadline(shared.wheel, self._expired)

    def start(self, to_client: bytes, to_upstream: bytes) -> None:
        """Begin with what the login left over for each side."""
        self._deadline.set(self._idle_seconds)
        loop = self._shared.loop
        loop.add_reader(self._client_fd, self._on_client_readable)
        loop.add_reader(self._upstream_fd, self._on_upstream_readable)
        if to_client:
            self._give_client(memoryview(to_client))
        if to_upstream and self._client_fd >= 0:
            self._give_upstream(memoryview(to_upstream))
        if self._tls is not None and self._client_fd >= 0 and self._tls.has_pending():
            loop.call_soon(self._on_client_readable)  # what the library already holds, the loop cannot see

    def shut_down(self) -> None:
        """End now, from outside: the worker has to go. A client that is not in the middle of a reply hears why."""
        if self._client_fd >= 0 and not self._to_client and not self._upstream_done:
            self._write_client(memoryview(self._last_words))
        self._end(Level.INFO, "shutdown timeout", "proxying")

    # Client to upstream

    def _on_client_readable(self) -> None:
        if self._client_fd < 0 or self._to_upstream or self._client_done:
            return
        tls = self._tls
        buffer = self._shared.buffer
        for _ in range(CHUNKS_PER_TURN):
            try:
                if tls is not None:
                    count = tls.read_into(buffer)
                    if count < 0:
                        if count != WANT_READ:
                            self._shared.loop.add_writer(self._client_fd, self._on_client_writable)
                        return
                else:
                    count = self._client.recv_into(buffer.view)
            except BlockingIOError:
                return
            except (OSError, TlsError) as error:
                self._broken(error, "recv", client=True)
                return
            if not count:
                self._client_ended()
                return
            self._deadline.extend(self._idle_seconds)
            self._give_upstream(buffer.view[:count])
            if self._to_upstream or self._client_fd < 0:
                return
            if count < CHUNK_BYTES and (tls is None or not tls.at_end):
                return  # nothing is left that the loop could not see
        if tls is not None:
            self._shared.loop.call_soon(self._on_client_readable)

    def _give_upstream(self, data: memoryview) -> None:
        self.received += len(data)
        try:
            taken = self._upstream.send(data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self._broken(error, "send", client=False)
            return
        if taken < len(data):
            self._to_upstream = bytes(data[taken:])
            loop = self._shared.loop
            loop.remove_reader(self._client_fd)
            loop.add_writer(self._upstream_fd, self._on_upstream_writable)

    def _on_upstream_writable(self) -> None:
        rest = self._to_upstream
        try:
            taken = self._upstream.send(rest)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error, "send", client=False)
            return
        self._deadline.extend(self._idle_seconds)
        self._to_upstream = rest = rest[taken:]
        if rest:
            return
        loop = self._shared.loop
        loop.remove_writer(self._upstream_fd)
        if self._client_done:
            self._end_upstream_side()
        else:
            loop.add_reader(self._client_fd, self._on_client_readable)
            self._on_client_readable()  # the library may hold bytes that the loop cannot see

    def _client_ended(self) -> None:
        self._client_done = True
        self._shared.loop.remove_reader(self._client_fd)
        if not self._to_upstream:
            self._end_upstream_side()

    def _end_upstream_side(self) -> None:
        if self._upstream_done:
            if not self._to_client:
                self._end()
            return
        try:
            self._upstream.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()
            return
        self._idle_seconds = min(self._idle_seconds, CLIENT_GONE_SECONDS)
        self._deadline.set(self._idle_seconds)

    # Upstream to client

    def _on_upstream_readable(self) -> None:
        if self._client_fd < 0 or self._to_client or self._upstream_done:
            return
        view = self._shared.buffer.view
        for _ in range(CHUNKS_PER_TURN):
            try:
                count = self._upstream.recv_into(view)
            except BlockingIOError:
                return
            except OSError as error:
                self._broken(error, "recv", client=False)
                return
            if not count:
                self._upstream_ended()
                return
            self._deadline.extend(self._idle_seconds)
            self._give_client(view[:count])
            if self._to_client or self._client_fd < 0 or count < CHUNK_BYTES:
                return

    def _give_client(self, data: memoryview) -> None:
        self.sent += len(data)
        taken = self._write_client(data)
        if taken < 0:
            return
        if taken < len(data):
            self._to_client = bytes(data[taken:])
            loop = self._shared.loop
            loop.remove_reader(self._upstream_fd)
            loop.add_writer(self._client_fd, self._on_client_writable)

    def _write_client(self, data: memoryview) -> int:
        """How many bytes the client's side took; -1 when the session has ended."""
        tls = self._tls
        try:
            if tls is None:
                return self._client.send(data)
            return max(0, tls.write(data))
        except BlockingIOError:
            return 0
        except (OSError, TlsError) as error:
            self._broken(error, "send", client=True)
            return -1

    def _on_client_writable(self) -> None:
        rest = self._to_client
        if rest:
            taken = self._write_client(memoryview(rest))
            if taken < 0:
                return
            self._deadline.extend(self._idle_seconds)
            self._to_client = rest = rest[taken:]
            if rest:
                return
        loop = self._shared.loop
        loop.remove_writer(self._client_fd)
        if not self._to_upstream and not self._client_done:
            self._on_client_readable()  # TLS may have waited for a write in order to read
        if self._client_fd < 0:
            return
        if self._upstream_done:
            self._end_client_side()
        else:
            loop.add_reader(self._upstream_fd, self._on_upstream_readable)

    def _upstream_ended(self) -> None:
        self._upstream_done = True
        self._shared.loop.remove_reader(self._upstream_fd)
        if not self._to_client:
            self._end_client_side()

    def _end_client_side(self) -> None:
        if self._client_done:
            if not self._to_upstream:
                self._end()
            return
        try:
            if self._tls is None or self._tls.shutdown() != DONE:
                self._client.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()
            return
        self._idle_seconds = min(self._idle_seconds, UPSTREAM_GONE_SECONDS)
        self._deadline.set(self._idle_seconds)

    # Ends

    def _broken(self, error: OSError | TlsError, call: str, *, client: bool) -> None:
        """One side is gone in the middle. What the other side already sent cannot be delivered any more."""
        action = {
            ("recv", True): "proxying and reading from client",
            ("send", True): "proxying and sending to client",
            ("recv", False): "proxying and reading from upstream",
            ("send", False): "proxying and sending to upstream",
        }[call, client]
        if isinstance(error, TlsError):
            self._end(error.level, str(error), action)
            return
        code = error.errno or errno.EIO
        text = f"{call}() failed ({code}: {os.strerror(code)})"
        if call == "recv" and code in _HARMLESS:
            self._note(Level.INFO if client else Level.ERROR, text, action)
            # A reset is an end of stream too: what is on its way to the other side still arrives.
            if client:
                self._client_ended()
            else:
                self._upstream_ended()
            return
        level = Level.INFO if client and code in _HARMLESS else Level.ERROR if code in _HARMLESS else Level.CRIT
        self._end(level, text, action)

    def _expired(self) -> None:
        if self._client_done or self._upstream_done:
            self._end()
        else:
            text = f"client timed out ({errno.ETIMEDOUT}: {os.strerror(errno.ETIMEDOUT)})"
            self._end(Level.INFO, text, "proxying")

    def _end(self, level: Level | None = None, text: str = "", action: str = "") -> None:
        if self._client_fd < 0:
            return
        loop = self._shared.loop
        for fd in (self._client_fd, self._upstream_fd):
            loop.remove_reader(fd)
            loop.remove_writer(fd)
        self._deadline.drop()
        if self._tls is not None:
            if level is None:
                self._tls.shutdown()
            else:
                self._tls.quiet()
            self._tls.free()
        self._client.close()
        self._upstream.close()
        self._client_fd = self._upstream_fd = -1
        self._to_client = self._to_upstream = b""
        if level is None:
            self._note(Level.INFO, "proxied session done", "")
        else:
            self._note(level, text, action)
        self._on_end(self)

    def _note(self, level: Level, text: str, action: str) -> None:
        self._log.action = action
        self._log.write(level, text)
