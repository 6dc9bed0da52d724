"""The contract of the hot calls, the same in C and in Python."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from gatepost.tls._fused import AFTER_BITS, DONE, EOF, FAILED, SSL_ERROR_SSL, STALE, UNSENT, WANT_READ, WANT_WRITE
from gatepost.tls._load import Library

from .clients import Client, client_context, connected, make_context, pair
from .pki import Pki

RECORD_BYTES = 16384


@pytest.fixture
def both(library: Library, pki: Pki) -> Any:
    with connected(make_context(library, pki), client_context(pki)) as (connection, client):
        yield connection._ssl, client


def leave_error(library: Library) -> None:
    library.lib.BIO_new_file(b"/nonexistent/file", b"r")


def test_read_answers_a_count(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    buffer = library.ffi.new("char[]", 100)
    assert library.fused.read(handle, buffer, 100) == WANT_READ
    client.send(b"one")
    client.send(b"two")
    assert library.fused.read(handle, buffer, 100) == 6
    assert library.ffi.unpack(buffer, 6) == b"onetwo"
    assert library.fused.read(handle, buffer, 100) == WANT_READ


def test_read_stops_at_the_end_of_the_room(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    buffer = library.ffi.new("char[]", 5)
    client.send(b"one")
    client.send(b"two")
    assert library.fused.read(handle, buffer, 5) == 5
    assert library.fused.read(handle, buffer, 5) == 1
    assert library.ffi.unpack(buffer, 1) == b"o"


def test_read_tells_of_the_end_behind_the_bytes(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    buffer = library.ffi.new("char[]", 100)
    client.send(b"bye")
    client.close_notify()
    assert library.fused.read(handle, buffer, 100) == 3 | (1 - EOF) << AFTER_BITS
    assert library.fused.read(handle, buffer, 100) == EOF


def test_read_tells_of_a_failure_behind_the_bytes(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    buffer = library.ffi.new("char[]", 100)
    client.send(b"good")
    client.socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    failed = FAILED - SSL_ERROR_SSL
    assert library.fused.read(handle, buffer, 100) == 4 | (1 - failed) << AFTER_BITS
    assert library.lib.ERR_peek_error() != 0
    library.lib.ERR_clear_error()


def test_write_takes_several_records(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    data = os.urandom(3 * RECORD_BYTES + 5)
    assert library.fused.write(handle, data, len(data)) == len(data)
    received = b""
    while (more := client.read()) is not None:
        received += more
    assert received == data


def test_write_takes_what_fits_and_then_nothing(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    data = os.urandom(1 << 20)
    answer = library.fused.write(handle, data, len(data))
    taken = answer & ~UNSENT
    assert 0 < taken < len(data)
    assert library.fused.write(handle, data[taken:], len(data) - taken) == WANT_WRITE
    received = b""
    for _ in range(1000):
        while (more := client.read()) is not None:
            received += more
        if taken == len(data) and not answer & UNSENT:
            break
        # With nothing left to write, a write of nothing sends what is left behind.
        answer = library.fused.write(handle, data[taken:], len(data) - taken)
        taken += max(answer, 0) & ~UNSENT
    assert received == data


def test_write_of_nothing(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    assert library.fused.write(handle, b"", 0) == 0
    assert client.read() is None


def test_shutdown_answers_whether_both_have(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    assert library.fused.shutdown(handle) == 0
    assert client.read() == b""
    client.close_notify()
    assert library.fused.shutdown(handle) == 1


def test_a_foreign_error_stops_every_call(library: Library, both: tuple[Any, Client]) -> None:
    handle, client = both
    client.send(b"waiting")
    buffer = library.ffi.new("char[]", 100)
    calls: list[Callable[[], int]] = [
        lambda: library.fused.handshake(handle),
        lambda: library.fused.read(handle, buffer, 100),
        lambda: library.fused.write(handle, b"x", 1),
        lambda: library.fused.shutdown(handle),
    ]
    for call in calls:
        leave_error(library)
        assert call() == STALE
        library.lib.ERR_clear_error()
    assert library.fused.read(handle, buffer, 100) == 7


def test_handshake(library: Library, pki: Pki) -> None:
    with pair(make_context(library, pki), client_context(pki)) as (connection, client):
        assert library.fused.handshake(connection._ssl) == WANT_READ
        client.socket.close()
        assert library.fused.handshake(connection._ssl) == EOF
        assert library.lib.ERR_peek_error() == 0


def test_the_codes_are_apart() -> None:
    assert len({DONE, EOF, WANT_READ, WANT_WRITE, STALE}) == 5
    assert FAILED < STALE < WANT_WRITE < WANT_READ < EOF < DONE
