"""TLS on a non-blocking descriptor: handshake, read, write, shutdown.

Theory of operation. OpenSSL reads and writes the descriptor itself. A call that cannot go on answers ``WANT_READ``
or ``WANT_WRITE``: wait until the descriptor is readable or writable, then make the same call again. The library
reads ahead, so it may hold bytes that a poll of the descriptor cannot see:

* after ``handshake`` answered ``DONE``, read before waiting (or ask ``has_pending``, which is then true: since 3.2
  the library itself does not know whether it still holds what came with the client's last handshake message);
* a read that filled less than it was given room for has left nothing behind, except an end of the stream that came
  right behind the bytes: the next read gives it, and ``has_pending`` is true until then.

A TlsError ends the connection: no alert can be sent any more, ``shutdown`` only answers ``DONE``.
"""

from functools import cache
from typing import Any, Final

from gatepost.errors import TlsError
from gatepost.log import Level

from . import errors
from ._abi import ffi
from ._fused import AFTER_BITS, CLOSED, DONE, EOF, FAILED, STALE, UNSENT, WANT_READ, WANT_WRITE
from .context import Context
from .facts import Facts, read_facts
from .handover import Handover, read_handover
from .verification import OFF, CertificateProblem, forget_session, judge

__all__ = ["DONE", "EOF", "WANT_READ", "WANT_WRITE", "Connection", "RecvBuffer", "recv_buffer"]

MAX_DISCARDED_READS: Final = 4  # of READ_BYTES each, after our end: a client's last commands are far shorter
READ_BYTES: Final = 65536  # most that one ``read`` gives: four full records
_COUNT_MASK: Final = (1 << AFTER_BITS) - 1
_BOTH_SHUTDOWNS: Final = 3  # SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN


class RecvBuffer:
    """Memory to read into: ``view`` for Python, ``data`` for the library. One serves a whole worker."""

    __slots__ = ("data", "size", "view")

    def __init__(self, data: Any, view: memoryview) -> None:
        self.data = data
        self.view = view
        self.size = len(view)


def recv_buffer(size: int) -> RecvBuffer:
    """A buffer of ``size`` bytes. Needs no library: a relay without TLS has one too."""
    data = ffi.new("char[]", size)
    return RecvBuffer(data, memoryview(ffi.buffer(data)))


@cache
def _scratch() -> Any:
    """What ``read`` reads into: one per process, copied out before anyone else can read."""
    return recv_buffer(READ_BYTES).data


_BLANK: Final = bytes(READ_BYTES)


def _wipe(scratch: Any, count: int) -> None:
    """Before the login a password is among what is read, and this memory lives as long as the process."""
    ffi.memmove(scratch, _BLANK, count)


class Connection:
    """One side of a TLS connection; which side, the context says. Does not own the descriptor.

    ``free`` gives the library's memory back; garbage collection does too. Not used after that.
    """

    __slots__ = (
        "_after",
        "_context",
        "_established",
        "_facts",
        "_fused",
        "_sent",
        "_ssl",
        "_unread",
        "_usable",
        "unsent",
    )

    def __init__(self, context: Context, fd: int) -> None:
        """Raises TlsError if the library has no memory left."""
        self._context = context  # SSL keeps the SSL_CTX alive, but not what its callbacks use
        self._fused = fused = context.library.fused
        self._ssl: Any = None
        self._after: int | TlsError | None = None  # what ended the stream behind bytes already given
        self._facts: Facts | None = None
        self._established = False
        self._usable = True  # no error yet, so close_notify may be sent
        self._sent = False  # ours has been
        self._unread = False  # the handshake is done, and nobody has read since
        self.unsent = False  # something that a write has taken waits for room: see there
        ssl = fused.new(context.pointer, fd, context.is_server)
        if not ssl:
            error = errors.failure(context.library, "SSL_new", FAILED, 0)
            error.level = Level.ALERT
            raise error
        self._ssl = ssl

    def __del__(self) -> None:
        self.free()

    def handshake(self) -> int:
        """``DONE``, ``WANT_READ`` or ``WANT_WRITE``. Raises TlsError."""
        outcome = self._fused.handshake(self._ssl)
        if outcome == DONE:
            self._established = self._unread = True
            return outcome
        if outcome in (WANT_READ, WANT_WRITE):
            return outcome
        if outcome == STALE:
            errors.discard_stale(self._context.library)
            return self.handshake()
        self._usable = False
        library = self._context.library
        raise errors.handshake_failure(library, outcome, library.ffi.errno)

    def read(self, limit: int) -> bytes | int:
        """1 to ``limit`` bytes, ``b""`` at the end of the stream, or ``WANT_*``. Raises TlsError.

        A connection that the client closes without close_notify ends like any other: IMAP, POP3 and SMTP
        say themselves where a message ends.
        """
        scratch = _scratch()
        count = self._read(scratch, limit if limit < READ_BYTES else READ_BYTES)
        if count > 0:
            data: bytes = self._context.library.ffi.unpack(scratch, count)
            _wipe(scratch, count)
            return data
        return b"" if count == EOF else count

    def read_into(self, buffer: RecvBuffer) -> int:
        """How many bytes are now in the buffer, ``EOF`` (0), or ``WANT_READ`` / ``WANT_WRITE``. Raises TlsError."""
        return self._read(buffer.data, buffer.size)

    def _read(self, data: Any, room: int) -> int:
        if self._after is not None:
            return self._end()
        self._unread = False
        outcome = self._fused.read(self._ssl, data, room)
        if WANT_WRITE <= outcome <= _COUNT_MASK:
            if outcome == EOF:
                self._after = EOF
            return outcome
        if outcome == STALE:
            errors.discard_stale(self._context.library)
            return self._read(data, room)
        if outcome > 0:
            self._after = self._read_failure(1 - (outcome >> AFTER_BITS))
            return outcome & _COUNT_MASK
        self._after = self._read_failure(outcome)
        return self._end()

    def _read_failure(self, outcome: int) -> int | TlsError:
        if outcome == EOF:
            return EOF
        self._usable = self.unsent = False
        library = self._context.library
        return errors.failure(library, "SSL_read", outcome, library.ffi.errno)

    def _end(self) -> int:
        """The end of the stream, again and again."""
        after = self._after
        if isinstance(after, TlsError):
            raise after.anew()
        return EOF

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """How many bytes were taken, or ``WANT_READ`` / ``WANT_WRITE`` for none. Raises TlsError.

        What was not taken must come again, first and in the same order, but from anywhere in memory: a part of it
        may already be encrypted. While ``unsent``, what was taken has not all left: a write, if only of nothing,
        goes on with it as soon as the descriptor is writable.
        """
        source = data if type(data) is bytes else self._context.library.ffi.from_buffer(data)
        outcome = self._fused.write(self._ssl, source, len(data))
        if outcome >= 0:
            self.unsent = outcome > _COUNT_MASK
            return outcome & _COUNT_MASK
        if outcome == STALE:
            errors.discard_stale(self._context.library)
            return self.write(data)
        return self._not_written(outcome)

    def _not_written(self, outcome: int) -> int:
        if outcome >= WANT_WRITE:
            return outcome
        self._usable = self.unsent = False
        library = self._context.library
        raise errors.failure(library, "SSL_write", outcome, library.ffi.errno)

    @property
    def has_closed(self) -> bool:
        """Whether our close_notify has been written."""
        return self._sent

    @property
    def is_over(self) -> bool:
        """Whether the end of the stream came right behind bytes that a read has given: the next read gives it."""
        return self._after is not None

    def finish(self, data: bytes | bytearray | memoryview) -> int:
        """As ``write``, with close_notify behind the last byte, so that both leave together."""
        if self._sent or not self._established:
            return self.write(data)
        source = data if type(data) is bytes else self._context.library.ffi.from_buffer(data)
        outcome = self._fused.finish(self._ssl, source, len(data))
        if outcome >= 0:
            self.unsent = bool(outcome & UNSENT)
            self._sent = bool(outcome & CLOSED)
            return outcome & _COUNT_MASK
        return self.write(data) if outcome == STALE else self._not_written(outcome)

    def has_pending(self) -> bool:
        """Whether a read may give something without the descriptor becoming readable."""
        if self._unread or self._after is not None:
            return True
        return bool(self._context.library.lib.SSL_has_pending(self._ssl))

    def shutdown(self) -> int:
        """Send close_notify, once; later calls look for the other side's and throw away what comes before it.

        ``DONE`` when it has been seen, or never will be; else ``WANT_READ`` or ``WANT_WRITE``. Never raises. In
        between, reading goes on as before: closing our side does not close theirs.
        """
        if not self._usable or not self._established:
            self.quiet()
            return DONE
        if self._sent:
            return self._await_theirs()
        outcome = self._fused.shutdown(self._ssl)
        if outcome == STALE:
            errors.discard_stale(self._context.library)
            return self.shutdown()
        if outcome >= 0:
            self._sent = True
            return DONE if outcome == DONE or self._after == EOF else WANT_READ
        if outcome >= WANT_WRITE:
            return outcome
        self._abandon()
        return DONE

    def _await_theirs(self) -> int:
        try:
            for _ in range(MAX_DISCARDED_READS):
                got = self._read(_scratch(), READ_BYTES)
                if got <= 0:
                    return DONE if got == EOF else got
                _wipe(_scratch(), got)
        except TlsError:
            return DONE
        return DONE  # whoever sends on and on is not waited for

    def _abandon(self) -> None:
        self._usable = False
        self._context.library.lib.ERR_clear_error()

    def quiet(self) -> None:
        """From here on no alert is sent: after timeouts and errors, when the socket is just closed."""
        self._usable = False
        if self._ssl:
            self._context.library.lib.SSL_set_shutdown(self._ssl, _BOTH_SHUTDOWNS)

    def free(self) -> None:
        """Give the memory back. The session can still be resumed, unless an error spoilt it. Idempotent."""
        ssl, self._ssl = self._ssl, None
        if ssl:
            self._fused.free(ssl)

    @property
    def facts(self) -> Facts:
        """Protocol, cipher and names, once the handshake is done."""
        if self._facts is None:
            context = self._context
            self._facts = read_facts(context.library, self._ssl, verifies=context.verify_client != OFF)
        return self._facts

    def judge(self) -> CertificateProblem | None:
        """Why the client's certificate, or that there is none, is no good. Asked once the handshake is done."""
        context = self._context
        return None if context.verify_client == OFF else judge(context.library, self._ssl, context.verify_client)

    def forget_session(self) -> None:
        """Take the session out of the caches: whoever has been refused must not resume it."""
        context = self._context
        self._fused.withhold_tickets(self._ssl)
        forget_session(context.library, context.pointer, self._ssl)

    @property
    def handover(self) -> Handover:
        """What a PROXY header says about this connection, once the handshake is done."""
        return read_handover(self._context.library, self._ssl, self.facts)

    @property
    def is_resumed(self) -> bool:
        """Whether the handshake resumed an earlier session."""
        return bool(self._context.library.lib.SSL_session_reused(self._ssl))
