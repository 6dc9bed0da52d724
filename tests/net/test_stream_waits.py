"""How streams wait: what the loop is made to do for it, and how a wait is ended from outside."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

import pytest

from gatepost.net.stream import Stream, StreamError
from tests.wire import Accounts, Far, contexts, pair, poller, story, until

from .streams import FEW, IDLE_SECONDS, PassedError, either, ways

Loop = asyncio.AbstractEventLoop


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
