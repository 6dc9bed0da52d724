"""A server on loopback for one TLS client at a time, for programs that need a port to talk to."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from gatepost.errors import TlsError
from gatepost.tls.connection import DONE, WANT_READ, Connection
from gatepost.tls.context import Context
from gatepost.tls.facts import Facts

SECONDS = 20.0  # longest wait for anything


@dataclass
class Served:
    """What happened. ``results`` has one for each client: the facts and what it sent, or the error."""

    port: int
    results: list[tuple[Facts, bytes] | TlsError] = field(default_factory=list)


def wait(sock: socket.socket, outcome: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ if outcome == WANT_READ else selectors.EVENT_WRITE)
        if not selector.select(SECONDS):
            raise TimeoutError("the client does nothing")


def serve_one(context: Context, sock: socket.socket, *, hangs_up: bool) -> tuple[Facts, bytes] | TlsError:
    """Shake hands, greet, close if it ``hangs_up``, read up to the client's end, close."""
    sock.setblocking(False)
    connection = Connection(context, sock.fileno())
    try:
        while (outcome := connection.handshake()) != DONE:
            wait(sock, outcome)
        facts = connection.facts
        connection.write(b"* OK ready\r\n")
        if hangs_up:
            connection.shutdown()
        received = b""
        while (got := connection.read(4096)) != b"":
            if isinstance(got, int):
                wait(sock, got)
            else:
                received += got
        connection.shutdown()
        return facts, received
    except TlsError as error:
        return error
    finally:
        connection.free()


@contextlib.contextmanager
def serving(context: Context, clients: int = 1, *, hangs_up: bool = False) -> Iterator[Served]:
    """A port that takes ``clients`` clients, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SECONDS)
    served = Served(listener.getsockname()[1])

    def run() -> None:
        for _ in range(clients):
            sock, _ = listener.accept()
            with sock:
                served.results.append(serve_one(context, sock, hangs_up=hangs_up))

    with listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield served
        thread.join(SECONDS)
        assert not thread.is_alive()
