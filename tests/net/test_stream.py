"""Streams over real sockets, in the clear and under TLS, on both kinds of loops."""

import asyncio
import errno
import os
import socket
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.errors import TlsError
from gatepost.net.stream import Stream, StreamError, connect
from tests.wire import Far, TlsFar, contexts, pair, poller, story

from .streams import either, tls_pair, ways

Loop = asyncio.AbstractEventLoop


def reset_text(call: str) -> str:
    return f"{call}() failed (104: Connection reset by peer)"


# Reading -----------------------------------------------------------------------------------------


@ways
@story
async def test_reads_what_comes_and_then_the_end(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls)
    reading = asyncio.ensure_future(stream.read(100))
    await asyncio.sleep(0)
    await far.write(b"hello")
    assert await reading == b"hello"
    await far.write(b"0123456789")
    assert await stream.read(4) == b"0123"
    assert await stream.read(100) == b"456789"
    far.end()  # under TLS this is an end without close_notify: mail clients do that
    assert await stream.read(100) == b""
    assert await stream.read(100) == b""
    stream.close()
    far.close()


@story
async def test_what_comes_with_the_last_flight_of_the_handshake_is_read(loop: Loop) -> None:
    ours, theirs = contexts()
    one, other = pair()
    far, stream = TlsFar(one, theirs), Stream(poller(loop), other)
    shaking = asyncio.ensure_future(stream.start_tls(ours))
    await far.handshake(hold_last_flight=True)
    far.hold(b"a LOGIN joe secret\r\n")
    far.hold_close_notify()
    far.send_now()
    await shaking
    assert await stream.read(100) == b"a LOGIN joe secret\r\n"
    assert await stream.read(100) == b""
    stream.close()
    far.close()


@story
async def test_a_reset_has_a_text_for_the_log(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    reading = asyncio.ensure_future(stream.read(100))
    await asyncio.sleep(0)
    Far(one).reset()
    with pytest.raises(StreamError) as caught:
        await reading
    assert str(caught.value) == reset_text("recv")
    assert (caught.value.call, caught.value.code) == ("recv", errno.ECONNRESET)
    stream.close()


@story
async def test_bytes_ahead_of_a_reset_are_read(loop: Loop) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    reading = asyncio.ensure_future(stream.read(100))
    await asyncio.sleep(0.01)
    one.send(b"last words")
    far.reset()
    assert await reading == b"last words"
    with pytest.raises(StreamError):
        await stream.read(100)
    stream.close()


@story
async def test_peeking_leaves_what_has_arrived(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    peeking = asyncio.ensure_future(stream.peek(4))
    await asyncio.sleep(0)
    one.send(b"0123456789")
    assert await peeking == b"0123"
    assert await stream.peek(100) == b"0123456789"
    stream.take(7)
    assert await stream.read(100) == b"789"
    one.shutdown(socket.SHUT_WR)
    assert await stream.peek(100) == b""
    assert await stream.read(100) == b""
    stream.close()
    one.close()


@story
async def test_a_reset_ends_peeking_and_taking(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    Far(one).reset()
    with pytest.raises(StreamError, match=r"^recv\(\) failed \(104: Connection reset by peer\)$"):
        await stream.peek(100)
    stream.close()
    one, other = pair()
    stream = Stream(poller(loop), other)
    Far(one).reset()
    with pytest.raises(StreamError, match=r"^recv\(\) failed \(104: Connection reset by peer\)$"):
        stream.take(1)
    # The kernel tells of a reset once; nothing is there to be taken for ever.
    with pytest.raises(StreamError, match=r"^recv\(\) failed \(104: Connection reset by peer\)$"):
        stream.take(1)
    stream.close()


@story
async def test_our_end_of_the_connection(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    assert stream.local_address == Address(socket.AF_INET, *one.getpeername())
    stream.close()
    one.close()
    left, right = socket.socketpair()
    stream = Stream(poller(loop), right)
    assert stream.local_address == unix("")
    stream.close()
    left.close()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        left = socket.create_connection(listener.getsockname()[:2])
        right = listener.accept()[0]
    stream = Stream(poller(loop), right)
    assert stream.local_address == Address(socket.AF_INET6, "::1", left.getpeername()[1])
    stream.close()
    left.close()


@story
async def test_a_reset_under_tls_is_a_tls_error(loop: Loop) -> None:
    far, stream = await tls_pair(poller(loop))
    far.reset()
    with pytest.raises(TlsError, match=r"SSL_read\(\) failed .*104: Connection reset by peer"):
        await stream.read(100)
    stream.close()


@story
async def test_no_handshake_without_a_client_hello(loop: Loop) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    await far.write(b"a LOGIN joe secret\r\n")
    with pytest.raises(TlsError, match="SSL_do_handshake"):
        await stream.start_tls(contexts()[0])
    stream.close()
    far.close()


@story
async def test_a_client_that_says_nothing_costs_no_handshake(loop: Loop) -> None:
    ours, theirs = contexts()
    one, other = pair()
    far, stream = TlsFar(one, theirs), Stream(poller(loop), other)
    shaking = asyncio.ensure_future(stream.start_tls(ours))
    await asyncio.sleep(0.01)
    assert stream.tls is None
    await far.handshake()
    await shaking
    assert stream.tls is not None
    stream.close()
    far.close()


# Writing -----------------------------------------------------------------------------------------


@ways
@story
async def test_all_of_it_is_written_through_small_buffers(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls, small=True)
    data = os.urandom(1_000_003)
    writing = asyncio.ensure_future(stream.write(data))
    assert await far.read_exactly(len(data)) == data
    await writing
    stream.close()
    far.close()


@ways
@story
async def test_writes_one_after_the_other_keep_their_order(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls, small=True)
    pieces = [os.urandom(size) for size in (1, 16384, 16385, 70000, 3, 300000)]

    async def write_all() -> None:
        for piece in pieces:
            await stream.write(piece)

    writing = asyncio.ensure_future(write_all())
    whole = b"".join(pieces)
    assert await far.read_exactly(len(whole)) == whole
    await writing
    stream.close()
    far.close()


@story
async def test_writing_to_who_is_gone_has_a_text_for_the_log(loop: Loop) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    far.reset()
    with pytest.raises(StreamError) as caught:
        await stream.write(b"hello")
    assert str(caught.value) in (reset_text("send"), "send() failed (32: Broken pipe)")
    stream.close()


@story
async def test_writing_behind_the_end_of_a_client_that_is_gone_fails_too(loop: Loop) -> None:
    far, stream = await tls_pair(poller(loop))
    far.hold_close_notify()
    await far.flush()
    far.close()
    assert await stream.read(10) == b""
    with pytest.raises((StreamError, TlsError)):
        await stream.write(bytes(20_000_000))
    stream.close()


# Connecting --------------------------------------------------------------------------------------


@story
async def test_connects_and_talks(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = connect(poller(loop), Address(socket.AF_INET, *listener.getsockname()))
        assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        reading = asyncio.ensure_future(stream.read(100))
        await asyncio.sleep(0.01)
        far = Far(listener.accept()[0])
    await far.write(b"* OK hi\r\n")
    assert await reading == b"* OK hi\r\n"
    stream.close()
    far.close()


@story
async def test_a_refused_connection_shows_at_the_first_read(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(socket.AF_INET, *listener.getsockname())
    stream = connect(poller(loop), address)
    with pytest.raises(StreamError) as caught:
        await stream.read(100)
    assert str(caught.value) == "recv() failed (111: Connection refused)"
    stream.close()


@story
async def test_a_unix_socket_that_is_not_there_is_told_at_once(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(StreamError) as caught:
        connect(poller(loop), unix(str(tmp_path / "none")))
    assert (caught.value.call, caught.value.code) == ("connect", errno.ENOENT)


@story
async def test_a_unix_socket_whose_queue_is_full_is_told_at_once(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "busy")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)  # room for one
        waiting = connect(poller(loop), unix(path))
        with pytest.raises(StreamError) as caught:
            connect(poller(loop), unix(path))
    assert (caught.value.call, caught.value.code) == ("connect", errno.EAGAIN)
    waiting.close()


@story
async def test_a_path_too_long_for_a_unix_socket_is_an_error_like_others(loop: Loop) -> None:
    with pytest.raises(StreamError) as caught:
        connect(poller(loop), unix("/" + "x" * 200))
    assert caught.value.call == "connect"
