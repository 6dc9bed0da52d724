"""Sessions that are ended from outside: because the worker has to go, and without a word."""

import asyncio
import contextlib
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wire import Far, story, until

from .clients import FEW, LOGIN, hows, listen, mail, start
from .edge import GREETING, Backend, Edge, Service, edge

Loop = asyncio.AbstractEventLoop


# Shutting down -----------------------------------------------------------------------------------

GOODBYE = b"* BYE Server shutting down\r\n"


@pytest.mark.parametrize("behind", [b"", b"a AUTHENTICATE PLAIN\r\n", b"a LOGIN joe"])
@hows
@story
async def test_a_client_before_its_login_is_told(loop: Loop, tmp_path: Path, how: str, behind: bytes) -> None:
    async with edge(loop, tmp_path, mail(None, how, "proxy_pass 127.0.0.1:9;"), listen=listen(how)) as at:
        client = await start(at, how)
        if behind:
            await client.write(behind)
            if behind.endswith(b"\n"):
                assert await client.read_line() == b"+ \r\n"
        (session,) = at.host.sessions
        session.shut_down()
        assert await client.read_line() == GOODBYE
        assert await client.read(1) == b""
        client.close()
        await at.over()
        assert any("shutdown timeout while in auth state" in text for text in at.lines.texts)


@pytest.mark.parametrize("stage", ["service", "wait", "backend"])
@hows
@story
async def test_a_client_in_its_login_is_told(loop: Loop, tmp_path: Path, how: str, stage: str) -> None:
    backend = Backend()
    answer = f"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {backend.place.split(':')[1]}"
    service = Service("Auth-Status: no\r\nAuth-Wait: 3600" if stage == "wait" else answer)
    if stage == "service":
        service.held.clear()
    async with edge(loop, tmp_path, mail(None, how, f"auth_http {service.place};"), listen=listen(how)) as at:
        client = await start(at, how)
        await client.write(LOGIN)
        while not service.asked:
            await asyncio.sleep(0.001)
        upstream = await backend.accept() if stage == "backend" else None
        while stage == "wait" and not any("client login failed" in text for text in at.lines.texts):
            await asyncio.sleep(0.001)
        (session,) = at.host.sessions
        session.shut_down()
        assert await client.read_line() == GOODBYE
        assert await client.read(1) == b""
        client.close()
        await at.over()
        if upstream is not None:
            assert await upstream.read(1) == b""
            upstream.close()
    await service.close()
    backend.close()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [("proxy_protocol", b"PROXY TCP4"), ("ssl", b""), ("ssl", b"\x16\x03\x01"), ("", b"STLS")],
)
@story
async def test_a_client_that_expects_something_else_hears_nothing(
    loop: Loop, tmp_path: Path, parameters: str, said: bytes
) -> None:
    async with edge(loop, tmp_path, mail(None, "starttls", "proxy_pass 127.0.0.1:9;"), listen=parameters) as at:
        client, session = at.connect()
        if not parameters:
            assert await client.read_line() == GREETING
            await client.write(b"s STARTTLS\r\n")
            assert await client.read_line() == b"s OK completed\r\n"
        await client.write(said)
        await asyncio.sleep(0.01)
        session.shut_down()
        assert await client.read(100) == b""
        client.close()
        await at.over()


@story
async def test_telling_a_session_that_has_ended_meanwhile_does_nothing(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;") as at:
        client, session = at.connect()
        assert await client.read_line() == GREETING
        client.close()
        await at.over()
        session.shut_down()


@story
async def test_a_client_that_does_not_listen_does_not_hold_up_its_end(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;") as at:
        client, session = at.connect(small=True)
        full = 0
        while full < FEW:  # until it does not take our commands any more, because we do not take its answers
            try:
                client.socket.send(b"a CAPABILITY\r\n")
                full = 0
            except BlockingIOError:
                full += 1
            await asyncio.sleep(0)
        session.shut_down()
        client.close()
        await at.over()


@pytest.mark.parametrize("how", ["clear", "tls"])
@story
async def test_a_goodbye_does_not_go_into_the_middle_of_a_reply(loop: Loop, tmp_path: Path, how: str) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;", listen=listen(how)) as at:
        client = await start(at, how, small=True)
        (session,) = at.host.sessions
        server = session._stream.socket
        flooding = asyncio.ensure_future(client.write(b"a CAPABILITY\r\n" * 1000))
        await until(lambda: (server.fileno(), "w") in at.accounts.watched)
        at.accounts.ignore_writing(server.fileno())  # room there will be, but the session is not told of it
        got = bytearray()

        async def listen_to_the_end() -> None:
            with contextlib.suppress(EOFError, ConnectionResetError):
                while piece := await client.read():
                    got.extend(piece)

        listening = asyncio.ensure_future(listen_to_the_end())
        await until(lambda: select.select([], [server], [], 0)[1])
        session.shut_down()
        await listening
        capability, ok, _ = bytes(got).partition(b"a OK completed\r\n")
        assert ((capability + ok) * 1000).startswith(got)
        await asyncio.gather(flooding, return_exceptions=True)
        client.close()
        await at.over()


# Ended from outside ------------------------------------------------------------------------------


async def in_handshake(at: Edge, _backend: Backend) -> list[Far]:
    client = at.connect()[0]
    await until(lambda: at.accounts.watched)
    return [client]


async def before_login(at: Edge, _backend: Backend) -> list[Far]:
    return [await start(at, "tls")]


async def in_upstream_login(at: Edge, backend: Backend) -> list[Far]:
    client = await start(at, "tls")
    await client.write(LOGIN)
    return [client, await backend.accept()]


async def in_last_words(at: Edge, _backend: Backend) -> list[Far]:
    client = await start(at, "tls")
    await client.write(b"a LOGOUT\r\n")
    await client.read_all()
    return [client]


@pytest.mark.parametrize("stage", [in_handshake, before_login, in_upstream_login, in_last_words])
@story
async def test_a_cancelled_session_leaves_nothing_behind(
    loop: Loop, tmp_path: Path, stage: Callable[..., object]
) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend), listen="ssl") as at:
        fars = await stage(at, backend)  # type: ignore[misc]
        (session,) = at.host.sessions
        session.cancel()
        await at.over()
        for far in fars:
            far.close()
        assert at.lines.texts == []
    backend.close()
