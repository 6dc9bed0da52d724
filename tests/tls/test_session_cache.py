"""Sessions in caches: the whole matrix, shared zones, lifetimes, and what is wrong in the store."""

import contextlib
import gc
import itertools
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import TlsError
from gatepost.store.lmdb import LmdbTable
from gatepost.store.runtime import RuntimeDirectory
from gatepost.store.zones import Zones
from gatepost.tls import errors
from gatepost.tls._load import Library
from gatepost.tls.context import Context
from gatepost.tls.settings import Keeping, SessionCache, Zone

from .clients import client_context, connected, first_session, is_resumed, make_context
from .pki import Pki
from .served import serving

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = [V12, V13]
ZONE = Zone("SSL", 1 << 20)
OFF, NONE, BUILTIN = (SessionCache(keeping) for keeping in (Keeping.OFF, Keeping.NONE, Keeping.BUILTIN))
SHARED, BOTH = SessionCache(Keeping.ZONE_ONLY, zone=ZONE), SessionCache(Keeping.BUILTIN, zone=ZONE)
CACHES = {"off": OFF, "none": NONE, "builtin": BUILTIN, "shared": SHARED, "builtin shared": BOTH}


class Workers:
    """Contexts as two workers have them, sharing one zone: one process stands for both."""

    def __init__(self, library: Library, pki: Pki, directory: Path) -> None:
        self._library, self._pki = library, pki
        self._runtime = RuntimeDirectory([str(directory)])
        self.zones = Zones()
        self.heard: list[str] = []

    def context(self, **settings: Any) -> Context:
        made = make_context(self._library, self._pki, zones=self.zones, **settings)
        zone = self.zones.named(ZONE.name, ZONE.size)
        if zone.table is None:
            self.zones.prepare(self._runtime, None)
            self.zones.attach(self.heard.append)
        return made

    @property
    def table(self) -> LmdbTable:
        table = self.zones.named(ZONE.name, ZONE.size).table
        assert isinstance(table, LmdbTable)
        return table

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self.table.close()
        self._runtime.remove()


@pytest.fixture
def workers(library: Library, pki: Pki, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(library, pki, tmp_path)
    yield made
    made.close()


def client(pki: Pki, version: ssl.TLSVersion, *, tickets: bool = True) -> ssl.SSLContext:
    context = client_context(pki)
    context.minimum_version = context.maximum_version = version
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    return context


def own_sessions(library: Library, context: Context) -> int:
    """How many sessions the library itself holds."""
    number: int = library.lib.SSL_CTX_ctrl(context.pointer, 20, 0, library.ffi.NULL)  # SSL_CTRL_SESS_NUMBER
    return number


# The matrix


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("words", CACHES)
def test_with_tickets_everything_resumes_and_nothing_is_stored(
    workers: Workers, pki: Pki, words: str, version: ssl.TLSVersion
) -> None:
    context = workers.context(ssl_session_cache=CACHES[words])
    ours = client(pki, version)
    session = first_session(context, ours)
    assert session.has_ticket
    assert is_resumed(context, ours, session)
    if "shared" in words:
        assert workers.table.count() == 0
    assert workers.heard == []


# words: is there an id for a TLS 1.2 client without tickets, in own memory, in the zone
ROWS = {
    "off": (False, False, False),
    "none": (True, False, False),
    "builtin": (True, True, False),
    "shared": (True, False, True),
    "builtin shared": (True, True, True),
}


@pytest.mark.parametrize("by_server", [True, False])
@pytest.mark.parametrize("words", CACHES)
def test_without_tickets_tls_1_2(workers: Workers, library: Library, pki: Pki, words: str, by_server: bool) -> None:
    """It does not matter which side wants no tickets."""
    settings = {"ssl_session_cache": CACHES[words], "ssl_session_tickets": not by_server}
    context, other = workers.context(**settings), workers.context(**settings)
    ours = client(pki, V12, tickets=by_server)
    has_id, in_memory, in_zone = ROWS[words]
    session = first_session(context, ours)
    assert (session is not None and len(session.id) == 32) is has_id
    assert own_sessions(library, context) == in_memory
    if session is not None:
        assert is_resumed(other, ours, session) is in_zone
        assert is_resumed(context, ours, session) is (in_memory or in_zone)
        assert is_resumed(context, ours, session) is (in_memory or in_zone)  # as often as it likes
    if "shared" in words:
        assert (workers.table.get(session.id) is not None) is in_zone


@pytest.mark.parametrize("words", CACHES)
def test_without_tickets_tls_1_3(workers: Workers, library: Library, pki: Pki, words: str) -> None:
    settings = {"ssl_session_cache": CACHES[words], "ssl_session_tickets": False}
    context, other = workers.context(**settings), workers.context(**settings)
    ours = client(pki, V13)
    _, in_memory, in_zone = ROWS[words]
    session = first_session(context, ours)
    assert session.has_ticket is (in_memory or in_zone)
    assert own_sessions(library, context) == in_memory
    assert is_resumed(other, ours, session) is in_zone
    assert is_resumed(context, ours, first_session(context, ours)) is (in_memory or in_zone)
    if "shared" in words:
        assert workers.table.count() >= 2


@pytest.mark.parametrize("words", ["off", "none"])
def test_a_zone_that_is_held_but_not_used(workers: Workers, pki: Pki, words: str) -> None:
    cache = SessionCache(Keeping(words), zone=ZONE)
    context = workers.context(ssl_session_cache=cache, ssl_session_tickets=False)
    first_session(context, client(pki, V12))
    first_session(context, client(pki, V13))
    assert workers.zones.named(ZONE.name, ZONE.size).table is None or workers.table.count() == 0


def test_builtin_has_its_size(workers: Workers, library: Library, pki: Pki) -> None:
    context = workers.context(ssl_session_cache=SessionCache(Keeping.BUILTIN, 3), ssl_session_tickets=False)
    ours = client(pki, V12)
    sessions = [first_session(context, ours) for _ in range(5)]
    assert 1 < own_sessions(library, context) <= 3
    assert is_resumed(context, ours, sessions[4])
    assert [is_resumed(context, ours, session) for session in sessions[:2]] == [False, False]


def test_a_context_that_goes_takes_nothing_out_of_the_zone(workers: Workers, library: Library, pki: Pki) -> None:
    settings = {"ssl_session_cache": BOTH, "ssl_session_tickets": False}
    context, other = workers.context(**settings), workers.context(**settings)
    ours = client(pki, V12)
    session = first_session(context, ours)
    assert own_sessions(library, context) == 1
    kept = context._keep  # its callbacks, so that nothing depends on what is let go first
    del context
    gc.collect()
    assert kept
    assert workers.table.count() == 1
    assert is_resumed(other, ours, session)


# openssl s_client


def s_client(port: int, *arguments: str) -> str:
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stdout


@pytest.mark.parametrize("words", CACHES)
@pytest.mark.parametrize("tickets", [True, False])
def test_reconnecting_with_openssl(workers: Workers, words: str, tickets: bool) -> None:
    context = workers.context(ssl_session_cache=CACHES[words], ssl_session_tickets=tickets)
    with serving(context, clients=6) as served:
        output = s_client(served.port, "-tls1_2", "-reconnect")
    resumes = tickets or ROWS[words][1] or ROWS[words][2]
    found = re.findall(r"^(New|Reused), TLSv1\.2", output, re.MULTILINE)
    assert found == ["New", *(["Reused" if resumes else "New"] * 5)]


@pytest.mark.parametrize("words", CACHES)
@pytest.mark.parametrize("tickets", [True, False])
def test_a_session_in_a_file_of_openssl(workers: Workers, tmp_path: Path, words: str, tickets: bool) -> None:
    context = workers.context(ssl_session_cache=CACHES[words], ssl_session_tickets=tickets)
    path = tmp_path / "session"
    with serving(context, clients=1, hangs_up=True) as served:
        s_client(served.port, "-tls1_3", "-sess_out", str(path), "-ign_eof")
    resumes = tickets or ROWS[words][1] or ROWS[words][2]
    assert path.exists() is resumes
    if resumes:
        with serving(context, clients=1, hangs_up=True) as served:
            assert "Reused, TLSv1.3" in s_client(served.port, "-tls1_3", "-sess_in", str(path), "-ign_eof")


# Lifetimes


def stored(workers: Workers) -> tuple[bytes, bytes]:
    """Id and value of the youngest session in the zone."""
    table = workers.table
    with table._env.begin() as reading, reading.cursor(db=table._log) as cursor:
        assert cursor.last()
        entry = bytes(cursor.value())
    value = entry[-(len(entry) - 17 - entry[16]) :]
    return entry[17 : 17 + entry[16]], value


def aged(value: bytes, seconds: int) -> bytes:
    """The serialised session as if it had been made so many seconds earlier."""
    tag = b"\xa1\x06\x02\x04"  # [1] INTEGER of four bytes: the time
    assert value.count(tag) == 1
    place = value.index(tag) + len(tag)
    made = int.from_bytes(value[place : place + 4], "big") - seconds
    return value[:place] + made.to_bytes(4, "big") + value[place + 4 :]


def lifetime(value: bytes) -> int:
    """The timeout in a serialised session."""
    found = re.search(rb"\xa2[\x03\x04]\x02([\x01\x02])", value, re.DOTALL)
    assert found is not None
    return int.from_bytes(value[found.end() : found.end() + found[1][0]], "big")


def grow_old(workers: Workers, seconds: int) -> None:
    key, value = stored(workers)
    workers.table.put(key, aged(value, seconds), time.time() + 1000)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_session_is_not_resumed_after_its_time(
    workers: Workers, pki: Pki, version: ssl.TLSVersion
) -> None:
    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    for age, expected in ((290, True), (300, False), (301, False)):
        ours = client(pki, version)
        session = first_session(context, ours)
        grow_old(workers, age)
        assert is_resumed(context, ours, session) is expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_shorter_timeout_is_obeyed_at_once(workers: Workers, pki: Pki, version: ssl.TLSVersion) -> None:
    """As after a reload."""
    before = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False, ssl_session_timeout=1000)
    after = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False, ssl_session_timeout=100)
    for age, expected in ((90, True), (100, False)):
        ours = client(pki, version)
        session = first_session(before, ours)
        grow_old(workers, age)
        assert is_resumed(after, ours, session) is expected


@pytest.mark.parametrize("cache", [SHARED, BOTH])
def test_resuming_does_not_extend_a_stateful_tls_1_3_session(
    workers: Workers, pki: Pki, cache: SessionCache
) -> None:
    settings = {"ssl_session_cache": cache, "ssl_session_tickets": False}
    ours = client(pki, V13)
    session = first_session(workers.context(**settings), ours)
    assert session.ticket_lifetime_hint == 300
    for age, left in ((100, 200), (150, 50), (20, 30)):
        grow_old(workers, age)
        # Another worker each time, which knows the session from the zone only.
        session = first_session(workers.context(**settings), ours, session)
        assert left - 20 <= session.ticket_lifetime_hint <= left
        assert left - 20 <= lifetime(stored(workers)[1]) <= left
    grow_old(workers, 30)
    assert not is_resumed(workers.context(**settings), ours, session)


def test_resuming_does_not_extend_a_cached_tls_1_2_session(workers: Workers, pki: Pki) -> None:
    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    ours = client(pki, V12)
    session = first_session(context, ours)
    for age, expected in ((100, True), (100, True), (100, False)):
        grow_old(workers, age)
        assert is_resumed(context, ours, session) is expected


def test_a_timeout_of_zero_resumes_nothing(workers: Workers, pki: Pki) -> None:
    for tickets, version in itertools.product((True, False), VERSIONS):
        context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=tickets, ssl_session_timeout=0)
        ours = client(pki, version)
        assert not is_resumed(context, ours, first_session(context, ours))


# What must not resume


@pytest.mark.parametrize("tickets", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_not_under_another_certificate(workers: Workers, pki: Pki, version: ssl.TLSVersion, tickets: bool) -> None:
    settings = {"ssl_session_cache": SHARED, "ssl_session_tickets": tickets}
    context = workers.context(**settings)
    other = workers.context(**settings, ssl_certificate=(pki.ecdsa,), ssl_certificate_key=(pki.ecdsa_key,))
    ours = client(pki, version)
    assert not is_resumed(other, ours, first_session(context, ours))
    assert is_resumed(workers.context(**settings), ours, first_session(context, ours))


@pytest.mark.parametrize("tickets", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_not_under_other_client_authorities(
    workers: Workers, pki: Pki, version: ssl.TLSVersion, tickets: bool
) -> None:
    settings = {"ssl_session_cache": SHARED, "ssl_session_tickets": tickets, "ssl_verify_client": "optional"}
    contexts = [
        workers.context(**settings, **files)
        for files in (
            {"ssl_client_certificate": pki.root},
            {"ssl_client_certificate": pki.ecdsa},
            {"ssl_trusted_certificate": pki.root},
            {"ssl_trusted_certificate": pki.ecdsa},
        )
    ]
    for made, asked in itertools.product(contexts, contexts):
        ours = client(pki, version)
        assert is_resumed(asked, ours, first_session(made, ours)) is (made is asked)


def _garbage(value: bytes) -> bytes:
    return os.urandom(len(value))


def _short(value: bytes) -> bytes:
    return value[: len(value) // 2]


def _empty(_value: bytes) -> bytes:
    return b""


def _other_id(value: bytes) -> bytes:
    """Of somebody else."""
    place = value.index(b"\x04\x20") + 2
    return value[:place] + os.urandom(32) + value[place + 32 :]


def _huge_length(value: bytes) -> bytes:
    return b"\x30\x84\xff\xff\xff\xff" + value[4:]


@pytest.mark.parametrize("spoil", [_garbage, _short, _empty, _other_id, _huge_length])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_wrong_in_the_store_means_a_full_handshake(
    workers: Workers, library: Library, pki: Pki, version: ssl.TLSVersion, spoil: Callable[[bytes], bytes]
) -> None:
    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    ours = client(pki, version)
    session = first_session(context, ours)
    key, value = stored(workers)
    workers.table.put(key, spoil(value), time.time() + 300)
    assert not is_resumed(context, ours, session)
    assert library.lib.ERR_peek_error() == 0


def test_a_session_that_broke_is_forgotten(workers: Workers, pki: Pki) -> None:
    """A fatal alert makes a session unfit for resumption (RFC 5246 section 7.2.2)."""
    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    ours = client(pki, V12)
    with connected(context, ours) as (connection, peer):
        session = peer.tls.session
        assert session is not None
        assert workers.table.get(session.id) is not None
        peer.socket.sendall(b"\x17\x03\x03\x00\x20" + os.urandom(32))  # a record with a wrong MAC
        with pytest.raises(TlsError):
            connection.read(100)
    assert workers.table.get(session.id) is None
    assert not is_resumed(context, ours, session)


# The store fails


class BrokenTable(LmdbTable):
    """A table that is closed: every call fails."""

    def __init__(self, path: str) -> None:
        super().__init__(path, 65536)
        self.close()


@pytest.mark.parametrize("tickets", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_handshakes_go_on_when_the_store_fails(
    library: Library, pki: Pki, tmp_path: Path, version: ssl.TLSVersion, tickets: bool
) -> None:
    zones = Zones()
    context = make_context(library, pki, zones=zones, ssl_session_cache=SHARED, ssl_session_tickets=tickets)
    zone = zones.named(ZONE.name, ZONE.size)
    heard: list[str] = []
    zone.table, zone.warn = BrokenTable(str(tmp_path / "table")), heard.append
    ours = client(pki, version)
    session = first_session(context, ours)
    assert is_resumed(context, ours, session) is tickets
    (line,) = heard  # once, not for each handshake
    assert line.startswith(
        'ticket keys cannot be shared in zone "SSL": '
        if tickets
        else 'could not allocate new session in SSL session shared cache "SSL" ('
    )


def test_a_failure_of_ours_in_a_callback_is_reported_and_ends_nothing(
    workers: Workers, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(errors, "_stale_listener", heard.append)

    def fail(*_arguments: object) -> None:
        raise RuntimeError("with a secret in it")

    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    monkeypatch.setattr(workers.table, "put", fail)
    first_session(context, client(pki, V12))
    assert len(heard) == 1
    assert re.fullmatch(r"TLS callback failed: RuntimeError at .*/test_session_cache\.py:\d+", heard[0])


# Sizes


@pytest.mark.parametrize("version", VERSIONS)
def test_how_large_a_session_is(workers: Workers, pki: Pki, version: ssl.TLSVersion) -> None:
    """A megabyte must hold 4000: with its key and what the table adds, 262 bytes each."""
    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    first_session(context, client(pki, version))
    assert len(stored(workers)[1]) <= 200


@pytest.mark.parametrize("version", VERSIONS)
def test_full_means_oldest_out(workers: Workers, pki: Pki, version: ssl.TLSVersion) -> None:
    context = workers.context(ssl_session_cache=SHARED, ssl_session_tickets=False)
    ours = client(pki, version)
    old = first_session(context, ours)
    oldest, value = stored(workers)
    number = 0
    while workers.table.get(oldest) is not None:
        number += 1
        workers.table.put(os.urandom(32), value, time.time() + 300)
        assert number < 10000
    assert number >= 3999
    assert not is_resumed(context, ours, old)
    assert is_resumed(context, ours, first_session(context, ours))
