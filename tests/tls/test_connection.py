"""TLS on a socket pair: the handshake, reading and writing, with Python's TLS and openssl at the other end."""

import contextlib
import os
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator

import pytest

from gatepost.errors import TlsError
from gatepost.log import Level
from gatepost.tls._abi import ffi
from gatepost.tls._load import Library
from gatepost.tls.connection import DONE, EOF, READ_BYTES, WANT_READ, WANT_WRITE, Connection, _scratch, recv_buffer
from gatepost.tls.facts import Facts

from .clients import (
    BOTH,
    V12,
    V13,
    Client,
    client_context,
    connected,
    limited,
    make_context,
    pair,
    refusal,
    shake_hands,
)
from .pki import Pki
from .served import serving

# Handshake


@BOTH
def test_a_session(library: Library, pki: Pki, version: ssl.TLSVersion) -> None:
    with connected(make_context(library, pki), limited(pki, version)) as (connection, client):
        assert connection.facts.protocol.decode() == version.name.replace("_", ".")
        assert connection.read(100) == WANT_READ
        client.send(b"a1 NOOP\r\n")
        assert connection.read(100) == b"a1 NOOP\r\n"
        assert connection.write(b"a1 OK\r\n") == 7
        assert client.read() == b"a1 OK\r\n"
        assert not connection.has_pending()


@BOTH
def test_a_client_hello_byte_by_byte(library: Library, pki: Pki, version: ssl.TLSVersion) -> None:
    with pair(make_context(library, pki), limited(pki, version)) as (connection, client):
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        for byte in client.take():
            assert connection.handshake() == WANT_READ
            client.socket.sendall(bytes((byte,)))
        shake_hands(connection, client)
        assert connection.facts.protocol.decode() == version.name.replace("_", ".")


@BOTH
def test_what_comes_with_the_finished_is_pending(library: Library, pki: Pki, version: ssl.TLSVersion) -> None:
    """The library reads ahead: the descriptor will not become readable for these bytes."""
    with pair(make_context(library, pki), limited(pki, version)) as (connection, client):
        while not client.is_done:
            client.receive()
            with contextlib.suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
                client.is_done = True
            if client.is_done and version is V13:
                client.tls.write(b"early bird\r\n")
            client.flush()
            outcome = connection.handshake()
        assert outcome == DONE
        assert connection.has_pending()
        if version is V12:
            client.send(b"early bird\r\n")
        assert connection.read(100) == b"early bird\r\n"
        assert not connection.has_pending()


def test_a_client_hello_one_byte_at_a_time(library: Library, pki: Pki) -> None:
    with pair(make_context(library, pki), client_context(pki)) as (connection, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.tls.do_handshake()
        hello = client._out.read()
        assert len(hello) > 200
        for position in range(len(hello)):
            assert connection.handshake() == WANT_READ
            client.socket.sendall(hello[position : position + 1])
        shake_hands(connection, client)
        assert connection.facts.protocol == b"TLSv1.3"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "http request"),
        (b"CONNECT localhost:993 HTTP/1.1\r\n\r\n", "https proxy request"),
        (b"a1 LOGIN joe secret\r\n", "wrong version number"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", "length too short"),
        (b"\x16\x03\x01\xff\xff" + b"x" * 100, "length too long"),
        (b"\x17\x03\x03\x00\x05hello", "unexpected message"),
        (bytes(200), "wrong version number"),
        (b"\xff" * 300, "wrong version number"),
    ],
)
def test_a_client_that_does_not_speak_tls(library: Library, pki: Pki, sent: bytes, reason: str) -> None:
    with pair(make_context(library, pki), client_context(pki)) as (connection, client):
        client.socket.sendall(sent)
        with pytest.raises(TlsError) as caught:
            connection.handshake()
        assert caught.value.level == Level.INFO
        assert str(caught.value).startswith("SSL_do_handshake() failed (SSL: error:")
        assert reason in str(caught.value)
        assert caught.value.reason.endswith((reason, "record layer failure"))  # since 3.2 the latter may follow
        assert connection.shutdown() == DONE
        with contextlib.suppress(BlockingIOError):
            assert client.socket.recv(100)[0] == 0x15  # an alert, or nothing at all


def test_a_client_that_refuses_our_certificate(library: Library, pki: Pki) -> None:
    strangers = ssl.create_default_context()
    with pair(make_context(library, pki), strangers) as (connection, client):
        error = refusal(connection, client)
        assert error.reason == "tlsv1 alert unknown ca"
        assert error.level == Level.INFO
        assert str(error).endswith(":SSL alert number 48)")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_a_client_that_goes_away_during_the_handshake(library: Library, pki: Pki, sent: bytes) -> None:
    with pair(make_context(library, pki), client_context(pki)) as (connection, client):
        client.socket.sendall(sent)
        client.socket.close()
        if sent and library.mode == "api":
            assert (
                connection.handshake() == WANT_READ
            )  # it has taken what is there; the next call learns of the end
        with pytest.raises(TlsError) as caught:
            connection.handshake()
        assert str(caught.value) == "peer closed connection in SSL handshake"
        assert caught.value.level == Level.INFO
        assert connection.shutdown() == DONE


@contextlib.contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), timeout=5)
        ours, _ = listener.accept()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_reset_during_the_handshake(library: Library, pki: Pki) -> None:
    with tcp_pair() as (ours, theirs):
        connection = Connection(make_context(library, pki), ours.fileno())
        assert connection.handshake() == WANT_READ
        reset(theirs)
        with pytest.raises(TlsError) as caught:
            connection.handshake()
        assert str(caught.value) == "peer closed connection in SSL handshake (104: Connection reset by peer)"
        assert caught.value.level == Level.INFO
        connection.free()


def test_a_reset_later(library: Library, pki: Pki) -> None:
    with tcp_pair() as (ours, theirs):
        connection = Connection(make_context(library, pki), ours.fileno())
        theirs.setblocking(False)
        client = Client(theirs, client_context(pki))
        shake_hands(connection, client)
        reset(theirs)
        with pytest.raises(TlsError, match=r"^SSL_read\(\) failed \(104: Connection reset by peer\)$") as caught:
            connection.read(100)
        assert caught.value.level == Level.INFO
        with pytest.raises(TlsError, match=r"^SSL_write\(\) failed .*\(32: Broken pipe\)$") as caught:
            connection.write(b"x")
        assert caught.value.level == Level.INFO
        assert connection.shutdown() == DONE
        connection.free()


def test_renegotiation_is_refused_without_an_error_of_ours(library: Library, pki: Pki) -> None:
    """A client that asks for it would have us do a handshake as often as it likes."""
    with serving(make_context(library, pki)) as served:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-tls1_2"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            while b"* OK ready" not in client.stdout.readline():
                assert client.poll() is None
            client.stdin.write(b"R\n")
            client.stdin.flush()
            output = client.stdout.read()  # the client gives up by itself
    assert b"no renegotiation" in output
    error = served.results[0]
    assert isinstance(error, TlsError)
    assert error.reason.endswith("alert handshake failure")  # the client's alert, not ours
    assert error.level == Level.INFO


# Reading and writing


def test_reading_by_limit(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        client.send(b"0123456789")
        assert connection.read(4) == b"0123"
        assert connection.has_pending()
        assert connection.read(4) == b"4567"
        assert connection.read(4) == b"89"
        assert not connection.has_pending()
        assert connection.read(4) == WANT_READ


def test_several_records_are_one_read(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        for part in (b"one ", b"two ", b"three"):
            client.send(part)
        assert connection.read(READ_BYTES) == b"one two three"
        assert not connection.has_pending()


def test_a_read_gives_no_more_than_its_buffer_holds(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        sent = os.urandom(READ_BYTES + 1)
        client.socket.setblocking(True)
        client.tls.write(sent)
        data = client._out.read()
        received = b""
        while len(received) < len(sent):
            client.socket.sendall(data[:10000])
            data = data[10000:]
            got = connection.read(1 << 20)
            if isinstance(got, bytes):
                assert 0 < len(got) <= READ_BYTES
                received += got
        assert received == sent


def test_what_was_read_is_not_left_behind(library: Library, pki: Pki) -> None:
    # The memory that everybody reads into outlives the session, whose password was among what it read.
    with connected(make_context(library, pki), client_context(pki)) as (connection, peer):
        for data in (b"a LOGIN user secret\r\n", b"x", b"y" * 5000):
            peer.send(data)
            assert read_all(connection, len(data)) == data
            assert not any(ffi.buffer(_scratch(), READ_BYTES)[:])
        peer.send(b"what nobody reads any more")
        connection.shutdown()
        assert connection.shutdown() == WANT_READ
        assert not any(ffi.buffer(_scratch(), READ_BYTES)[:])


def read_all(connection: Connection, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.read(READ_BYTES)
        assert isinstance(piece, bytes)
        found += piece
    return found


def test_reading_into_a_buffer(library: Library, pki: Pki) -> None:
    buffer = recv_buffer(8)
    assert (buffer.size, len(buffer.view)) == (8, 8)
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        assert connection.read_into(buffer) == WANT_READ
        client.send(b"0123456789")
        assert connection.read_into(buffer) == 8
        assert bytes(buffer.view) == b"01234567"
        assert connection.read_into(buffer) == 2
        assert bytes(buffer.view[:2]) == b"89"
        client.close_notify()
        assert connection.read_into(buffer) == EOF


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_writing_from_any_memory(library: Library, pki: Pki, kind: type) -> None:
    data = os.urandom(50000)
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        assert connection.write(kind(data)) == len(data)
        received = b""
        while (more := client.read()) is not None:
            received += more
        assert received == data


def test_writing_from_a_shared_buffer(library: Library, pki: Pki) -> None:
    buffer = recv_buffer(100)
    buffer.view[:5] = b"hello"
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        assert connection.write(buffer.view[1:5]) == 4
        assert client.read() == b"ello"
        assert connection.write(b"") == 0


def test_a_client_that_does_not_read(library: Library, pki: Pki) -> None:
    """What was not taken comes again from another place in memory."""
    data = os.urandom(3 << 20)
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        taken = connection.write(data)
        assert 0 < taken < len(data)
        assert connection.write(bytes(data[taken:])) == WANT_WRITE
        received = bytearray()
        while len(received) < len(data):
            while (more := client.read()) is not None:
                received += more
            if taken < len(data):
                count = connection.write(memoryview(data)[taken:])
                taken += max(0, count)
        assert received == data


# openssl s_client


def s_client(port: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
@pytest.mark.parametrize(
    ("algorithms", "shown"),
    [("RSA-PSS+SHA256:RSA+SHA256", "RSA-PSS"), ("ECDSA+SHA256", "ECDSA"), ("ecdsa_secp256r1_sha256", "ECDSA")],
)
def test_signature_algorithms_choose_the_certificate(
    library: Library, pki: Pki, version: str, algorithms: str, shown: str
) -> None:
    context = make_context(
        library, pki, ssl_certificate=(pki.rsa, pki.ecdsa), ssl_certificate_key=(pki.rsa_key, pki.ecdsa_key)
    )
    with serving(context) as served:
        done = s_client(
            served.port, f"-{version}", "-sigalgs", algorithms, "-CAfile", pki.root, "-verify_return_error"
        )
    assert f"Peer signature type: {shown}\n" in done.stdout
    assert "Verify return code: 0 (ok)" in done.stdout
    assert isinstance(served.results[0], tuple)


def test_a_wrong_alpn_is_refused(library: Library, pki: Pki) -> None:
    with serving(make_context(library, pki), clients=2, hangs_up=True) as served:
        refused = s_client(served.port, "-alpn", "http/1.1")
        accepted = s_client(served.port, "-alpn", "imap", "-quiet")
    assert refused.returncode != 0
    assert "alert no application protocol" in refused.stderr
    error = served.results[0]
    assert isinstance(error, TlsError)
    assert str(error) == ("SSL_do_handshake() failed (SSL: error:0A0000EB:SSL routines::no application protocol)")
    assert accepted.stdout == "* OK ready\n"
    facts = served.results[1]
    assert isinstance(facts, tuple)
    assert isinstance(facts[0], Facts)
    assert facts[0].protocol == b"TLSv1.3"


def test_resuming_with_openssl(library: Library, pki: Pki) -> None:
    path = pki.directory / f"session.{library.mode}"
    with serving(make_context(library, pki), clients=2, hangs_up=True) as served:
        first = s_client(served.port, "-sess_out", str(path), "-ign_eof")
        second = s_client(served.port, "-sess_in", str(path), "-ign_eof")
    assert "New, TLSv1.3" in first.stdout
    assert "Reused, TLSv1.3" in second.stdout
