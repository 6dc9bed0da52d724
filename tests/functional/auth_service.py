"""An authentication service for the tests: HTTP over loopback, answering whatever the story decides."""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from .waiting import LIMIT_SECONDS

_MAX_REQUEST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Request:
    """One question. ``headers`` has the names as sent; ``connection`` counts accepted connections from 1."""

    line: str
    headers: Mapping[str, str]
    connection: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Response headers, sent with status 200 and no body; the connection stays open if the client lets it."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes, then the connection is closed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Hold:
    """No answer until the service is closed; the connection stays open."""


Reply = Answer | Raw | Hold


def accept(port: int, **more: str) -> Answer:
    """Yes: the backend is 127.0.0.1:``port``. ``more`` holds further headers, ``_`` for ``-``."""
    extra = {name.replace("_", "-"): value for name, value in more.items()}
    return Answer({"Auth-Status": "OK", "Auth-Server": "127.0.0.1", "Auth-Port": str(port), **extra})


def refuse(text: str, wait_seconds: int = 0) -> Answer:
    """No, with ``text``; with ``wait_seconds`` the session may go on after that long."""
    wait = {"Auth-Wait": str(wait_seconds)} if wait_seconds else {}
    return Answer({"Auth-Status": text, **wait})


@dataclass(slots=True)
class AuthService:
    """A running service. ``requests`` grows by one per question; ``decide`` may be exchanged while it runs."""

    decide: Callable[[Request], Reply]
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"
    _listener: socket.socket = field(init=False)
    _open: set[socket.socket] = field(default_factory=set)
    _accepted: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop: connections are refused from now on, open ones are cut."""
        self._over.set()
        with contextlib.suppress(OSError):  # wakes the thread in accept()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._accepted += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, self._accepted), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(LIMIT_SECONDS)
        with connection, contextlib.suppress(OSError):
            pending = b""
            while True:
                while b"\r\n\r\n" not in pending:
                    piece = connection.recv(65536)
                    if not piece or len(pending) > _MAX_REQUEST_BYTES:
                        return
                    pending += piece
                head, _, pending = pending.partition(b"\r\n\r\n")
                if not self._answer(connection, head.decode("latin-1"), number):
                    return
        self._open.discard(connection)

    def _answer(self, connection: socket.socket, head: str, number: int) -> bool:
        """Answer one request; whether the connection may carry another."""
        line, *rest = head.split("\r\n")
        headers = dict(item.split(": ", 1) for item in rest)
        request = Request(line, headers, number)
        self.requests.append(request)
        reply = self.decide(request)
        if isinstance(reply, Hold):
            self._over.wait(LIMIT_SECONDS)
            return False
        if isinstance(reply, Raw):
            connection.sendall(reply.data)
            return False
        keep = line.endswith("HTTP/1.1") and headers.get("Connection", "").lower() != "close"
        fields = {**reply.headers, "Content-Length": "0", "Connection": "keep-alive" if keep else "close"}
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connection.sendall(f"HTTP/1.1 200 OK\r\n{text}\r\n".encode("latin-1"))
        return keep
