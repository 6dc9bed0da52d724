"""One connection: what makes it free again, what makes it end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gatepost.auth.connection import Connection, StaleError
from gatepost.auth.response import MAX_HEAD_BYTES
from gatepost.errors import AuthError
from gatepost.net.room import Place, Room

from .service import CLOSED, FIELDS, KEPT, Peer, Script, Service, answering, run, serving

QUESTION = b"GET / HTTP/1.1\r\n\r\n"


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.free: list[Connection] = []
        self.gone = asyncio.Event()

    def freed(self, connection: Connection) -> None:
        self.free.append(connection)

    def lost(self, connection: Connection) -> None:  # noqa: ARG002 - the owner of a single connection
        self.gone.set()


@contextlib.asynccontextmanager
async def connected(script: Script) -> AsyncIterator[tuple[Connection, Owner, Service]]:
    loop = asyncio.get_running_loop()
    owner = Owner()
    async with serving(script) as service:
        address = service.address
        made = await loop.create_connection(
            lambda: Connection(loop, owner, "A", Place(Room())), address.host, address.port
        )
        yield made[1], owner, service
        made[1].close()


async def ask(connection: Connection, seconds: float = 20.0) -> list[bytes]:
    answer = await connection.ask(QUESTION, asyncio.get_running_loop().time() + seconds)
    return answer.verdicts


def test_many_questions_on_one_connection() -> None:
    async def story() -> None:
        async with connected(answering(KEPT)) as (connection, owner, _):
            for _ in range(100):
                assert await ask(connection) == [b"OK"]
                assert owner.free.pop() is connection
            assert not owner.gone.is_set()

    run(story())


def test_an_answer_in_drops() -> None:
    async def drip(peer: Peer) -> None:
        while await peer.request() is not None:
            for at in range(len(KEPT)):
                await peer.send(KEPT[at : at + 1])
                await asyncio.sleep(0)

    async def story() -> None:
        async with connected(drip) as (connection, owner, _):
            assert await ask(connection) == [b"OK"]
            assert owner.free == [connection]

    run(story())


def test_a_late_body_frees_the_connection_later() -> None:
    async def story() -> None:
        go = asyncio.Event()

        async def late(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe")
            await go.wait()
            await peer.send(b"llo\r\n0\r\n\r\n")
            await answering(KEPT)(peer)

        async with connected(late) as (connection, owner, _):
            assert await ask(connection) == [b"OK"]
            assert owner.free == []
            go.set()
            while not owner.free:
                await asyncio.sleep(0)
            assert await ask(connection) == [b"OK"]

    run(story())


def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.auth.connection.REST_SECONDS", 0.01)

    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Content-Length: 9\r\n\r\n")
        await peer.ended()

    async def story() -> None:
        async with connected(endless) as (connection, owner, service):
            assert await ask(connection) == [b"OK"]
            await owner.gone.wait()
            await service.all_closed()
            assert owner.free == []

    run(story())


@pytest.mark.parametrize(
    "answer",
    [
        CLOSED,
        KEPT + b"x",
        KEPT + KEPT,
        KEPT.replace(b"1.1", b"1.0"),
        KEPT.replace(b"Content-Length: 0\r\n", b""),
        FIELDS + b"\r\n",
        FIELDS.replace(b"\r", b"") + b"\n",
    ],
)
def test_an_answer_that_spends_its_connection(answer: bytes) -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.ended()

    async def story() -> None:
        async with connected(once) as (connection, owner, service):
            assert await ask(connection) == [b"OK"]
            assert owner.gone.is_set()
            assert owner.free == []
            await service.all_closed()

    run(story())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"\x16\x03\x01 no HTTP at all", "auth http server A sent invalid header in response"),
        (b"HTTP/1.1 200 OK\rx", "auth http server A sent invalid response"),
        (b"X: " + b"y" * MAX_HEAD_BYTES, "auth http server A sent too long header"),
    ],
)
def test_garbage_ends_the_connection(answer: bytes, message: str) -> None:
    async def garbage(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.ended()

    async def story() -> None:
        async with connected(garbage) as (connection, owner, service):
            with pytest.raises(AuthError) as caught:
                await ask(connection)
            assert str(caught.value) == message
            assert owner.gone.is_set()
            await service.all_closed()

    run(story())


@pytest.mark.parametrize("sent", [b"", KEPT[:1], KEPT[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_an_end_before_the_answer(sent: bytes) -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)

    async def story() -> None:
        async with connected(half) as (connection, owner, _):
            with pytest.raises(AuthError) as caught:
                await ask(connection)
            assert str(caught.value) == "auth http server A prematurely closed connection"
            assert owner.gone.is_set()

    run(story())


def test_a_reset() -> None:
    async def reset(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async def story() -> None:
        async with connected(reset) as (connection, _, _):
            with pytest.raises(AuthError) as caught:
                await ask(connection)
            assert str(caught.value) == "recv() failed (104: Connection reset by peer)"

    run(story())


@pytest.mark.parametrize(("begun", "stale"), [(b"", True), (b"H", False)])
def test_a_served_connection_is_stale_only_if_nothing_was_answered(begun: bytes, stale: bool) -> None:
    async def twice(peer: Peer) -> None:
        await peer.request()
        await peer.send(KEPT)
        await peer.request()
        await peer.send(begun)

    async def story() -> None:
        async with connected(twice) as (connection, _, _):
            await ask(connection)
            with pytest.raises(StaleError if stale else AuthError):
                await ask(connection)

    run(story())


def test_silence_ends_with_the_deadline() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.send(KEPT[:-1])
        await peer.ended()

    async def story() -> None:
        async with connected(silent) as (connection, owner, service):
            with pytest.raises(AuthError) as caught:
                await ask(connection, 0.05)
            assert str(caught.value) == "auth http server A timed out (110: Connection timed out)"
            assert owner.gone.is_set()
            await service.all_closed()

    run(story())


def test_who_is_cancelled_closes_the_connection() -> None:
    async def story() -> None:
        asked = asyncio.Event()

        async def silent(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await peer.ended()

        async with connected(silent) as (connection, owner, service):
            task = asyncio.create_task(ask(connection))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert owner.gone.is_set()
            await service.all_closed()
            assert owner.free == []

    run(story())


def test_words_nobody_asked_for_end_the_connection() -> None:
    async def story() -> None:
        go = asyncio.Event()

        async def eager(peer: Peer) -> None:
            await peer.request()
            await peer.send(KEPT)
            await go.wait()
            await peer.send(KEPT)
            await peer.ended()

        async with connected(eager) as (connection, owner, service):
            await ask(connection)
            assert not owner.gone.is_set()
            go.set()
            await owner.gone.wait()
            await service.all_closed()

    run(story())


def test_an_answer_before_the_question_was_taken() -> None:
    async def hasty(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(KEPT)
        await peer.ended()

    async def story() -> None:
        async with connected(hasty) as (connection, owner, _):
            loop = asyncio.get_running_loop()
            answer = await connection.ask(b"x" * 64_000_000, loop.time() + 20)
            assert answer.verdicts == [b"OK"]
            assert owner.free == []
            assert owner.gone.is_set()

    run(story())


def test_the_next_question_may_come_before_the_last_asker_has_run() -> None:
    async def story() -> None:
        async with connected(answering(KEPT)) as (connection, owner, _):
            second: list[asyncio.Task[list[bytes]]] = []
            loop = asyncio.get_running_loop()

            class Eager(Owner):
                def freed(self, freed: Connection) -> None:
                    if not second:
                        # Runs before the first asker, whose future is not even set yet.
                        second.append(loop.create_task(ask(freed)))

            connection._owner = Eager()
            assert await ask(connection) == [b"OK"]
            assert await second[0] == [b"OK"]
            assert not owner.gone.is_set()

    run(story())


# Before anything was asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, len(KEPT) - 1, len(KEPT)])
@pytest.mark.parametrize("closes", [False, True])
def test_an_answer_before_the_question_is_taken_as_what_it_is(cut: int, closes: bool) -> None:
    async def hasty(peer: Peer) -> None:
        await peer.send(KEPT[:cut])
        if not closes:
            await peer.request()
            await peer.send(KEPT[cut:])
            await peer.ended()

    async def story() -> None:
        async with connected(hasty) as (connection, owner, _):
            if closes:
                await owner.gone.wait()
            while len(connection._early) < cut:
                await asyncio.sleep(0)
            if closes and cut < len(KEPT):
                with pytest.raises(AuthError, match="auth http server A prematurely closed connection"):
                    await ask(connection)
            else:
                assert await ask(connection) == [b"OK"]
            # What the question is answered with, nobody can tell any more: no other may be asked here.
            assert owner.gone.is_set() == (closes or cut > 0)

    run(story())


def test_a_reset_before_the_question() -> None:
    async def rude(peer: Peer) -> None:
        peer.reset()

    async def story() -> None:
        async with connected(rude) as (connection, owner, _):
            await owner.gone.wait()
            with pytest.raises(AuthError, match=r"(prematurely closed connection|Connection reset by peer)"):
                await ask(connection)

    run(story())


def test_a_talker_who_was_not_asked_is_not_listened_to_for_ever() -> None:
    async def chatty(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(b"X: y\r\n" * 1000)

    async def story() -> None:
        async with connected(chatty) as (connection, owner, _):
            await owner.gone.wait()
            with pytest.raises(AuthError, match="sent too long header"):
                await ask(connection)

    run(story())
