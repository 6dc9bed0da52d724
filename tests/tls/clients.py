"""Clients of the connection under test: Python's own TLS over a socket pair, driven in turns with the server.

Nothing here waits: both ends are in one thread, and what one sends the other finds.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.config.build import defaults
from gatepost.errors import TlsError
from gatepost.store.zones import Zones
from gatepost.tls._load import Library
from gatepost.tls.connection import DONE, Connection
from gatepost.tls.context import Context, server_context
from gatepost.tls.settings import TlsSettings

from .pki import Pki

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

BOTH = pytest.mark.parametrize("version", [V12, V13])

MAX_TURNS = 200  # of a handshake; a few are enough


class Client:
    """A TLS client on its half of a socket pair."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        self.socket = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost", session=session)
        self.is_done = False

    def take(self) -> bytes:
        """What the library made, in place of sending it."""
        return self._out.read()

    def flush(self) -> None:
        """Send what the library made."""
        if self._out.pending:
            self.socket.sendall(self._out.read())

    def receive(self) -> None:
        """Feed what has arrived."""
        with contextlib.suppress(BlockingIOError):
            while data := self.socket.recv(65536):
                self._in.write(data)

    def turn(self) -> None:
        """One step of the handshake. Raises ssl.SSLError, after its alert is sent."""
        self.receive()
        try:
            self.tls.do_handshake()
            self.is_done = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self.flush()

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    def read(self, limit: int = 65536) -> bytes | None:
        """What has arrived, ``b""`` at the end of the stream; None if nothing has."""
        self.receive()
        try:
            return self.tls.read(limit)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def close_notify(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()


def client_context(pki: Pki, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.root)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def make_context(
    library: Library, pki: Pki, *, alpn: bytes = b"imap", zones: Zones | None = None, **settings: Any
) -> Context:
    """A server's context with the RSA certificate, unless ``settings`` say otherwise. A warning fails the test."""
    values = {"ssl_certificate": (pki.rsa,), "ssl_certificate_key": (pki.rsa_key,), **settings}

    def unexpected(message: str) -> None:
        raise AssertionError(message)

    return server_context(defaults(TlsSettings, **values), alpn=alpn, warn=unexpected, zones=zones, using=library)


@contextlib.contextmanager
def pair(
    server: Context, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Iterator[tuple[Connection, Client]]:
    """Two ends that have not yet said anything."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        connection = Connection(server, ours.fileno())
        try:
            yield connection, Client(theirs, client, session)
        finally:
            connection.free()


def shake_hands(connection: Connection, client: Client) -> None:
    """Take turns until both are done. Raises what either raises."""
    is_done = False
    for _ in range(MAX_TURNS):
        if not client.is_done:
            client.turn()
        if not is_done:
            is_done = connection.handshake() == DONE
        if is_done and client.is_done:
            return
    raise AssertionError("the handshake does not end")


@contextlib.contextmanager
def connected(
    server: Context, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Iterator[tuple[Connection, Client]]:
    """Two ends after their handshake."""
    with pair(server, client, session) as (connection, peer):
        shake_hands(connection, peer)
        yield connection, peer


def first_session(server: Context, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Any:
    """The session that a client has after a connection, None if it was given nothing; resumes ``session``."""
    with connected(server, client, session) as (connection, peer):
        connection.write(b"hello")  # behind the ticket
        assert peer.read() == b"hello"
        connection.shutdown()
        return peer.tls.session


def is_resumed(server: Context, client: ssl.SSLContext, session: ssl.SSLSession) -> bool:
    """Whether server and client agree to resume."""
    with connected(server, client, session) as (connection, peer):
        assert connection.is_resumed == peer.tls.session_reused
        return connection.is_resumed


def refusal(connection: Connection, client: Client) -> TlsError:
    """The error that the server's handshake ends with."""
    for _ in range(MAX_TURNS):
        with contextlib.suppress(ssl.SSLError):
            client.turn()
        try:
            assert connection.handshake() != DONE
        except TlsError as error:
            return error
    raise AssertionError("the handshake does not end")


def limited(pki: Pki, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = client_context(pki)
    context.minimum_version = context.maximum_version = version
    return context
