"""An authentication service for the tests: HTTP over loopback, answering whatever the story decides."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Self

from .line_client import LineClient
from .scripted_backend import ScriptedBackend

_MAX_LINES = 1000  # of one question


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

    def message(self, *, keep: bool) -> bytes:
        """The whole response. ``keep``: it says that the connection may carry another."""
        fields = {**self.headers, "Content-Length": "0", "Connection": "keep-alive" if keep else "close"}
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 200 OK\r\n{text}\r\n".encode("latin-1")


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


def question(conversation: LineClient) -> list[str]:
    """The next request, line by line. Raises EOFError when there is none."""
    lines: list[str] = []
    while (line := conversation.line()) and len(lines) < _MAX_LINES:
        lines.append(line.decode("latin-1"))
    return lines


@dataclass(slots=True)
class AuthService:
    """A running service. ``requests`` grows by one per question; ``decide`` may be exchanged while it runs."""

    decide: Callable[[Request], Reply]
    requests: list[Request] = field(default_factory=list)
    host: str = "127.0.0.1"
    _server: ScriptedBackend = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self._server = ScriptedBackend(self._serve, self.host)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        return self._server.port

    def close(self) -> None:
        """Stop: connections are refused from now on, open ones are cut."""
        self._server.close()

    def _serve(self, conversation: LineClient) -> None:
        number = next(self._numbers)
        while self._answer(conversation, question(conversation), number):
            pass

    def _answer(self, conversation: LineClient, head: Sequence[str], number: int) -> bool:
        """Answer one request; whether the connection may carry another."""
        line, *rest = head
        headers = dict(item.split(": ", 1) for item in rest)
        request = Request(line, headers, number)
        self.requests.append(request)
        reply = self.decide(request)
        if isinstance(reply, Hold):
            self._server.hold()
            return False
        if isinstance(reply, Raw):
            conversation.send(reply.data)
            return False
        keep = line.endswith("HTTP/1.1") and headers.get("Connection", "").lower() != "close"
        conversation.send(reply.message(keep=keep))
        return keep
