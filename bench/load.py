"""The load: many IMAP clients in one process, each a generator over a non-blocking socket.

``python -m bench.load KIND ...`` prints one line of JSON when it is done. A session is written as straight code
that yields the event it waits for; one epoll drives them all. Certificates are not checked: the load must not be
what limits.
"""

import argparse
import json
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Generator

Wait = Generator[int, None, None]
READ, WRITE = select.EPOLLIN, select.EPOLLOUT
LIMIT_SECONDS = 300.0  # for one run of any kind


class Connection:
    """One client's connection. Methods are generators that yield ``READ`` or ``WRITE`` until they can go on."""

    def __init__(self, port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = port
        self._context = context
        self._session = session
        self._received = b""

    def open(self) -> Wait:
        self.socket.connect_ex(("127.0.0.1", self._port))
        yield WRITE
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect")
        if self._context is not None:
            wrapped = self._context.wrap_socket(
                self.socket, do_handshake_on_connect=False, suppress_ragged_eofs=True, session=self._session
            )
            self.socket = wrapped
            while True:
                try:
                    wrapped.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    yield READ
                except ssl.SSLWantWriteError:
                    yield WRITE

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
        yield from self.upto(b"* OK")
        yield from self.send(b"a LOGIN someone@example.org sesame\r\n")
        yield from self.upto(b"a OK")

    def logout(self) -> Wait:
        yield from self.send(b"z LOGOUT\r\n")
        yield from self.to_end()
        self.socket.close()


def drive(count: int, at_once: int, make: Callable[[], Connection], story: Callable[[Connection], Wait]) -> None:
    """Run ``count`` stories, ``at_once`` of them at any time. The first error ends all."""
    deadline = time.monotonic() + LIMIT_SECONDS
    poll = select.epoll()
    running: dict[int, tuple[Connection, Wait]] = {}
    started = 0

    def step(connection: Connection, wait: Wait) -> None:
        fd = connection.socket.fileno()
        try:
            event = next(wait)
        except StopIteration:
            running.pop(fd, None)
            if connection.socket.fileno() >= 0:  # the story ends, the connection is held
                poll.unregister(fd)
            return
        if fd in running:
            poll.modify(fd, event)
        else:
            poll.register(fd, event)
            running[fd] = connection, wait

    while started < count or running:
        while started < count and len(running) < at_once:
            started += 1
            connection = make()
            step(connection, story(connection))
        for fd, _ in poll.poll(1.0):
            step(*running[fd])
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(running)} clients still busy after {LIMIT_SECONDS:g} s")


def tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def logins(port: int, context: ssl.SSLContext | None, count: int, at_once: int, resume: bool) -> dict[str, float]:
    session: ssl.SSLSession | None = None
    resumed = 0
    if resume:
        assert context is not None
        # One ticket for all: the server is asked to accept it, not to be kind to privacy.
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10)) as first:
            first.recv(1000)
            session = first.session

    def story(connection: Connection) -> Wait:
        nonlocal resumed
        yield from connection.login()
        if isinstance(connection.socket, ssl.SSLSocket):
            resumed += bool(connection.socket.session_reused)
        yield from connection.logout()

    began = time.monotonic()
    drive(count, at_once, lambda: Connection(port, context, session), story)
    if resume and resumed != count:
        raise AssertionError(f"{resumed} of {count} sessions were resumed")
    return {"units": count, "seconds": time.monotonic() - began}


def latency(port: int, context: ssl.SSLContext | None, count: int) -> dict[str, float]:
    """Median seconds from connect to the tagged OK, one client alone."""
    taken: list[float] = []

    def story(connection: Connection) -> Wait:
        began = time.perf_counter()
        yield from connection.login()
        taken.append(time.perf_counter() - began)
        yield from connection.logout()

    drive(count, 1, lambda: Connection(port, context), story)
    return {"units": count, "median": sorted(taken)[count // 2]}


def transfer(port: int, context: ssl.SSLContext | None, total: int, at_once: int, upload: bool) -> dict[str, float]:
    """Move ``total`` bytes over ``at_once`` connections."""
    each = total // at_once
    block = memoryview(bytes(1 << 18))

    def story(connection: Connection) -> Wait:
        yield from connection.login()
        if upload:
            yield from connection.send(b"b UPLOAD %d\r\n" % each)
            left = each
            while left:
                piece = min(left, len(block))
                yield from connection.send(block[:piece])
                left -= piece
        else:
            yield from connection.send(b"b DOWNLOAD %d\r\n" % each)
            yield from connection.skip(each)
        yield from connection.upto(b"b OK")
        yield from connection.logout()

    began = time.monotonic()
    drive(at_once, at_once, lambda: Connection(port, context), story)
    return {"units": each * at_once / (1 << 30), "seconds": time.monotonic() - began}


def idle(port: int, context: ssl.SSLContext | None, count: int) -> None:
    """Log ``count`` clients in, say so, and hold them until standard input closes."""
    held: list[Connection] = []

    def story(connection: Connection) -> Wait:
        yield from connection.login()
        held.append(connection)

    drive(count, 16, lambda: Connection(port, context), story)
    print(json.dumps({"units": count}), flush=True)
    sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("kind", choices=["logins", "latency", "download", "upload", "idle"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clear", action="store_true", help="no TLS")
    parser.add_argument("--resume", action="store_true", help="resume one TLS session in all logins")
    parser.add_argument("--count", type=int, default=1, help="sessions; for transfers: bytes")
    parser.add_argument("--at-once", type=int, default=1)
    chosen = parser.parse_args()
    context = None if chosen.clear else tls_context()
    match chosen.kind:
        case "logins":
            result = logins(chosen.port, context, chosen.count, chosen.at_once, chosen.resume)
        case "latency":
            result = latency(chosen.port, context, chosen.count)
        case "idle":
            idle(chosen.port, context, chosen.count)
            return
        case kind:
            result = transfer(chosen.port, context, chosen.count, chosen.at_once, kind == "upload")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
