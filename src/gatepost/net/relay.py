"""Two streams joined after login: bytes both ways, back-pressure, half-close, counters.

Theory of operation. A relaying session is this object, two sockets and at most one TLS state; the coroutine and
the machines of the login are gone. Bytes are read into one buffer that the whole worker shares and are handed
on before the callback returns, so that an idle session owns no buffer. Only when a side does not take all of
them is the rest copied, reading of the other side stops, and the poller is asked to say when it may go on. So a
session owns at most ``CHUNK_BYTES`` in each direction, of what goes to a TLS client the same again in encrypted
form, and a slow reader slows the sender down.

The end of one side is passed to the other only after its last byte: a reply that arrives after the client's end of
stream still reaches the client. When one side has ended, the other gets a shorter silence to finish. What a side
sent before it was reset still arrives, too; what is meant for a side that is gone is thrown away.

A side that has sent less than there is room for is not asked again before the kernel tells of more, unless it has
told of the end: then the end is read together with the last bytes.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from gatepost.errors import EVERYDAY, TlsError
from gatepost.log import Level
from gatepost.session_log import SessionLog
from gatepost.tls.connection import WANT_WRITE, Connection, RecvBuffer, recv_buffer

from .deadlines import Deadline, Deadlines
from .poller import ENDED, Callback, Poller
from .stream import send_tls

CHUNK_BYTES: Final = 65536  # four full TLS records; larger chunks no longer lower the cost per byte
CHUNKS_PER_TURN: Final = 4  # then others get their turn

CLIENT_GONE_SECONDS: Final = 60.0  # silence granted to the upstream to answer after the client's end of stream
# Silence granted to the client after the upstream's, as nginx waits for close_notify.
UPSTREAM_GONE_SECONDS: Final = 3.0


class Shared:
    """What all relays of one worker share."""

    __slots__ = ("buffer", "poller", "wheel")

    def __init__(self, poller: Poller, wheel: Deadlines) -> None:
        self.poller = poller
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
        "_told",
        "_upstream",
        "_upstream_done",
        "_upstream_fd",
        "_upstream_lost",
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
        self._client_done = False  # nothing more will be read from it
        self._upstream_done = False
        self._upstream_lost = False  # it takes nothing any more
        self._told = ""  # the call whose failure is in the log; one line for each session is enough
        self.received = 0  # bytes, client to upstream
        self.sent = 0  # bytes, upstream to client
        self._deadline = Deadline(shared.wheel, self._expired)

    def start(self, to_client: bytes, to_upstream: bytes) -> None:
        """Begin with what the login left over for each side."""
        self._deadline.set(self._idle_seconds)
        poller = self._shared.poller
        self._watch(poller.watch_reading, self._client_fd, self._on_client_readable)
        self._watch(poller.watch_reading, self._upstream_fd, self._on_upstream_readable)
        if to_client and self._client_fd >= 0:
            self._give_client(memoryview(to_client))
        if to_upstream and self._client_fd >= 0:
            self._give_upstream(memoryview(to_upstream))
        if self._tls is not None and self._client_fd >= 0 and self._tls.has_pending():
            self._read_on()

    def shut_down(self) -> None:
        """End now, from outside: the worker has to go. A client that is not in the middle of a reply hears why."""
        if self._client_fd >= 0 and not self._is_client_full and not self._upstream_done:
            self._write_client(self._last_words)
            if self._tls is not None:
                self._tls.shutdown()
        self._end(Level.INFO, "shutdown timeout", "proxying")

    # Client to upstream

    def _read_on(self) -> None:
        """What the library already holds, the poller cannot see."""
        self._shared.poller.loop.call_soon(self._on_client_readable, 0)

    def _on_client_readable(self, events: int) -> None:
        if self._client_fd < 0 or self._to_upstream or self._client_done:
            return
        tls = self._tls
        buffer = self._shared.buffer
        for _ in range(CHUNKS_PER_TURN):
            try:
                count = self._client.recv_into(buffer.view) if tls is None else tls.read_into(buffer)
            except BlockingIOError:
                return
            except (OSError, TlsError) as error:
                self._tell(error, "recv", client=True)
                self._lose_client()
                self._client_ended()
                return
            if count <= 0:
                if not count:
                    self._client_ended()
                elif count == WANT_WRITE:
                    self._read_after_writing()
                return
            if not self._upstream_lost:
                self._deadline.extend(self._idle_seconds)
                self._give_upstream(buffer.view[:count])
                if self._to_upstream or self._client_fd < 0:
                    return
            # Else read, too: a close with unread bytes is a reset, which may overtake the last reply.
            if count < CHUNK_BYTES and not events & ENDED and (tls is None or not tls.is_over):
                return
        if tls is not None:
            self._read_on()

    def _read_after_writing(self) -> None:
        """TLS has something to say before it reads on, and the client does not take it."""
        poller = self._shared.poller
        poller.ignore_reading(self._client_fd)
        self._watch(poller.watch_writing, self._client_fd, self._on_client_writable)

    def _give_upstream(self, data: memoryview) -> None:
        self.received += len(data)
        taken = self._write_upstream(data)
        if taken < len(data):
            self._to_upstream = bytes(data[taken:])
            poller = self._shared.poller
            poller.ignore_reading(self._client_fd)
            self._watch(poller.watch_writing, self._upstream_fd, self._on_upstream_writable)

    def _write_upstream(self, data: bytes | memoryview) -> int:
        """How many bytes the upstream took. When it is gone, all: there is nobody to keep them for."""
        try:
            return self._upstream.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if not self._upstream_done:
                self._tell(error, "send", client=False)
                self._limit_silence(CLIENT_GONE_SECONDS)
            self._upstream_lost = True
            return len(data)

    def _on_upstream_writable(self, _events: int) -> None:
        taken = self._write_upstream(self._to_upstream)
        if taken:
            self._deadline.extend(self._idle_seconds)
            self._to_upstream = self._to_upstream[taken:]
        if self._to_upstream:
            return
        poller = self._shared.poller
        poller.ignore_writing(self._upstream_fd)
        if self._client_done:
            self._end_upstream_side()
        else:
            self._watch(poller.watch_reading, self._client_fd, self._on_client_readable)
            self._on_client_readable(0)  # the library may hold bytes that the poller cannot see

    def _client_ended(self) -> None:
        self._client_done = True
        self._shared.poller.ignore_reading(self._client_fd)
        if not self._to_upstream:
            self._end_upstream_side()

    def _end_upstream_side(self) -> None:
        """The client's last byte has been handed on."""
        if self._upstream_done:
            if not self._is_client_full:
                self._end_client_side()
            return
        with contextlib.suppress(OSError):  # gone: reading will tell
            self._upstream.shutdown(socket.SHUT_WR)
        self._limit_silence(CLIENT_GONE_SECONDS)

    # Upstream to client

    def _on_upstream_readable(self, events: int) -> None:
        if self._client_fd < 0 or self._is_client_full or self._upstream_done:
            return
        view = self._shared.buffer.view
        for _ in range(CHUNKS_PER_TURN):
            try:
                count = self._upstream.recv_into(view)
            except BlockingIOError:
                return
            except OSError as error:
                self._tell(error, "recv", client=False)
                self._upstream_lost = True
                self._upstream_ended()
                return
            if not count:
                self._upstream_ended()
                return
            self._deadline.extend(self._idle_seconds)
            if events & ENDED and self._is_upstream_over():
                self._give_client(view[:count], last=True)
                if self._client_fd >= 0 and not self._upstream_done:
                    self._upstream_ended()
                return
            self._give_client(view[:count])
            if self._is_client_full or self._upstream_done or self._client_fd < 0:
                return
            if count < CHUNK_BYTES and not events & ENDED:
                return

    def _is_upstream_over(self) -> bool:
        """Whether the end comes next: it can then leave together with the bytes before it."""
        try:
            return not self._upstream.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as error:  # it is told only once
            self._tell(error, "recv", client=False)
            self._upstream_lost = True
            return True

    @property
    def _is_client_full(self) -> bool:
        """Whether something is kept for it, here or by the library."""
        return bool(self._to_client) or (self._tls is not None and self._tls.unsent)

    def _give_client(self, data: memoryview, *, last: bool = False) -> None:
        self.sent += len(data)
        taken = self._write_client(data, last=last)
        if taken < len(data):
            self._to_client = bytes(data[taken:])
        if self._is_client_full:
            poller = self._shared.poller
            poller.ignore_reading(self._upstream_fd)
            self._watch(poller.watch_writing, self._client_fd, self._on_client_writable)

    def _write_client(self, data: bytes | memoryview, *, last: bool = False) -> int:
        """How many bytes the client took. When it is gone, all: the session may have ended then."""
        tls = self._tls
        try:
            return self._client.send(data) if tls is None else send_tls(tls, data, last=last)
        except BlockingIOError:
            return 0
        except (OSError, TlsError) as error:
            if not self._client_done:
                self._tell(error, "send", client=True)
            self._lose_client()
            if tls is not None and not self._client_done:
                self._client_ended()  # the library does not go on after an error
            elif self._client_done and not self._to_upstream:
                self._end()
            return len(data)

    def _lose_client(self) -> None:
        """It takes nothing any more, so the upstream need not say anything. What the client sent still goes up."""
        self._to_client = b""
        self._upstream_done = True
        poller = self._shared.poller
        poller.ignore_writing(self._client_fd)
        poller.ignore_reading(self._upstream_fd)
        self._limit_silence(CLIENT_GONE_SECONDS)

    def _on_client_writable(self, _events: int) -> None:
        if self._is_client_full:
            taken = self._write_client(self._to_client)
            if self._client_fd < 0:
                return
            # That there is room again is a sign of life, also where the library's own rest takes all of it.
            self._deadline.extend(self._idle_seconds)
            self._to_client = self._to_client[taken:]
            if self._is_client_full:
                return
        poller = self._shared.poller
        poller.ignore_writing(self._client_fd)
        if self._tls is not None and not self._to_upstream and not self._client_done:
            self._watch(poller.watch_reading, self._client_fd, self._on_client_readable)
            self._on_client_readable(0)  # it may have waited for this
            if self._client_fd < 0:
                return
        if self._upstream_done:
            self._end_client_side()
        else:
            self._watch(poller.watch_reading, self._upstream_fd, self._on_upstream_readable)

    def _upstream_ended(self) -> None:
        self._upstream_done = True
        self._shared.poller.ignore_reading(self._upstream_fd)
        if not self._is_client_full:
            self._end_client_side()

    def _end_client_side(self) -> None:
        """The upstream's last byte has been handed on."""
        if self._tls is not None and not self._tls.has_closed and self._tls.shutdown() == WANT_WRITE:
            # No room behind the last bytes; without close_notify they would look cut off.
            self._watch(self._shared.poller.watch_writing, self._client_fd, self._on_client_writable)
            if self._client_fd < 0:
                return
        elif self._client_done:
            if not self._to_upstream:
                self._end()
            return
        else:
            with contextlib.suppress(OSError):  # gone: reading will tell
                self._client.shutdown(socket.SHUT_WR)
        self._limit_silence(UPSTREAM_GONE_SECONDS)

    # Ends

    def _watch(self, watch: Callable[[int, Callback], None], fd: int, callback: Callback) -> None:
        """Let the poller call ``callback``. Where the kernel refuses, nothing would wake the session: it ends."""
        if fd < 0:
            return  # it has just ended
        try:
            watch(fd, callback)
        except OSError as error:
            code = error.errno or errno.EIO
            self._end(Level.CRIT, f"epoll_ctl() failed ({code}: {os.strerror(code)})", "proxying")

    def _limit_silence(self, seconds: float) -> None:
        self._idle_seconds = min(self._idle_seconds, seconds)
        self._deadline.set(self._idle_seconds)

    def _tell(self, error: OSError | TlsError, call: str, *, client: bool) -> None:
        """Log the first failure of a session; others follow from it."""
        if self._told:
            return
        self._told = call
        side = "client" if client else "upstream"
        action = f"proxying and reading from {side}" if call == "recv" else f"proxying and sending to {side}"
        if isinstance(error, TlsError):
            self._note(error.level, str(error), action)
            return
        code = error.errno or errno.EIO
        level = Level.CRIT if code not in EVERYDAY else Level.INFO if client else Level.ERROR
        self._note(level, f"{call}() failed ({code}: {os.strerror(code)})", action)

    def _expired(self) -> None:
        if self._client_done or self._upstream_done or self._upstream_lost:
            self._end()
        else:
            text = f"client timed out ({errno.ETIMEDOUT}: {os.strerror(errno.ETIMEDOUT)})"
            self._end(Level.INFO, text, "proxying")

    def _end(self, level: Level | None = None, text: str = "", action: str = "") -> None:
        if self._client_fd < 0:
            return
        poller = self._shared.poller
        poller.forget(self._client_fd)
        poller.forget(self._upstream_fd)
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
        if level is not None:
            self._note(level, text, action)
        elif self._told != "send":
            self._note(Level.INFO, "proxied session done", "")
        self._on_end(self)

    def _note(self, level: Level, text: str, action: str) -> None:
        self._log.action = action
        self._log.write(level, text)
