"""Many clients in one process: each a generator over a non-blocking socket, one epoll drives them all.

A session is written as straight code that yields the event it waits for. Certificates are not checked: the load
must not be what limits. The client's half of the handshakes is most of what all this costs, and that is in C.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from .dialogues import Dialogue

Wait = Generator[int, None, None]
READ, WRITE = select.EPOLLIN, select.EPOLLOUT
LIMIT_SECONDS = 300.0  # for one run of any kind

_BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT: the port is chosen when the other end is known


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the clients talk to, and how. ``source`` is the address they come from, or empty."""

    host: str
    port: int
    dialogue: Dialogue
    context: ssl.SSLContext | None  # None: in the clear
    source: str = ""


class Connection:
    """One client's connection. Methods are generators that yield ``READ`` or ``WRITE`` until they can go on."""

    def __init__(self, target: Target, session: ssl.SSLSession | None = None) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.source:
            self.socket.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            self.socket.bind((target.source, 0))
        self.target = target
        self._session = session
        self._received = b""

    def open(self) -> Wait:
        """Connect, shake hands, read the greeting."""
        self.socket.connect_ex((self.target.host, self.target.port))
        yield WRITE
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect")
        context = self.target.context
        if context is not None:
            self.socket = wrapped = context.wrap_socket(
                self.socket, do_handshake_on_connect=False, suppress_ragged_eofs=True, session=self._session
            )
            while True:
                try:
                    wrapped.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    yield READ
                except ssl.SSLWantWriteError:
                    yield WRITE
        yield from self.upto(self.target.dialogue.greeting)

    def send(self, data: bytes | memoryview) -> Wait:
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except (ssl.SSLWantWriteError, BlockingIOError):
                yield WRITE
            except ssl.SSLWantReadError:
                yield READ

    def receive(self) -> Generator[int, None, bytes]:
        while True:
            try:
                return self.socket.recv(262144)
            except (ssl.SSLWantReadError, BlockingIOError):
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE

    def upto(self, mark: bytes) -> Wait:
        """Read until a line with ``mark`` is complete. What follows it is dropped: nothing does."""
        while mark not in self._received or not self._received.endswith(b"\n"):
            piece = yield from self.receive()
            if not piece:
                raise EOFError(f"closed after {self._received[-200:]!r}")
            self._received += piece
        self._received = b""

    def skip(self, count: int) -> Wait:
        """Read ``count`` bytes and forget them."""
        while count > 0:
            piece = yield from self.receive()
            if not piece:
                raise EOFError("closed while data was due")
            count -= len(piece)
            self._received = piece[count:] if count < 0 else b""

    def to_end(self) -> Wait:
        while (yield from self.receive()):
            pass

    def login(self) -> Wait:
        yield from self.open()
        for line, reply in self.target.dialogue.login:
            yield from self.send(line)
            yield from self.upto(reply)

    def forget_tls(self) -> None:
        """Keep the descriptor alone: silence needs no TLS state on this side."""
        self.socket = socket.socket(fileno=self.socket.detach())

    def logout(self) -> Wait:
        yield from self.send(self.target.dialogue.logout)
        yield from self.to_end()
        self.socket.close()


Make = Callable[[], Connection]
Story = Callable[[Connection], Wait]


class Crowd:
    """The clients that are busy now."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._running: dict[int, tuple[Connection, Wait]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, connection: Connection, story: Story) -> None:
        self._step(connection, story(connection))

    def turn(self, seconds: float) -> None:
        """Wait so long for something to happen, and go on with whom it happened to. Their errors are raised."""
        for fd, _ in self._poll.poll(seconds):
            self._step(*self._running[fd])

    def _step(self, connection: Connection, wait: Wait) -> None:
        fd = connection.socket.fileno()
        try:
            event = next(wait)
        except StopIteration:
            self._running.pop(fd, None)
            if connection.socket.fileno() >= 0:  # the story ends, the connection is held
                self._poll.unregister(fd)
            return
        if fd in self._running:
            self._poll.modify(fd, event)
        else:
            self._poll.register(fd, event)
            self._running[fd] = connection, wait


def _bounded(crowd: Crowd) -> Iterator[None]:
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        yield
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(crowd)} clients still busy after {LIMIT_SECONDS:g} s")


def drive(count: int, at_once: int, make: Make, story: Story) -> None:
    """Run ``count`` stories, ``at_once`` of them at any time. The first error ends all."""
    crowd = Crowd()
    started = 0
    for _ in _bounded(crowd):
        while started < count and len(crowd) < at_once:
            started += 1
            crowd.start(make(), story)
        if not crowd:
            return
        crowd.turn(1.0)


def drive_paced(count: int, per_second: float, make: Make, story: Callable[[Connection, float], Wait]) -> None:
    """Start ``count`` stories, so many per second, however long the earlier ones take.

    A story is told when it was due (``time.perf_counter``): a load that comes too late must not make the server
    look quicker.
    """
    crowd = Crowd()
    began = time.perf_counter()
    started = 0
    for _ in _bounded(crowd):
        while started < count and (due := began + started / per_second) <= time.perf_counter():
            started += 1
            crowd.start(make(), lambda connection, due=due: story(connection, due))  # type: ignore[misc]
        if started == count and not crowd:
            return
        due = began + started / per_second
        crowd.turn(min(max(due - time.perf_counter(), 0.0), 1.0) if started < count else 1.0)
