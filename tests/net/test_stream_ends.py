"""How streams end: the last words arrive, and nobody is waited for for long."""

import asyncio
import fcntl
import socket
import termios
from array import array
from collections.abc import Callable

import pytest

from gatepost.net import stream as module
from gatepost.net.stream import LINGER_BYTES, Stream
from tests.wire import Accounts, Far, TlsFar, contexts, pair, poller, story, until

from .streams import FEW, PassedError, either, tls_pair, ways

Loop = asyncio.AbstractEventLoop


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
