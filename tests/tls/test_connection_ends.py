"""How TLS connections end: said or not, by either side, and what is left of them."""

import contextlib
import dataclasses
import gc
import socket
import ssl
from typing import Any

import pytest

from gatepost.errors import TlsError
from gatepost.log import Level
from gatepost.tls import errors
from gatepost.tls._load import Library
from gatepost.tls.connection import DONE, WANT_READ, WANT_WRITE, Connection

from .clients import BOTH, V13, client_context, connected, limited, make_context, pair, shake_hands
from .pki import Pki


@BOTH
def test_a_clean_end(library: Library, pki: Pki, version: ssl.TLSVersion) -> None:
    with connected(make_context(library, pki), limited(pki, version)) as (connection, client):
        client.close_notify()
        assert connection.read(100) == b""
        assert connection.read(100) == b""
        assert connection.has_pending()
        assert connection.shutdown() == DONE
        assert client.read() == b""


def test_a_bare_close_is_an_end_too(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        client.send(b"bye\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert connection.read(100) == b"bye\r\n"
        assert connection.read(100) == b""


def test_an_end_right_behind_data_is_not_lost(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        client.tls.write(b"a9 LOGOUT\r\n")
        client.close_notify()
        assert connection.read(100) == b"a9 LOGOUT\r\n"
        assert connection.has_pending()
        assert connection.read(100) == b""


def test_garbage_right_behind_data_is_not_lost(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        client.send(b"good")
        client.socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert connection.read(100) == b"good"
        assert connection.has_pending()
        for _ in range(2):
            with pytest.raises(TlsError) as caught:
                connection.read(100)
            assert "decryption failed or bad record mac" in str(caught.value)
            assert caught.value.level == Level.INFO
        assert library.lib.ERR_peek_error() == 0


def test_replies_after_the_clients_end_are_delivered(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), limited(pki, V13)) as (connection, client):
        client.close_notify()
        assert connection.read(100) == b""
        assert connection.write(b"* BYE\r\n") == 7
        assert client.read() == b"* BYE\r\n"


def test_our_end_does_not_close_theirs(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), limited(pki, V13)) as (connection, client):
        client.send(b"still talking")
        assert connection.shutdown() == WANT_READ
        assert client.read() == b""
        assert connection.read(100) == b"still talking"
        assert connection.read(100) == WANT_READ


def test_waiting_for_their_end(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), limited(pki, V13)) as (connection, client):
        assert connection.shutdown() == WANT_READ
        client.send(b"still talking")
        assert connection.shutdown() == WANT_READ
        client.close_notify()
        assert connection.shutdown() == DONE


def test_a_close_notify_that_does_not_fit_is_sent_later(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        sent = 0
        while (count := connection.write(bytes(1 << 16))) > 0:
            sent += count
        client.receive()
        received = 0
        # The library still holds a record; it has to go first.
        for _ in range(100):
            while client.read() not in (None, b""):
                received += 1
            outcome = connection.write(bytes(1 << 16)) if count == WANT_WRITE else DONE
            count = 0
            if outcome != WANT_WRITE and connection.shutdown() != WANT_WRITE:
                break
        assert received > 0
        for _ in range(100):
            if client.read() == b"":
                return
        raise AssertionError("no close_notify")


def test_quiet(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        while client.read() is not None:
            continue
        connection.quiet()
        assert connection.shutdown() == DONE
        connection.free()
        with pytest.raises(BlockingIOError):
            client.socket.recv(100)


def test_shutdown_before_the_handshake_sends_nothing(library: Library, pki: Pki) -> None:
    with pair(make_context(library, pki), client_context(pki)) as (connection, client):
        assert connection.handshake() == WANT_READ
        assert connection.shutdown() == DONE
        with pytest.raises(BlockingIOError):
            client.socket.recv(100)


def test_free_twice_and_by_garbage_collection(library: Library, pki: Pki) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        context = make_context(library, pki)
        freed: list[Any] = []

        def free(handle: Any) -> None:
            freed.append(handle)
            library.fused.free(handle)

        connection = Connection(context, ours.fileno())
        connection._fused = dataclasses.replace(library.fused, free=free)
        connection.free()
        connection.free()
        connection.quiet()
        assert len(freed) == 1
        connection = Connection(context, ours.fileno())
        connection._fused = dataclasses.replace(library.fused, free=free)
        del connection
        gc.collect()
        assert len(freed) == 2
        assert ours.fileno() >= 0
        ours.send(b"the descriptor is not ours to close")
        assert theirs.recv(100)


@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize("with_data", [False, True])
def test_a_failed_read_leaves_nothing_to_the_garbage_collector(
    library: Library, pki: Pki, reads: int, with_data: bool
) -> None:
    def session() -> None:
        with connected(make_context(library, pki), client_context(pki)) as (connection, client):
            if with_data:
                client.send(b"good")
            client.socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            if with_data:
                assert connection.read(100) == b"good"
            for _ in range(reads):
                with contextlib.suppress(TlsError):
                    pytest.fail(f"read {connection.read(100)!r}")

    gc.collect()
    gc.disable()
    try:
        session()
        assert not [each for each in gc.get_objects() if type(each) is Connection]
    finally:
        gc.enable()


def test_stale_errors_of_others_do_no_harm(library: Library, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(errors, "_stale_listener", heard.append)

    def leave() -> None:
        library.lib.BIO_new_file(b"/nonexistent/file", b"r")

    with pair(make_context(library, pki), client_context(pki)) as (connection, client):
        leave()
        assert connection.handshake() == WANT_READ
        shake_hands(connection, client)
        client.send(b"data")
        leave()
        assert connection.read(100) == b"data"
        leave()
        assert connection.read(100) == WANT_READ
        leave()
        assert connection.write(b"reply") == 5
        leave()
        assert connection.shutdown() == WANT_READ
    assert len(heard) == 5
    assert heard[0].startswith("ignoring stale global SSL error (SSL: error:80000002:system library::")
