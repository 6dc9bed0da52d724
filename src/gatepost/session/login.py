"""Logging in to the server behind us: connects, and plays the upstream machine against it."""

import base64
import errno
import os
import socket
from typing import Final

from gatepost.address import Address
from gatepost.errors import EVERYDAY, UpstreamError
from gatepost.log import Level, quoted
from gatepost.net.poller import Poller
from gatepost.net.room import Place, Room
from gatepost.net.stream import Stream, StreamError, connect
from gatepost.protocol.events import Account, Declined, Failed, LoggedIn, Send
from gatepost.protocol.machine import UpstreamMachine
from gatepost.session_log import SessionLog
from gatepost.tls.connection import Connection

READ_BYTES: Final = 16384  # greetings and login replies are far shorter

READING: Final = "reading response from upstream"

# What an unreachable or overloaded backend looks like; anything else points at ourselves. EAGAIN: the queue of its
# unix socket is full.
_ORDINARY: Final = EVERYDAY | {errno.EAGAIN}


def without_password(text: str, account: Account) -> str:
    """What an upstream said, escaped for the log, without the password, should it have repeated it."""
    password = account.password
    if not password:
        return text
    # As it is (IMAP, POP3), and as AUTH PLAIN carries it (SMTP).
    for secret in (password, base64.b64encode(b"\0%b\0%b" % (account.user, password)), base64.b64encode(password)):
        text = text.replace(quoted(secret, len(secret)), "...")
    return text


class LoginFailedError(UpstreamError):
    """The upstream cannot be reached or does not keep its protocol; ``str`` is the log line."""


class LoginTimedOutError(Exception):
    """The whole login took longer than ``timeout``."""


class BackendDeclinedError(Exception):
    """The upstream answered, but not with yes."""

    def __init__(self, declined: Declined) -> None:
        super().__init__("the upstream declined")
        self.declined = declined


class UpstreamLogin:
    """One attempt to log in at one address. Owns its connection until ``release``.

    ``header`` is sent as soon as the connection stands, before the greeting is read; empty for none.
    """

    __slots__ = ("_address", "_header", "_log", "_machine", "_place", "_poller", "_room", "_stream")

    def __init__(
        self,
        poller: Poller,
        address: Address,
        header: bytes,
        machine: UpstreamMachine,
        log: SessionLog,
        room: Room,
    ) -> None:
        self._poller = poller
        self._address = address
        self._header = header
        self._machine = machine
        self._log = log
        self._room = room
        self._place: Place | None = None
        self._stream: Stream | None = None

    async def run(self) -> bytes:
        """The upstream's last reply, for the client.

        Raises LoginFailedError, LoginTimedOutError and BackendDeclinedError.
        """
        self._place = self._room.take()
        if self._place is None:
            raise LoginFailedError(self._room.complaint, level=Level.ALERT)
        try:
            self._stream = stream = connect(self._poller, self._address)
            if self._header:
                self._log.action = "sending PROXY protocol header to upstream"
                await stream.write(self._header)
            return await self._talk(stream)
        except StreamError as error:
            text = str(error)
            if error.call == "recv":
                self._log.action = READING
            elif error.call == "connect":
                text = f"connect() to {self._log.upstream} failed ({error.code}: {os.strerror(error.code)})"
            level = Level.ERROR if error.code in _ORDINARY else Level.CRIT
            raise LoginFailedError(text, level=level, code=error.code) from error

    async def _talk(self, stream: Stream) -> bytes:
        machine = self._machine
        while True:
            data = await stream.read(READ_BYTES)
            self._log.action = READING
            if not data:
                raise LoginFailedError("upstream closed the connection before the login was complete")
            for effect in machine.receive(data):
                if isinstance(effect, Send):
                    self._log.action = effect.action or self._log.action
                    await stream.write(effect.data)
                elif isinstance(effect, LoggedIn):
                    return effect.reply
                elif isinstance(effect, Declined):
                    raise BackendDeclinedError(effect)
                elif isinstance(effect, Failed):
                    self._log.action = effect.action or self._log.action
                    raise LoginFailedError(effect.text, level=effect.level)
                else:
                    raise AssertionError(f"an upstream machine cannot ask for {type(effect).__name__}")

    def fail(self, error: Exception) -> None:
        """Raise ``error`` in ``run``."""
        if self._stream is not None:
            self._stream.fail(error)

    def rest(self) -> bytes:
        """What the upstream sent behind its last reply."""
        return self._machine.rest()

    def release(self) -> tuple[socket.socket, Connection | None]:
        """Hand the connection over; ``close`` leaves it alone then."""
        assert self._stream is not None
        stream, self._stream = self._stream, None
        return stream.release()

    def close(self) -> None:
        """Idempotent. Also after ``release``: whoever has the connection now counts it."""
        if self._place is not None:
            self._place.leave()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
