"""A client that sends exactly the bytes a story wants and reads lines; every wait has a limit."""

import socket
import ssl
import struct
from types import TracebackType
from typing import Self

from .waiting import LIMIT_SECONDS


class LineClient:
    """One connection to 127.0.0.1, plain or TLS. Reading past ``LIMIT_SECONDS`` raises TimeoutError."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""

    @classmethod
    def plain(cls, port: int) -> Self:
        return cls(socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS))

    @classmethod
    def unix(cls, path: object) -> Self:
        """A connection to the unix socket at ``path`` instead."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LIMIT_SECONDS)
        connection.connect(str(path))
        return cls(connection)

    @classmethod
    def tls(cls, port: int, context: ssl.SSLContext) -> Self:
        client = cls.plain(port)
        client.start_tls(context)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as ``localhost``. Closes and raises ssl.SSLError or OSError when it fails."""
        assert not self._buffer, f"the server sent {self._buffer!r} before the handshake"
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def patience(self, seconds: float) -> None:
        """From now on a read or write that stands still for so long raises TimeoutError."""
        self._socket.settimeout(seconds)

    def half_close(self) -> None:
        """Tell the server that nothing more will come; its answers can still be read. Plain connections only."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the other side sees a reset instead of an end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def line(self) -> bytes:
        """The next line without its CR LF. Raises EOFError when the server closed before it was complete."""
        while b"\r\n" not in self._buffer:
            piece = self._socket.recv(65536)
            if not piece:
                raise EOFError(f"the server closed after {self._buffer!r}")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes. Raises EOFError when the server closed before."""
        while len(self._buffer) < count:
            piece = self._socket.recv(65536)
            if not piece:
                raise EOFError(f"the server closed after {self._buffer!r}")
            self._buffer += piece
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def some(self) -> bytes:
        """What has come and was not asked for yet, or what comes next; nothing at the end."""
        data, self._buffer = self._buffer, b""
        return data or self._socket.recv(65536)

    def command(self, data: bytes) -> bytes:
        """Send one line, return one line."""
        self.send(data + b"\r\n")
        return self.line()

    def rest(self) -> bytes:
        """Everything until the server closes. A reset counts as closing: there may be unread input of ours."""
        try:
            while piece := self._socket.recv(65536):
                self._buffer += piece
        except (ConnectionResetError, ssl.SSLEOFError):
            pass
        everything, self._buffer = self._buffer, b""
        return everything

    def upto(self, start: bytes) -> list[bytes]:
        """Lines up to and with the first that begins with ``start``."""
        lines = [self.line()]
        while not lines[-1].startswith(start):
            lines.append(self.line())
        return lines
