"""Ticket keys: files and their rotation, keys in a zone, and that resuming with a ticket extends nothing."""

import hashlib
import hmac
import os
import re
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gatepost.errors import ConfigError, Where
from gatepost.store.lmdb import LmdbTable
from gatepost.store.zones import SharedZone
from gatepost.tls import tickets
from gatepost.tls._load import Library
from gatepost.tls.context import Context
from gatepost.tls.settings import Keeping, SessionCache
from gatepost.tls.tickets import KeyRing, TicketKey, ZoneKeys, load_keys

from .clients import client_context, connected, first_session, is_resumed, make_context
from .pki import Pki
from .served import serving

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = [V12, V13]
NONE = SessionCache(Keeping.NONE)


def key_file(directory: Path, name: str, size: int) -> tuple[str, Where | None]:
    path = directory / name
    if not path.exists():
        path.write_bytes(os.urandom(size))
    return str(path), None


def with_keys(library: Library, pki: Pki, *files: tuple[str, Where | None], **settings: Any) -> Context:
    return make_context(library, pki, ssl_session_ticket_key=files, **settings)


def client(pki: Pki, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = client_context(pki)
    context.minimum_version = context.maximum_version = version
    return context


def resumed_and_renewed(server: Context, ours: ssl.SSLContext, session: ssl.SSLSession) -> tuple[bool, bool]:
    """Whether it was resumed, and whether the client was given another ticket."""
    with connected(server, ours, session) as (connection, peer):
        connection.write(b"hello")
        assert peer.read() == b"hello"
        connection.shutdown()
        now = peer.tls.session
        assert now is not None
        return connection.is_resumed, now != session and now.has_ticket


# Files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sizes", [(48, 48), (80, 80), (80, 48), (48, 80)])
def test_rotation(
    library: Library, pki: Pki, tmp_path: Path, version: ssl.TLSVersion, sizes: tuple[int, int]
) -> None:
    old, new = key_file(tmp_path, "old", sizes[0]), key_file(tmp_path, "new", sizes[1])
    first, both, last = (with_keys(library, pki, *files) for files in ((old,), (new, old), (new,)))
    ours = client(pki, version)
    session = first_session(first, ours)
    # Under the key that encrypts; TLS 1.3 clients get a new ticket always.
    assert resumed_and_renewed(first, ours, session) == (True, version is V13)
    # Under an older key: accepted, and renewed under the new one.
    session = first_session(first, ours)
    assert resumed_and_renewed(both, ours, session) == (True, True)
    renewed = first_session(both, ours, first_session(first, ours))
    assert is_resumed(last, ours, renewed)
    # Under a key that is no more: a full handshake, and a new ticket.
    assert resumed_and_renewed(last, ours, first_session(first, ours)) == (False, True)
    assert is_resumed(last, ours, first_session(last, ours, first_session(first, ours)))


def test_the_format_of_a_ticket(library: Library, pki: Pki, tmp_path: Path) -> None:
    """Any server with the same file can read it: what nginx writes can be resumed here, and the other way."""
    for size in (48, 80):
        file = key_file(tmp_path, f"{size}", size)
        context = with_keys(library, pki, file)
        ticket = ticket_of(s_client_session(context, tmp_path / "session", "-tls1_2"), Path(file[0]).read_bytes())
        assert ticket.plain[:1] == b"\x30"  # SSL_SESSION ::= SEQUENCE


@pytest.mark.parametrize("size", [0, 1, 47, 49, 79, 81, 4096])
def test_a_file_of_another_size(library: Library, pki: Pki, tmp_path: Path, size: int) -> None:
    path, _ = key_file(tmp_path, "key", size)
    with pytest.raises(ConfigError) as caught:
        with_keys(library, pki, (path, Where("mail.conf", 7)))
    assert str(caught.value) == f'"{path}" must be 48 or 80 bytes in mail.conf:7'


def test_files_that_cannot_be_read(library: Library, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_keys(library, [(f"{tmp_path}/none", Where("mail.conf", 7))])
    assert str(caught.value) == (f'open() "{tmp_path}/none" failed (2: No such file or directory) in mail.conf:7')
    with pytest.raises(ConfigError) as caught:
        load_keys(library, [(str(tmp_path), None)])
    assert str(caught.value) == f'open() "{tmp_path}" failed (21: Is a directory)'


def test_keys_are_never_shown(library: Library, tmp_path: Path) -> None:
    path, _ = key_file(tmp_path, "key", 80)
    ring = load_keys(library, [(path, None)])
    assert repr(ring) == "KeyRing(...)"
    assert repr(ring.keys()[0]) == "TicketKey(...)"
    assert not hasattr(ring.keys()[0], "__dict__")


# The lifetime


class Ticket:
    """A ticket in the session file of a client, or by itself, opened with its key."""

    def __init__(self, der: bytes, key: bytes) -> None:
        self._der = der
        self.start = der.index(key[:16])
        # The OCTET STRING around it: 04 81 LL or 04 82 LL LL.
        if self.start == 0:
            length = len(der)
        elif der[self.start - 3 : self.start - 1] == b"\x04\x81":
            length = der[self.start - 1]
        else:
            assert der[self.start - 4 : self.start - 2] == b"\x04\x82"
            length = int.from_bytes(der[self.start - 2 : self.start], "big")
        self.end = self.start + length
        self._iv = der[self.start + 16 : self.start + 32]
        body, mac = der[self.start + 32 : self.end - 32], der[self.end - 32 : self.end]
        if len(key) == 48:
            self._aes, self._hmac = key[16:32], key[32:48]
        else:
            self._hmac, self._aes = key[16:48], key[48:80]
        assert hmac.digest(self._hmac, der[self.start : self.end - 32], hashlib.sha256) == mac
        opened = Cipher(algorithms.AES(self._aes), modes.CBC(self._iv)).decryptor()
        padded = opened.update(body) + opened.finalize()
        self.plain = padded[: -padded[-1]]

    def made(self) -> int:
        """When, in seconds of the clock."""
        place = self.plain.index(b"\xa1\x06\x02\x04") + 4
        return int.from_bytes(self.plain[place : place + 4], "big")

    def lifetime(self) -> int:
        found = re.search(rb"\xa2[\x03\x04]\x02([\x01\x02])", self.plain, re.DOTALL)
        assert found is not None
        return int.from_bytes(self.plain[found.end() : found.end() + found[1][0]], "big")

    def aged(self, seconds: int) -> bytes:
        """The session file as if the ticket had been made so many seconds earlier."""
        place = self.plain.index(b"\xa1\x06\x02\x04") + 4
        plain = self.plain[:place] + (self.made() - seconds).to_bytes(4, "big") + self.plain[place + 4 :]
        padding = 16 - len(plain) % 16
        sealed = Cipher(algorithms.AES(self._aes), modes.CBC(self._iv)).encryptor()
        body = sealed.update(plain + bytes((padding,)) * padding) + sealed.finalize()
        front = self._der[self.start : self.start + 32] + body
        return (
            self._der[: self.start] + front + hmac.digest(self._hmac, front, hashlib.sha256) + self._der[self.end :]
        )


def ticket_of(der: bytes, key: bytes) -> Ticket:
    return Ticket(der, key)


def s_client(context: Context, *arguments: str) -> str:
    with serving(context, hangs_up=True) as served:
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-ign_eof", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout


def s_client_session(context: Context, path: Path, *arguments: str) -> bytes:
    """The session that a client has after connecting, in DER."""
    s_client(context, "-sess_out", str(path), *arguments)
    return converted(path.read_bytes(), "PEM", "DER")


def converted(data: bytes, given: str, wanted: str) -> bytes:
    return subprocess.run(
        ["openssl", "sess_id", "-inform", given, "-outform", wanted],
        input=data,
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout


def resumed_at(context: Context, ticket: Ticket, age: int, path: Path, version: str) -> tuple[bool, bytes]:
    """Whether a session with this ticket is resumed when it is so old, and the session or ticket afterwards."""
    path.write_bytes(converted(ticket.aged(age), "DER", "PEM"))
    output = s_client(context, "-sess_in", str(path), "-sess_out", f"{path}.next", version)
    kinds = re.findall("^(New|Reused), TLS", output, re.MULTILINE)
    assert len(kinds) == 1
    following = Path(f"{path}.next")
    if following.exists():
        der = converted(following.read_bytes(), "PEM", "DER")
        following.unlink()
        return kinds == ["Reused"], der
    # Of a TLS 1.2 session that was resumed s_client only shows the ticket.
    dump = re.findall(r"^    [0-9a-f]{3}0 - ((?:[0-9a-f]{2}[ -]){1,16})", output, re.MULTILINE)
    return kinds == ["Reused"], bytes.fromhex("".join(dump).replace("-", " "))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("size", [48, 80])
def test_a_ticket_is_not_resumed_after_its_time(
    library: Library, pki: Pki, tmp_path: Path, version: str, size: int
) -> None:
    file = key_file(tmp_path, "key", size)
    context = with_keys(library, pki, file, ssl_session_timeout=1000)
    secret, path = Path(file[0]).read_bytes(), tmp_path / "session"
    ticket = ticket_of(s_client_session(context, path, version), secret)
    assert ticket.lifetime() == 1000
    assert abs(ticket.made() - time.time()) < 100
    for age, expected in ((0, True), (900, True), (1000, False), (5000, False)):
        assert resumed_at(context, ticket, age, path, version)[0] is expected
    # A reload has shortened it.
    shorter = with_keys(library, pki, file, ssl_session_timeout=600)
    for age, expected in ((500, True), (600, False)):
        assert resumed_at(shorter, ticket, age, path, version)[0] is expected


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_chain_of_resumptions_ends_when_the_first_ticket_would(
    library: Library, pki: Pki, tmp_path: Path, version: str
) -> None:
    """Where tickets are renewed: always with TLS 1.3, with TLS 1.2 because the key is old."""
    old, new = key_file(tmp_path, "old", 80), key_file(tmp_path, "new", 80)
    keys = [Path(path).read_bytes() for path, _ in (old, new)]
    path = tmp_path / "session"
    contexts = [with_keys(library, pki, *files, ssl_session_timeout=1000) for files in ((old, new), (new, old))]
    ticket = ticket_of(s_client_session(contexts[0], path, version), keys[0])
    spent = 0
    # s_client does not write a renewed TLS 1.2 ticket to a file: there the chain is one link long.
    for turn, age in enumerate((300, 200, 400) if version == "-tls1_3" else (300,), 1):
        spent += age
        resumed, der = resumed_at(contexts[turn % 2], ticket, age, path, version)
        assert resumed
        ticket = ticket_of(der, keys[turn % 2])
        left = ticket.made() + ticket.lifetime() - time.time()
        assert 1000 - spent - 60 <= left <= 1000 - spent
    if version == "-tls1_3":
        resumed, der = resumed_at(contexts[0], ticket, 100, path, version)
        assert not resumed
        assert ticket_of(der, keys[0]).lifetime() == 1000  # of a new session


def test_a_chain_without_files(library: Library, pki: Pki) -> None:
    """The library's own keys, made with the context: the end travels in the ticket just the same."""
    context = make_context(library, pki, ssl_session_timeout=1000)
    ours = client(pki, V13)
    session = first_session(context, ours)
    for _ in range(3):
        session = first_session(context, ours, session)
        assert session.ticket_lifetime_hint <= 1000
        assert session.ticket_lifetime_hint > 900


# Keys in a zone


@pytest.fixture
def zone(tmp_path: Path) -> SharedZone:
    made = SharedZone("SSL", 65536)
    made.table = LmdbTable(str(tmp_path / "zone"), made.size)
    made.warn = pytest.fail
    return made


class Clock:
    """Stands in for the time module in tickets.py."""

    def __init__(self) -> None:
        self.now = (int(time.time()) // 300 + 1000) * 300.0  # the beginning of a span

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(tickets, "time", made)
    return made


def names(ring: KeyRing) -> list[bytes]:
    keys = ring.keys()
    return [key.name for key in keys]


def test_all_workers_have_the_same_key(library: Library, zone: SharedZone, clock: Clock) -> None:
    workers = [ZoneKeys(library, zone, 300) for _ in range(3)]
    assert names(workers[0]) == names(workers[1])
    clock.now += 299
    assert names(workers[0]) == names(workers[2])
    assert len(names(workers[0])) == 1


def test_a_key_encrypts_for_one_span_and_decrypts_for_another(
    library: Library, zone: SharedZone, clock: Clock
) -> None:
    fast, slow = ZoneKeys(library, zone, 300), ZoneKeys(library, zone, 300)
    first = names(fast)
    assert names(slow) == first
    clock.now += 300
    second = names(fast)
    assert second[0] != first[0]
    assert second[1:] == first
    clock.now += 100
    assert names(slow) == second
    clock.now += 200
    third = names(slow)
    assert third[1:] == second[:1]
    assert first[0] not in third
    # A worker that was born now knows as much as the others.
    assert names(ZoneKeys(library, zone, 300)) == third
    clock.now += 600  # nobody came for a whole span
    assert names(fast)[0] not in (*first, *second, *third)


def test_servers_with_other_timeouts_have_their_own(library: Library, zone: SharedZone, clock: Clock) -> None:
    assert clock.now > 0
    assert names(ZoneKeys(library, zone, 300)) != names(ZoneKeys(library, zone, 600))
    assert len(names(ZoneKeys(library, zone, 0))) == 1


def test_a_restart_forgets(library: Library, zone: SharedZone, tmp_path: Path, clock: Clock) -> None:
    before = names(ZoneKeys(library, zone, 300))
    zone.table = LmdbTable(str(tmp_path / "after"), zone.size)
    assert names(ZoneKeys(library, zone, 300)) != before
    assert clock.now > 0


def test_without_a_zone_each_worker_has_its_own(library: Library, zone: SharedZone, clock: Clock) -> None:
    zone.table = None
    ring = ZoneKeys(library, zone, 300)
    first = names(ring)
    assert names(ring) == first
    clock.now += 300
    assert names(ring)[1:] == first


def test_a_broken_zone_is_reported_once_in_a_span(library: Library, zone: SharedZone, clock: Clock) -> None:
    heard: list[str] = []
    zone.warn = heard.append
    assert isinstance(zone.table, LmdbTable)
    zone.table.close()
    ring = ZoneKeys(library, zone, 300)
    for _ in range(5):
        assert len(names(ring)) == 1
    assert len(heard) == 1
    assert heard[0].startswith('ticket keys cannot be shared in zone "SSL": ')
    assert clock.now > 0


def test_an_unknown_name_is_no_failure(library: Library) -> None:
    ring = KeyRing(library, [TicketKey(library, os.urandom(80))])
    name = library.ffi.new("unsigned char[16]")
    assert ring.open(name, library.ffi.NULL, library.ffi.NULL, library.ffi.NULL, renew=False) == 0
