"""A server that behaves as badly as a story wants, as a rule a backend: one Python function per connection."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .line_client import LineClient
from .waiting import LIMIT_SECONDS

Script = Callable[[LineClient], None]


class ScriptedBackend:
    """Listens on ``port``; each accepted connection runs ``script`` in a thread and is closed after it.

    ``close`` (or the end of a ``with`` block) refuses connections from then on and cuts those that are open.

    ``host`` is a numeric address, or the path of a unix socket to be made; ``port`` is then 0.
    """

    def __init__(self, script: Script, host: str = "127.0.0.1") -> None:
        self.script = script
        self.connections = 0
        self.over = threading.Event()  # set when the story is over: a script that holds its client waits on it
        self.port = 0
        self._open: set[socket.socket] = set()
        if host.startswith("/"):
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(host)
            os.chmod(host, 0o777)  # the daemon's workers are somebody else
            self._listener.listen(512)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, 0), family=family, backlog=512)
            self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.over.set()
        with contextlib.suppress(OSError):  # wakes the thread in accept()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End the connections that are open."""
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def hold(self) -> None:
        """For the end of a script: keep the connection open and silent until the story is over."""
        self.over.wait(LIMIT_SECONDS)

    def _run(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            connection.settimeout(LIMIT_SECONDS)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # What the proxy does to a connection is judged by what the client sees, not in here.
        with LineClient(connection) as client, contextlib.suppress(OSError, EOFError):
            self.script(client)
        self._open.discard(connection)


def imap_login(conversation: LineClient, greeting: bytes = b"* OK ready") -> tuple[bytes, bytes, bytes]:
    """Play a backend up to the password: tag, user and password as the proxy sent them."""
    conversation.send(greeting + b"\r\n")
    tag = conversation.line().split(b" ", 1)[0]
    conversation.send(b"+ user\r\n")
    user = conversation.line().rsplit(b" ", 1)[0]
    conversation.send(b"+ password\r\n")
    return tag, user, conversation.line()
