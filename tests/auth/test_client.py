"""The client against services of every temper: kept, closed and stale connections, failures, waits."""

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.auth import Wait
from gatepost.auth.client import (
    MAX_POSTPONED_SECONDS,
    POSTPONE_SECONDS,
    HttpAuth,
)
from gatepost.auth.message import Accepted, Refused, Request, layout
from gatepost.errors import AuthError
from gatepost.log import Level
from gatepost.net.room import Room
from gatepost.net.waiting import Run

from .service import ACCEPTED, CLOSED, FIELDS, KEPT, REQUEST, Peer, Service, answering, run, serving

FRAME = layout(b"localhost", b"/auth", ())
WAIT = b"HTTP/1.1 200 OK\r\nAuth-Status: WAIT\r\nContent-Length: 0\r\n"


class Clock:
    """Sleeps without time, and notes how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@contextlib.asynccontextmanager
async def client(service: Service | Address, *, timeout: float = 20.0) -> AsyncIterator[HttpAuth]:
    address = service if isinstance(service, Address) else service.address
    found = HttpAuth(address, FRAME, timeout=timeout, needs_password=True, room=Room())
    yield found
    found.close()


async def failure(auth: HttpAuth, request: Request = REQUEST, wait: Wait = asyncio.sleep) -> AuthError:
    with pytest.raises(AuthError) as caught:
        await auth.ask(request, wait)
    return caught.value


def test_logins_one_after_the_other_share_a_connection() -> None:
    async def story() -> None:
        async with serving(answering(KEPT)) as service, client(service) as auth:
            for _ in range(50):
                assert await auth.ask(REQUEST) == ACCEPTED
            assert service.accepted == 1

    run(story())


def test_a_session_that_ends_as_its_connection_stands_leaves_none_behind() -> None:
    """It is cancelled when the connection is there, and before it has been told so."""

    async def story() -> None:
        room = Room()

        async def silent(peer: Peer) -> None:
            assert await peer.request() is None

        async def ask(auth: HttpAuth) -> None:
            await auth.ask(REQUEST)

        async with serving(silent) as service:
            auth = HttpAuth(service.address, FRAME, timeout=20.0, needs_password=True, room=room)
            others = asyncio.all_tasks()
            session = Run(asyncio.get_running_loop(), ask(auth))
            session.step()
            (opening,) = asyncio.all_tasks() - others
            while not opening.done():
                await asyncio.sleep(0)
            assert session._waited is opening
            session.cancel()
            while not service.accepted or service.open:
                await asyncio.sleep(0.001)
            assert room.held == 0

    run(story())


def test_logins_at_once_have_a_connection_each() -> None:
    async def story() -> None:
        together = asyncio.Barrier(20)

        async def meet(peer: Peer) -> None:
            while await peer.request() is not None:
                await together.wait()
                await peer.send(KEPT)

        async with serving(meet) as service, client(service) as auth:
            for _ in range(5):
                assert await asyncio.gather(*(auth.ask(REQUEST) for _ in range(20))) == [ACCEPTED] * 20
            assert service.accepted == 20

    run(story())


def test_answers_reach_who_asked() -> None:
    async def echo(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            user = request.partition(b"Auth-User: ")[2].partition(b"\r\n")[0]
            await peer.send(KEPT.replace(b"\r\n\r\n", b"\r\nAuth-User: box-" + user + b"\r\n\r\n"))

    async def story() -> None:
        async with serving(echo) as service, client(service) as auth:

            async def logins(who: int) -> None:
                for turn in range(20):
                    user = b"%d-%d" % (who, turn)
                    credentials = dataclasses.replace(REQUEST.credentials, user=user)
                    found = await auth.ask(dataclasses.replace(REQUEST, credentials=credentials))
                    assert isinstance(found, Accepted)
                    assert found.account.user == b"box-" + user

            await asyncio.gather(*(logins(who) for who in range(30)))

    run(story())


@pytest.mark.parametrize("answer", [CLOSED, KEPT.replace(b"1.1", b"1.0"), FIELDS.replace(b"\r", b"") + b"\n"])
def test_a_service_that_wants_a_connection_each_time(answer: bytes) -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async def story() -> None:
        async with serving(once) as service, client(service) as auth:
            for _ in range(5):
                assert await auth.ask(REQUEST) == ACCEPTED
            assert service.accepted == 5

    run(story())


def test_a_service_on_a_unix_socket(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(answering(KEPT), str(tmp_path / "auth")) as service, client(service) as auth:
            for _ in range(3):
                assert await auth.ask(REQUEST) == ACCEPTED
            assert service.accepted == 1

    run(story())


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_closed_instead_of_an_answer_is_tried_once_more(how: str) -> None:
    async def story() -> None:
        async def second_time(peer: Peer) -> None:
            await peer.request()
            await peer.send(KEPT)
            await peer.request()
            if how == "reset":
                peer.reset()

        async with serving(second_time) as service, client(service) as auth:
            for turn in range(1, 5):
                assert await auth.ask(REQUEST) == ACCEPTED
                assert service.accepted == turn

    run(story())


def test_a_connection_closed_while_free_is_forgotten() -> None:
    async def story() -> None:
        async def once(peer: Peer) -> None:
            await peer.request()
            await peer.send(KEPT)

        async with serving(once) as service, client(service) as auth:
            for turn in range(1, 4):
                assert await auth.ask(REQUEST) == ACCEPTED
                await service.all_closed()
                assert service.accepted == turn

    run(story())


def test_a_fresh_connection_is_not_tried_again() -> None:
    async def mute(peer: Peer) -> None:
        await peer.request()

    async def story() -> None:
        async with serving(mute) as service, client(service) as auth:
            error = await failure(auth)
            assert str(error) == f"auth http server {service.address} prematurely closed connection"
            assert error.level is Level.ERROR
            assert service.accepted == 1

    run(story())


def test_an_answer_begun_is_not_asked_for_again() -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(KEPT)
        await peer.request()
        await peer.send(KEPT[:20])

    async def story() -> None:
        async with serving(half) as service, client(service) as auth:
            await auth.ask(REQUEST)
            assert "prematurely closed" in str(await failure(auth))
            assert service.accepted == 1

    run(story())


def test_silence() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.ended()

    async def story() -> None:
        async with serving(silent) as service, client(service, timeout=0.05) as auth:
            error = await failure(auth)
            assert str(error) == f"auth http server {service.address} timed out (110: Connection timed out)"
            assert error.level is Level.ERROR
            await service.all_closed()

    run(story())


def test_progress_does_not_extend_the_time() -> None:
    async def drip(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(ConnectionError):
            while not peer.reader.at_eof():
                await peer.send(b"X: y\r\n")
                await asyncio.sleep(0.02)

    async def story() -> None:
        async with serving(drip) as service, client(service, timeout=0.2) as auth:
            assert "timed out" in str(await failure(auth))

    run(story())


def test_a_connection_that_is_not_taken() -> None:
    """A listener whose queue is full lets nobody in and refuses nobody."""

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            address = Address(socket.AF_INET, "127.0.0.1", listener.getsockname()[1])
            crowd = [socket.socket() for _ in range(4)]
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(address.sockaddr)
            async with client(address, timeout=0.2) as auth:
                error = await failure(auth)
            for one in crowd:
                one.close()
        assert str(error) == f"auth http server {address} timed out (110: Connection timed out)"

    run(story())


def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with client(Address(socket.AF_INET, "127.0.0.1", port)) as auth:
            error = await failure(auth)
            assert str(error) == f"connect() to 127.0.0.1:{port} failed (111: Connection refused)"
            assert error.level is Level.ERROR
        path = str(tmp_path / "none")
        async with client(unix(path)) as auth:
            error = await failure(auth)
            assert str(error) == f"connect() to unix:{path} failed (2: No such file or directory)"
            assert error.level is Level.CRIT

    run(story())


def test_an_unusable_answer_names_the_service_and_keeps_the_connection() -> None:
    async def story() -> None:
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        async with serving(answering(missing, KEPT)) as service, client(service) as auth:
            error = await failure(auth)
            expected = f"auth http server {service.address} did not send server or port (HTTP status 404)"
            assert str(error) == expected
            assert await auth.ask(REQUEST) == ACCEPTED
            assert service.accepted == 1

    run(story())


def test_who_is_cancelled_leaves_no_connection_behind() -> None:
    async def story() -> None:
        asked = asyncio.Event()

        async def first_silent(peer: Peer) -> None:
            await peer.request()
            if peer.number == 1:
                asked.set()
                await peer.ended()
            else:
                await peer.send(KEPT)

        async with serving(first_silent) as service, client(service) as auth:
            task = asyncio.create_task(auth.ask(REQUEST))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await auth.ask(REQUEST) == ACCEPTED
            assert service.accepted == 2

    run(story())


# Postponed verdicts


def test_a_postponed_verdict_is_asked_for_again() -> None:
    async def story() -> None:
        clock = Clock()
        requests: list[bytes | None] = []
        answers = [WAIT + b"Auth-Wait: 7\r\n\r\n", WAIT + b"\r\n", KEPT]

        async def script(peer: Peer) -> None:
            for answer in answers:
                requests.append(await peer.request())
                await peer.send(answer)
            await peer.ended()

        async with serving(script) as service, client(service) as auth:
            assert await auth.ask(REQUEST, clock.sleep) == ACCEPTED
            await asyncio.sleep(0)
        assert clock.slept == [7, POSTPONE_SECONDS]
        assert requests[0] == requests[1] == requests[2]
        assert b"Auth-Login-Attempt: 1\r\n" in (requests[2] or b"")

    run(story())


def test_the_digest_survives_and_the_name_may_change() -> None:
    async def story() -> None:
        requests: list[bytes] = []

        async def script(peer: Peer) -> None:
            requests.append(await peer.request() or b"")
            await peer.send(WAIT + b"Auth-User: box\r\n\r\n")
            requests.append(await peer.request() or b"")
            await peer.send(b"HTTP/1.1 200 OK\r\nAuth-Status: no\r\nContent-Length: 0\r\n\r\n")
            await peer.ended()

        credentials = dataclasses.replace(
            REQUEST.credentials, method="cram-md5", secret=b"digest", salt=b"<s>", cleartext=False
        )
        async with serving(script) as service, client(service) as auth:
            asked = dataclasses.replace(REQUEST, credentials=credentials)
            assert await auth.ask(asked, Clock().sleep) == Refused(b"no")
        assert requests[1] == requests[0].replace(b"Auth-User: user", b"Auth-User: box")
        assert b"Auth-Pass: digest\r\nAuth-Salt: <s>\r\n" in requests[1]

    run(story())


@pytest.mark.parametrize(("wait", "most"), [(b"", MAX_POSTPONED_SECONDS), (b"Auth-Wait: 3000\r\n", 3000)])
def test_nobody_waits_for_ever(wait: bytes, most: float) -> None:
    async def story() -> None:
        clock = Clock()
        async with serving(answering(WAIT + wait + b"\r\n")) as service, client(service) as auth:
            error = await failure(auth, wait=clock.sleep)
        expected = f"auth http server {service.address} postponed its verdict for more than 3600 seconds"
        assert str(error) == expected
        assert sum(clock.slept) == most

    run(story())


# The pool
