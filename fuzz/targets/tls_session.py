"""TLS sessions from the store, which another worker, or an earlier gatepost, has put there.

The input is either the bytes of a session or edits to those of a good one: then the session id still fits, and the
client comes back for it.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Any

import trustme

from fuzz.target import Choices, Target
from gatepost.config.build import defaults
from gatepost.errors import TlsError
from gatepost.store.zones import SharedZone, Zones
from gatepost.tls.connection import DONE, Connection
from gatepost.tls.context import Context, server_context
from gatepost.tls.session_cache import ZoneCache
from gatepost.tls.settings import Keeping, SessionCache, TlsSettings, Zone

ZONE = Zone("A", 1 << 20)
TIMEOUT = 300  # seconds
MAX_TURNS = 50


class Shelf:
    """A table whose content the input says."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.put_last = b""

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def put(self, key: bytes, value: bytes, _expires: float) -> None:
        self.entries[key] = self.put_last = value

    def remove(self, key: bytes) -> None:
        self.entries.pop(key, None)

    def keep(self, _key: bytes, value: bytes, _expires: float) -> bytes:
        return value

    def kept(self, _key: bytes) -> bytes | None:
        return None

    def increment(self, _key: bytes, by: int, _expires: float) -> int:
        return by

    def close(self) -> None:
        self.entries.clear()


class Scene:
    """A server with one zone, a client with one session of TLS 1.2, and the session as the store has it."""

    def __init__(self) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
        zones = Zones()
        settings = defaults(
            TlsSettings,
            ssl_certificate=("data:" + chain,),
            ssl_certificate_key=("data:" + issued.private_key_pem.bytes().decode(),),
            ssl_session_cache=SessionCache(Keeping.ZONE_ONLY, zone=ZONE),
            ssl_session_tickets=False,
            ssl_session_timeout=TIMEOUT,
        )
        self.server: Context = server_context(settings, alpn=b"imap", warn=_unexpected, zones=zones)
        self.zone: SharedZone = zones.named(ZONE.name, ZONE.size)
        self.shelf = Shelf()
        self.zone.table = self.shelf
        self.client = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        self.client.maximum_version = ssl.TLSVersion.TLSv1_2
        self.session: ssl.SSLSession | None = None
        resumed, self.session = self.connect()
        assert not resumed
        self.good = self.shelf.put_last
        assert self.good
        assert self.connect()[0], "the session is good"
        assert self.session is not None
        self.id: bytes = self.session.id

    def connect(self) -> tuple[bool, ssl.SSLSession | None]:
        """Whether the session was resumed, and what the client has then. Raises TlsError, ssl.SSLError."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            far = self.client.wrap_bio(incoming, outgoing, server_hostname="localhost", session=self.session)
            near = Connection(self.server, ours.fileno())
            try:
                done = [False, False]
                for _ in range(MAX_TURNS):
                    with contextlib.suppress(BlockingIOError):
                        incoming.write(theirs.recv(65536))
                    with contextlib.suppress(ssl.SSLWantReadError):
                        far.do_handshake()
                        done[0] = True
                    if outgoing.pending:
                        theirs.sendall(outgoing.read())
                    if not done[1]:
                        done[1] = near.handshake() == DONE
                    if all(done):
                        # Asked for once only: Python 3.11 keeps a copy of each for ever.
                        return near.is_resumed, self.session or far.session
                raise AssertionError("the handshake does not end")
            finally:
                near.free()


def _unexpected(message: str) -> None:
    raise AssertionError(message)


@cache
def scene() -> Scene:
    return Scene()


def run(data: bytes) -> None:
    choices = Choices(data)
    here = scene()
    here.server.library.lib.ERR_clear_error()  # of whatever ran before
    if choices.flag():
        check(here, choices.rest())
        return
    blob = edited(here.good, choices.rest())
    check(here, blob)
    here.shelf.entries = {here.id: blob}
    try:
        here.connect()
    except (TlsError, ssl.SSLError):
        return  # keys that do not fit end one handshake
    finally:
        queue_is_empty(here)


def edited(blob: bytes, edits: bytes) -> bytes:
    """Each edit is three bytes: a place, and what is done there with a value."""
    out = bytearray(blob)
    for at in range(0, len(edits) - 2, 3):
        place, what, value = edits[at : at + 3]
        place = min(place, len(out) - 1) if out else 0
        if what % 4 == 0 and out:
            out[place] = value
        elif what % 4 == 1:
            out.insert(place, value)
        elif what % 4 == 2:
            del out[place : place + 1 + value % 16]
        elif out:
            out[place] ^= 1 << value % 8
    return bytes(out)


def check(here: Scene, blob: bytes) -> None:
    """Bytes from the store are no session, or one that can be written down and read again."""
    library = here.server.library
    ffi, lib = library.ffi, library.lib
    cache_of_zone = ZoneCache(library, here.zone, TIMEOUT)
    parsed = cache_of_zone._parsed(blob)
    queue_is_empty(here)
    if not parsed:
        return
    key = cache_of_zone._id(parsed)
    written = serialised(library, parsed)
    lib.SSL_SESSION_free(parsed)
    if written:
        again = cache_of_zone._parsed(written)
        assert again
        assert serialised(library, again) == written
        lib.SSL_SESSION_free(again)
    here.shelf.entries = {key: blob, here.id: blob}
    for wanted in (key, here.id, b"", b"x" * 33):
        found = cache_of_zone.find(wanted)
        queue_is_empty(here)
        if found != ffi.NULL:
            assert cache_of_zone._id(found) == wanted
            lib.SSL_SESSION_free(found)


def serialised(library: Any, session: Any) -> bytes:
    ffi, lib = library.ffi, library.lib
    size = lib.i2d_SSL_SESSION(session, ffi.NULL)
    if size <= 0:
        lib.ERR_clear_error()
        return b""
    value = ffi.new("unsigned char[]", size)
    lib.i2d_SSL_SESSION(session, ffi.new("unsigned char **", value))
    return bytes(ffi.buffer(value))


def queue_is_empty(here: Scene) -> None:
    """An error left behind would be taken for one of the next connection."""
    assert here.server.library.lib.ERR_peek_error() == 0


def seeds() -> Iterator[bytes]:
    yield b"\0"
    for place in range(0, 160, 4):
        yield bytes((0, place, 0, 0xFF))
        yield bytes((0, place, 3, place % 8))
    yield bytes((0, 20, 1, 0, 20, 2, 3))
    yield b"\1" + scene().good
    yield b"\1\x30\x82\xff\xff"
    yield b"\1"


TARGET = Target(
    "tls_session",
    run,
    words=(
        b"\x30\x82",
        b"\x02\x01\x01",
        b"\x02\x02\x03\x03",
        b"\x04\x02\xc0\x2b",
        b"\x04\x20",
        b"\x04\x30",
        b"\xa1\x06",
    ),
    seeds=seeds,
    native=True,
    max_bytes=1024,
)
