"""The connections that the client keeps: how many, for how long, and in whose room."""

import asyncio
import errno

from gatepost.address import unix
from gatepost.auth.client import (
    MAX_IDLE,
    MAX_IDLE_SECONDS,
    HttpAuth,
    Pool,
)
from gatepost.log import Level
from gatepost.net.room import Room

from .service import ACCEPTED, KEPT, REQUEST, Peer, answering, run, serving
from .test_client import FRAME, client, failure


def test_free_connections_are_bounded() -> None:
    async def story() -> None:
        crowd = MAX_IDLE + 10
        together = asyncio.Barrier(crowd)

        async def meet(peer: Peer) -> None:
            await peer.request()
            await together.wait()
            await peer.send(KEPT)
            await peer.ended()

        async with serving(meet) as service, client(service) as auth:
            await asyncio.gather(*(auth.ask(REQUEST) for _ in range(crowd)))
            assert auth._pool is not None
            assert len(auth._pool) == MAX_IDLE
            auth.close()
            assert len(auth._pool) == 0
            await service.all_closed()

    run(story())


def test_a_connection_has_a_place_until_it_is_closed() -> None:
    async def story() -> None:
        room = Room(2)
        async with serving(answering(KEPT)) as service:
            auth = HttpAuth(service.address, FRAME, timeout=20.0, needs_password=True, room=room)
            assert await auth.ask(REQUEST) == ACCEPTED
            assert room.held == 1
            assert await auth.ask(REQUEST) == ACCEPTED
            assert room.held == 1
            auth.close()
            assert room.held == 0
        error = await failure(HttpAuth(unix("/nowhere"), FRAME, timeout=20.0, needs_password=True, room=room))
        assert error.code == errno.ENOENT
        assert room.held == 0

    run(story())


def test_without_room_a_free_connection_is_given_up_and_then_nothing_is_asked() -> None:
    async def story() -> None:
        room = Room(1)
        async with serving(answering(KEPT)) as one, serving(answering(KEPT)) as other:
            first = HttpAuth(one.address, FRAME, timeout=20.0, needs_password=True, room=room)
            second = HttpAuth(other.address, FRAME, timeout=20.0, needs_password=True, room=room)
            assert await first.ask(REQUEST) == ACCEPTED
            assert await second.ask(REQUEST) == ACCEPTED
            assert room.held == 1
            await one.all_closed()
            room.limit = 0
            error = await failure(first)
            assert str(error) == "0 worker_connections are not enough"
            assert error.level is Level.ALERT
            assert one.accepted == 1
            second.close()

    run(story())


def test_the_connection_used_last_is_used_next_and_the_oldest_ages_out() -> None:
    async def story() -> None:
        together = asyncio.Barrier(2)

        async def script(peer: Peer) -> None:
            await peer.request()
            await together.wait()
            await peer.send(KEPT)
            while await peer.request() is not None:
                await peer.send(KEPT)

        async with serving(script) as service, client(service) as auth:
            await asyncio.gather(auth.ask(REQUEST), auth.ask(REQUEST))
            pool = auth._pool
            assert pool is not None
            oldest, newest = pool._idle
            for _ in range(3):
                await auth.ask(REQUEST)
                assert pool._idle == [oldest, newest]
            pool.sweep()
            assert pool._idle == [oldest, newest]
            oldest.idle_since -= MAX_IDLE_SECONDS
            pool.sweep()
            assert pool._idle == [newest]
            newest.idle_since -= MAX_IDLE_SECONDS
            pool.sweep()
            assert len(pool) == 0
            await service.all_closed()

    run(story())


def test_a_closed_client_answers_what_is_under_way_and_keeps_nothing() -> None:
    async def story() -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def slow(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await go.wait()
            await peer.send(KEPT)
            await peer.ended()

        async with serving(slow) as service, client(service) as auth:
            task = asyncio.create_task(auth.ask(REQUEST))
            await asked.wait()
            auth.close()
            go.set()
            assert await task == ACCEPTED
            await service.all_closed()

    run(story())


def test_an_empty_pool_has_nothing_to_give() -> None:
    async def story() -> None:
        pool = Pool(asyncio.get_running_loop())
        assert pool.take() is None
        pool.close()

    run(story())
