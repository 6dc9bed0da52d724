"""Streams over real sockets, in the clear and under TLS, on both kinds of loops."""

import asyncio
import errno
import fcntl
import os
import socket
import termios
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.errors import TlsError
from gatepost.net import stream as module
from gatepost.net.poller import Poller
from gatepost.net.stream import LINGER_BYTES, Stream, StreamError, connect
from tests.wire import Accounts, Far, TlsFar, contexts, pair, poller, story, until

Loop = asyncio.AbstractEventLoop
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 20  # callbacks


class PassedError(Exception):
    """What a deadline raises in a wait."""


def reset_text(call: str) -> str:
    return f"{call}() failed (104: Connection reset by peer)"


async def tls_pair(poller: Poller, *, small: bool = False) -> tuple[TlsFar, Stream]:
    """A client and our stream, hands shaken."""
    ours, theirs = contexts()
    one, other = pair(small=small)
    far, stream = TlsFar(one, theirs), Stream(poller, other)
    await asyncio.gather(far.handshake(), stream.start_tls(ours))
    return far, stream


async def either(poller: Poller, *, tls: bool, small: bool = False) -> tuple[Far, Stream]:
    if tls:
        return await tls_pair(poller, small=small)
    one, other = pair(small=small)
    return Far(one), Stream(poller, other)


ways = pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])


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


# What the loop is made to do ---------------------------------------------------------------------


@ways
@story
async def test_the_descriptor_is_registered_once(loop: Loop, tls: bool) -> None:
    accounts = Accounts(loop)
    far, stream = await either(accounts, tls=tls)
    accounts.registrations.clear()

    async def answer() -> None:
        while line := await stream.read(100):
            await stream.write(line)

    answering = asyncio.ensure_future(answer())
    for _ in range(50):
        await far.write(b"line\r\n")
        assert await far.read_line() == b"line\r\n"
    far.end()
    await answering
    assert sum(accounts.registrations.values()) <= 1
    stream.close()
    assert accounts.watched == set()
    far.close()


@ways
@story
async def test_a_client_that_talks_while_nobody_reads_costs_nothing(loop: Loop, tls: bool) -> None:
    accounts = Accounts(loop)
    far, stream = await either(accounts, tls=tls)
    reading = asyncio.ensure_future(stream.read(100))
    await asyncio.sleep(0)
    await far.write(b"one")
    assert await reading == b"one"
    before = accounts.runs
    await far.write(b"two")
    await asyncio.sleep(IDLE_SECONDS)
    assert accounts.runs - before < FEW
    assert await stream.read(100) == b"two"
    stream.close()
    far.close()


@ways
@story
async def test_a_client_that_talks_and_does_not_read_costs_nothing(loop: Loop, tls: bool) -> None:
    accounts = Accounts(loop)
    far, stream = await either(accounts, tls=tls, small=True)
    data = bytes(1_000_000)

    async def answer() -> None:
        assert await stream.read(3) == b"NOO"
        await stream.write(data)

    answering = asyncio.ensure_future(answer())
    await asyncio.sleep(0.01)
    await far.write(b"NOOP" * 200)
    await asyncio.sleep(0.01)
    before = accounts.runs
    await asyncio.sleep(IDLE_SECONDS)
    assert accounts.runs - before < FEW
    assert await far.read_exactly(len(data)) == data
    await answering
    rest = b""
    while len(rest) < 797:
        rest += await stream.read(1000)
    assert rest == (b"NOOP" * 200)[3:]
    stream.close()
    assert accounts.watched == set()
    far.close()


WAITS: dict[str, Callable[[Stream], Awaitable[object]]] = {
    "read": lambda stream: stream.read(100),
    "peek": lambda stream: stream.peek(100),
    "write": lambda stream: stream.write(bytes(1_000_000)),
    "handshake": lambda stream: stream.start_tls(contexts()[0]),
}


@pytest.mark.parametrize("wait", WAITS)
@story
async def test_a_wait_that_the_poller_has_no_room_for_fails_and_can_be_tried_again(loop: Loop, wait: str) -> None:
    accounts = Accounts(loop)
    one, other = pair(small=True)
    far, stream = Far(one), Stream(accounts, other)
    accounts.room = 0
    with pytest.raises(StreamError, match=r"^epoll_ctl\(\) failed \(28: No space left on device\)$") as caught:
        await WAITS[wait](stream)
    assert (caught.value.call, caught.value.code) == ("epoll_ctl", errno.ENOSPC)
    accounts.room = 1
    await far.write(b"hello")
    assert await stream.read(100) == b"hello"
    stream.close()
    far.close()


@story
async def test_finish_does_not_wait_where_the_poller_has_no_room(loop: Loop) -> None:
    accounts = Accounts(loop)
    one, other = pair()
    far, stream = Far(one), Stream(accounts, other)
    accounts.room = 0
    await stream.finish()
    assert stream.fd == -1
    assert await far.read() == b""
    far.close()


@story
async def test_a_closed_stream_has_no_part_in_the_next_owner_of_its_number(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    reading = asyncio.ensure_future(stream.read(10))
    await asyncio.sleep(0.01)
    number = stream.fd
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    stream.close()
    stream.close()
    one.close()
    spare = []
    while True:
        far, ours = pair()
        spare += [far, ours]
        if number in (far.fileno(), ours.fileno()):
            break
    fresh = Stream(poller(loop), far if far.fileno() == number else ours)
    peer = Far(ours if fresh.socket is far else far)
    await peer.write(b"fresh")
    assert await fresh.read(10) == b"fresh"
    fresh.close()
    for sock in spare:
        sock.close()


@story
async def test_the_new_owner_of_a_released_socket_takes_the_registration_over(loop: Loop) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    reading = asyncio.ensure_future(stream.read(10))
    await asyncio.sleep(0.01)
    await far.write(b"login")
    assert await reading == b"login"
    sock, tls = stream.release()
    stream.close()
    assert (sock, tls) == (other, None)
    seen: list[bytes] = []
    poller(loop).watch_reading(sock.fileno(), lambda _: seen.append(sock.recv(10)))
    await far.write(b"more")
    await until(lambda: seen)
    assert seen == [b"more"]
    poller(loop).forget(sock.fileno())
    sock.close()
    far.close()


@ways
@story
async def test_a_cancelled_wait_leaves_nothing_behind(loop: Loop, tls: bool) -> None:
    accounts = Accounts(loop)
    far, stream = await either(accounts, tls=tls, small=True)
    reading = asyncio.ensure_future(stream.read(10))
    await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    writing = asyncio.ensure_future(stream.write(bytes(1_000_000)))
    await asyncio.sleep(0.01)
    assert (stream.fd, "w") in accounts.watched
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert (stream.fd, "w") not in accounts.watched
    stream.close()
    assert accounts.watched == set()
    far.close()


# Ended from outside ------------------------------------------------------------------------------


@ways
@story
async def test_fail_ends_a_read(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls)
    reading = asyncio.ensure_future(stream.read(10))
    await asyncio.sleep(0.01)
    stream.fail(PassedError())
    with pytest.raises(PassedError):
        await reading
    stream.close()
    far.close()


@ways
@story
async def test_fail_ends_a_write(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls, small=True)
    writing = asyncio.ensure_future(stream.write(bytes(1_000_000)))
    await asyncio.sleep(0.01)
    stream.fail(PassedError())
    with pytest.raises(PassedError):
        await writing
    stream.close()
    far.close()


@story
async def test_fail_ends_a_handshake(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    shaking = asyncio.ensure_future(stream.start_tls(contexts()[0]))
    await asyncio.sleep(0.01)
    stream.fail(PassedError())
    with pytest.raises(PassedError):
        await shaking
    stream.close()
    assert await Far(one).read() == b""
    one.close()


@story
async def test_fail_waits_for_the_next_wait(loop: Loop) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    await far.write(b"here already")
    stream.fail(PassedError())
    with pytest.raises(PassedError):
        await stream.read(100)
    assert await stream.read(100) == b"here already"
    stream.close()
    far.close()


@story
async def test_a_failure_that_nobody_saw_can_be_taken_back(loop: Loop) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    stream.fail(PassedError())
    stream.forgive()
    reading = asyncio.ensure_future(stream.read(100))
    await asyncio.sleep(0.01)
    await far.write(b"fine")
    assert await reading == b"fine"
    stream.close()
    far.close()


# Ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", [Far.end, Far.close, Far.reset])
@story
async def test_who_has_left_is_noticed_behind_bytes_that_stay_unread(
    loop: Loop, leave: Callable[[Far], None]
) -> None:
    one, other = pair()
    far, stream = Far(one), Stream(poller(loop), other)
    assert not stream.ended()
    await far.write(b"hello")
    await until(lambda: other.recv(5, socket.MSG_PEEK))
    assert not stream.ended()
    leave(far)
    await until(stream.ended)
    if leave is not Far.reset:
        assert await stream.read(100) == b"hello"
        assert await stream.read(100) == b""
    stream.close()
    far.close()


@ways
@story
async def test_last_words_arrive_although_the_client_sent_more_than_was_read(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls)
    await far.write(b"x" * 5000)
    assert await stream.read(10) == b"x" * 10
    await stream.write(b"* BYE\r\n")
    ending = asyncio.ensure_future(stream.finish())
    assert await far.read_exactly(7) == b"* BYE\r\n"
    assert await far.read() == b""  # under TLS: close_notify
    far.end()
    await ending
    assert stream.fd == -1
    assert far.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    far.close()


@ways
@story
async def test_finish_waits_for_who_says_nothing_only_for_a_while(
    loop: Loop, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.02)
    accounts = Accounts(loop)
    far, stream = await either(accounts, tls=tls)
    await stream.finish()
    assert stream.fd == -1
    assert accounts.watched == set()
    assert accounts.runs < FEW
    far.close()


async def full_pair(accounts: Accounts) -> tuple[TlsFar, Stream]:
    """A client under TLS whose socket has taken all that was written, and takes no byte more."""
    ours, theirs = contexts()
    # A unix socket takes a record whole or not at all, so no record is left half sent when it is full.
    one, other = socket.socketpair()
    other.setblocking(False)
    far, stream = TlsFar(one, theirs), Stream(accounts, other)
    await asyncio.gather(far.handshake(), stream.start_tls(ours))
    room = other.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    while unsent(other) < room:
        assert stream.try_write(bytes(1000)) == 1000
    return far, stream


def unsent(sock: socket.socket) -> int:
    """What the kernel counts against SO_SNDBUF."""
    count = array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, count)
    return count[0]


@story
async def test_finish_waits_until_there_is_room_for_close_notify(loop: Loop) -> None:
    accounts = Accounts(loop)
    far, stream = await full_pair(accounts)
    ending = asyncio.ensure_future(stream.finish())
    await until(lambda: (stream.fd, "w") in accounts.watched)
    while await far.read():  # up to close_notify; an end without one raises
        pass
    far.end()
    await ending
    assert stream.fd == -1
    far.close()


@story
async def test_finish_waits_for_that_room_only_for_a_while(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.02)
    accounts = Accounts(loop)
    far, stream = await full_pair(accounts)
    await stream.finish()
    assert stream.fd == -1
    assert accounts.watched == set()
    assert accounts.runs < FEW
    far.close()


@ways
@story
async def test_finish_does_not_listen_to_an_endless_talker(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls)

    async def talk() -> int:
        said = 0
        try:
            while True:
                await far.write(bytes(8192))
                said += 8192
        except (ConnectionError, OSError):
            return said

    talking = asyncio.ensure_future(talk())
    await stream.finish()
    assert await talking >= LINGER_BYTES
    far.close()


@ways
@story
async def test_finish_of_a_connection_that_was_reset_is_silent(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls)
    far.reset()
    await stream.finish()
    assert stream.fd == -1
    await stream.finish()


@ways
@story
async def test_finish_ignores_a_failure_from_before(loop: Loop, tls: bool) -> None:
    far, stream = await either(poller(loop), tls=tls)
    stream.fail(PassedError())
    ending = asyncio.ensure_future(stream.finish())
    assert await far.read() == b""
    far.end()
    await ending
    far.close()


@story
async def test_our_end_follows_the_clients(loop: Loop) -> None:
    far, stream = await tls_pair(poller(loop))
    far.hold_close_notify()
    await far.flush()
    assert await stream.read(10) == b""
    stream.say_end()
    stream.close()
    assert await far.read() == b""
    far.close()


@story
async def test_close_says_nothing(loop: Loop) -> None:
    far, stream = await tls_pair(poller(loop))
    stream.close()
    with pytest.raises(EOFError):
        await far.read()
    far.close()


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
