"""The poller over real sockets, on both kinds of loops."""

import asyncio
import contextlib
import select
import socket

from gatepost.net.poller import ENDED, Poller
from tests.wire import pair, poller, story, until

Loop = asyncio.AbstractEventLoop
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times


@story
async def test_what_is_not_read_is_told_again(loop: Loop) -> None:
    one, other = pair()
    told: list[int] = []
    poller(loop).watch_reading(other.fileno(), told.append)
    one.send(b"x")
    await until(lambda: len(told) > 2)
    assert all(events & select.EPOLLIN and not events & ENDED for events in told)
    poller(loop).forget(other.fileno())
    one.close()
    other.close()


@story
async def test_the_end_is_told_together_with_the_last_bytes(loop: Loop) -> None:
    one, other = pair()
    seen: list[tuple[bytes, bool]] = []
    one.send(b"last")
    one.shutdown(socket.SHUT_WR)
    poller(loop).watch_reading(other.fileno(), lambda events: seen.append((other.recv(10), bool(events & ENDED))))
    await until(lambda: seen)
    assert seen[0] == (b"last", True)
    poller(loop).forget(other.fileno())
    one.close()
    other.close()


@story
async def test_a_later_callback_takes_the_place_of_the_first(loop: Loop) -> None:
    one, other = pair()
    first: list[int] = []
    second: list[bytes] = []
    poller(loop).watch_reading(other.fileno(), first.append)
    poller(loop).watch_reading(other.fileno(), lambda _: second.append(other.recv(10)))
    one.send(b"x")
    await until(lambda: second)
    assert (first, second) == ([], [b"x"])
    poller(loop).forget(other.fileno())
    one.close()
    other.close()


@story
async def test_reading_and_writing_are_watched_apart(loop: Loop) -> None:
    one, other = pair()
    readable: list[int] = []
    writable: list[int] = []
    watched = poller(loop)
    watched.watch_writing(other.fileno(), writable.append)
    await until(lambda: writable)
    watched.watch_reading(other.fileno(), readable.append)
    watched.ignore_writing(other.fileno())
    watched.ignore_writing(other.fileno())
    assert not readable
    one.send(b"x")
    await until(lambda: readable)
    count = len(writable)
    watched.ignore_reading(other.fileno())
    watched.ignore_reading(other.fileno())
    told = len(readable)
    await asyncio.sleep(IDLE_SECONDS)
    assert (len(writable), len(readable)) == (count, told)
    one.close()
    other.close()


@story
async def test_a_broken_socket_that_nobody_watches_does_not_spin(loop: Loop) -> None:
    one, other = pair()
    told: list[int] = []
    poller(loop).watch_reading(other.fileno(), told.append)
    poller(loop).ignore_reading(other.fileno())
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    one.close()
    await asyncio.sleep(IDLE_SECONDS)
    assert told == []
    other.close()


@story
async def test_who_waits_to_write_hears_of_a_reset(loop: Loop) -> None:
    one, other = pair(small=True)
    with contextlib.suppress(BlockingIOError):
        while other.send(bytes(10000)):
            pass
    told: list[int] = []
    poller(loop).watch_writing(other.fileno(), told.append)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    one.close()
    await until(lambda: told)
    assert told[0] & ENDED
    poller(loop).forget(other.fileno())
    other.close()


def test_a_callback_that_fails_is_reported_and_stops_no_other(loop: Loop) -> None:
    reported: list[str] = []
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))

    async def both() -> None:
        (one, other), (two, another) = pair(), pair()
        told: list[bytes] = []

        def fail(_events: int) -> None:
            other.recv(10)
            raise ValueError("a bug")

        poller(loop).watch_reading(other.fileno(), fail)
        poller(loop).watch_reading(another.fileno(), lambda _: told.append(another.recv(10)))
        one.send(b"x")
        two.send(b"y")
        await until(lambda: told and reported)
        for sock in (one, other, two, another):
            poller(loop).forget(sock.fileno())
            sock.close()

    loop.run_until_complete(both())
    loop.set_exception_handler(handler)
    assert reported == ["a bug"]


def test_close_is_idempotent(loop: Loop) -> None:
    made = Poller(loop)
    made.close()
    made.close()
