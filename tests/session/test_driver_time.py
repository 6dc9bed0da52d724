"""How long sessions wait, and for whom: time-outs at every stage."""

import asyncio
import socket
from pathlib import Path

import pytest

from gatepost.net import stream as stream_module
from tests.wire import Far, story, until

from .clients import FEW, IDLE_SECONDS, LOGIN, TIMED_OUT, answer_of, hows, listen, mail, start
from .edge import GREETING, INTERNAL_ERROR, Backend, Service, edge

Loop = asyncio.AbstractEventLoop


@story
async def test_silence_in_the_handshake(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9; timeout 50ms;", listen="ssl") as at:
        client, _ = at.connect()
        assert await client.read() == b""
        client.close()
        await at.over()
        assert at.lines.texts == [f"[info] *1 client {TIMED_OUT} while SSL handshaking" + at.suffix()]


@hows
@story
async def test_silence_before_the_login(loop: Loop, tmp_path: Path, how: str) -> None:
    text = mail(None, how, "proxy_pass 127.0.0.1:9; timeout 900ms;")
    async with edge(loop, tmp_path, text, listen=listen(how)) as at:
        client = await start(at, how)
        if how == "clear":
            assert await client.read() == b""
        else:
            with pytest.raises(EOFError):
                await client.read()
        client.close()
        await at.over()
        (line,) = at.lines.texts
        assert line == f"[info] *1 client {TIMED_OUT} while in auth state" + at.suffix(starttls=how == "starttls")


@story
async def test_commands_do_not_extend_the_time_for_the_login(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9; timeout 200ms;") as at:
        client = await start(at, "clear")

        async def talk() -> None:
            while True:
                await client.write(b"a NOOP\r\n")
                assert await client.read_line() == b"a OK completed\r\n"
                await asyncio.sleep(0.01)

        with pytest.raises((EOFError, ConnectionError)):
            await talk()
        client.close()
        await at.over()
        assert at.lines.texts == [f"[info] *1 client {TIMED_OUT} while in auth state" + at.suffix()]


@pytest.mark.parametrize("how", ["clear", "tls"])
@story
async def test_a_client_that_pipelines_and_never_reads(loop: Loop, tmp_path: Path, how: str) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9; timeout 950ms;", listen=listen(how)) as at:
        client = await start(at, how, small=True)

        async def flood() -> None:
            while True:
                await client.write(b"a CAPABILITY\r\n" * 1000)

        flooding = asyncio.ensure_future(flood())
        await until(lambda: any(way == "w" for _, way in at.accounts.watched))
        await asyncio.sleep(0.01)
        before = at.accounts.runs
        await asyncio.sleep(IDLE_SECONDS)
        assert at.accounts.runs - before < FEW
        await at.over()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        client.close()
        (text,) = at.lines.texts
        assert text.startswith(f"[info] *1 client {TIMED_OUT} while ")


@pytest.mark.parametrize("how", ["clear", "tls"])
@story
async def test_no_time_at_all_is_enough_for_the_greeting(loop: Loop, tmp_path: Path, how: str) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9; timeout 0;", listen=listen(how)) as at:
        client, _ = at.connect()
        assert await client.read_all() == (GREETING if how == "clear" else b"")
        client.close()
        await at.over()
        assert len(at.lines.texts) == 1
        assert f"client {TIMED_OUT}" in at.lines.texts[0]


@pytest.mark.parametrize("stage", range(4))
@story
async def test_a_backend_that_falls_silent_at_any_stage(loop: Loop, tmp_path: Path, stage: int) -> None:
    backend = Backend()
    kept: list[Far] = []

    async def fall_silent() -> None:
        far = await backend.accept()
        kept.append(far)
        for line in (b"* OK hi\r\n", b"+ user\r\n", b"+ password\r\n")[:stage]:
            await far.write(line)
            await far.read_line()

    async with edge(loop, tmp_path, mail(backend, more="timeout 900ms;")) as at:
        falling = asyncio.ensure_future(fall_silent())
        assert await answer_of(at) == INTERNAL_ERROR
        await falling
        action = (
            "connecting to upstream",
            "sending LOGIN command to upstream",
            "sending user name to upstream",
            "sending password to upstream",
        )[stage]
        assert at.lines.texts == [
            f"[info] *1 upstream {TIMED_OUT} while {action}" + at.suffix(login="joe", upstream=backend.place)
        ]
        assert await kept[0].read_all() is not None
        kept[0].close()
    backend.close()


@story
async def test_a_backend_that_never_accepts(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    backend.socket.listen(0)
    place = backend.socket.getsockname()
    waiting = []
    for _ in range(3):  # a full queue: the kernel does not answer any more
        sock = socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.connect_ex(place)
        waiting.append(sock)
    await asyncio.sleep(0.01)
    async with edge(loop, tmp_path, mail(backend, more="timeout 500ms;")) as at:
        assert await answer_of(at) == INTERNAL_ERROR
        assert at.lines.texts == [
            f"[info] *1 upstream {TIMED_OUT} while connecting to upstream"
            + at.suffix(login="joe", upstream=backend.place)
        ]
    for sock in waiting:
        sock.close()
    backend.close()


@story
async def test_time_stands_still_while_the_service_thinks(loop: Loop, tmp_path: Path) -> None:
    service = Service("Auth-Status: Go away")
    service.held.clear()
    async with edge(loop, tmp_path, f"auth_http {service.place}; timeout 500ms;") as at:
        client = await start(at, "clear")
        await client.write(LOGIN)
        await until(lambda: service.asked)
        # Somebody who came later and says nothing: by the end of its time, the client's would have passed as well.
        silent = await start(at, "clear")
        assert await silent.read() == b""
        silent.close()
        (session,) = at.host.sessions
        assert session._stream._failure is None  # it would be forgiven, as one that has passed just before
        service.held.set()
        assert await client.read_line() == b"a NO Go away\r\n"
        client.close()
        await at.over()
        assert at.lines.texts == [
            f"[info] *2 client {TIMED_OUT} while in auth state{at.suffix()}",
            f'[info] *1 client login failed: "Go away" while in http auth state{at.suffix(login="joe")}',
        ]
    await service.close()


@story
async def test_a_time_that_passed_as_the_login_came_does_not_end_a_later_wait(loop: Loop, tmp_path: Path) -> None:
    service = Service("Auth-Status: Go away")
    async with edge(loop, tmp_path, f"auth_http {service.place}; timeout 60s;") as at:
        client, session = at.connect()
        assert await client.read_line() == GREETING
        client.socket.send(LOGIN + b"b NOOP\r\n")
        # The command is there, and before the session waits for the client again its time is over.
        woken = at.accounts.runs
        while at.accounts.runs == woken:
            await asyncio.sleep(0)
        session._expired()
        assert await client.read_all() == b"a NO Go away\r\n"
        client.close()
        await at.over()
        assert "timed out" not in "".join(at.lines.texts)
    await service.close()


@pytest.mark.parametrize("how", ["clear", "tls"])
@story
async def test_last_words_wait_for_a_client_only_for_a_while(
    loop: Loop, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "LINGER_SECONDS", 0.05)
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;", listen=listen(how)) as at:
        client = await start(at, how)
        await client.write(b"a LOGOUT\r\n")
        await at.over()
        assert at.lines.texts == []
        assert await client.read_line() == b"* BYE\r\n"
        assert await client.read_line() == b"a OK completed\r\n"
        client.close()
