"""Sessions whose service, backend or client fails them, and those for which there is no room."""

import asyncio
from pathlib import Path

import pytest

from tests.wire import story, until

from .clients import FEW, IDLE_SECONDS, LOGIN, answer_of, hows, listen, mail, start
from .edge import CLIENT, INTERNAL_ERROR, PASSWORD, Backend, Service, edge

Loop = asyncio.AbstractEventLoop


# Room --------------------------------------------------------------------------------------------


@story
async def test_a_login_whose_relay_the_poller_does_not_take_ends(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend)) as at:
        client = await start(at, "clear")
        await client.write(LOGIN)
        upstream = await backend.accept()
        await client.write(b"b NOOP\r\n")  # nobody wants to read that now, so the client is taken out
        await until(lambda: len(at.accounts.watched) == 1)
        at.accounts.room = 0
        await backend.play(upstream)
        with pytest.raises(ConnectionResetError):
            await client.read()
        client.close()
        assert await upstream.read() == b""
        upstream.close()
        await at.over()
        end = at.suffix(login="joe", upstream=backend.place)
        assert at.lines.texts == [
            f"[info] *1 client logged in{end}",
            f"[crit] *1 epoll_ctl() failed (28: No space left on device) while proxying{end}",
        ]
    backend.close()


@story
async def test_every_connection_has_a_place_and_leaves_it(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    service = Service(f"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {backend.place.split(':')[1]}")
    async with edge(loop, tmp_path, f"auth_http {service.place};") as at:
        room = at.host.room
        listener = room.held
        client = await start(at, "clear")
        assert room.held == listener + 1
        service.held.clear()
        await client.write(LOGIN)
        while not service.asked:
            await asyncio.sleep(0.001)
        assert room.held == listener + 2  # the session, and the question
        service.held.set()
        upstream = await backend.accept()
        assert room.held == listener + 3  # the session, the free connection to the service, the upstream
        await backend.play(upstream)
        assert await client.read_line() == b"a OK in\r\n"
        while at.host.sessions:
            await asyncio.sleep(0.001)
        assert room.held == listener + 3
        room.limit = room.held
        assert not room.is_full()  # the free connection makes room
        assert room.held == listener + 2
        second = await start(at, "clear")
        assert room.is_full()
        for far in (client, upstream, second):
            far.close()
        await at.over()
    await service.close()
    backend.close()


@pytest.mark.parametrize("places", [0, 1])
@story
async def test_a_login_without_room_is_answered(loop: Loop, tmp_path: Path, places: int) -> None:
    backend = Backend()
    service = Service(f"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {backend.place.split(':')[1]}")
    async with edge(loop, tmp_path, f"auth_http {service.place};") as at:
        service.held.clear()
        client = await start(at, "clear")
        at.host.room.limit = limit = at.host.room.held + places
        await client.write(LOGIN)
        if places:  # enough to ask, but the connection for that is not yet free when the upstream needs one
            while not service.asked:
                await asyncio.sleep(0.001)
            at.host.room.limit = limit = at.host.room.held - 1
            service.held.set()
        assert await client.read_line() == INTERNAL_ERROR
        client.end()
        state = "connecting to upstream" if places else "in http auth state"
        complaint = f"{limit} worker_connections are not enough while {state}, client: {CLIENT.host}"
        assert any(complaint in text for text in at.lines.texts)
        client.close()
        await at.over()
    await service.close()
    backend.close()


# Trouble upstream --------------------------------------------------------------------------------


@story
async def test_a_service_that_is_not_there(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, f"auth_http unix:{tmp_path}/none:/;") as at:
        assert await answer_of(at) == INTERNAL_ERROR
        (text,) = at.lines.texts
        assert text.startswith("[crit] *1 connect() to unix:")
        assert text.endswith(
            "failed (2: No such file or directory) while in http auth state" + at.suffix(login="joe")
        )


@hows
@story
async def test_a_backend_that_is_not_there(loop: Loop, tmp_path: Path, how: str) -> None:
    backend = Backend()
    backend.close()
    async with edge(loop, tmp_path, mail(backend, how), listen=listen(how)) as at:
        assert await answer_of(at, how) == INTERNAL_ERROR
        end = at.suffix(starttls=how == "starttls", login="joe", upstream=backend.place)
        assert at.lines.texts == [
            f"[error] *1 recv() failed (111: Connection refused) while reading response from upstream{end}"
        ]


@story
async def test_a_backend_whose_socket_file_is_missing(loop: Loop, tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/none"
    async with edge(loop, tmp_path, f"proxy_pass {place};") as at:
        assert await answer_of(at) == INTERNAL_ERROR
        assert at.lines.texts == [
            f"[crit] *1 connect() to {place} failed (2: No such file or directory) while connecting to upstream"
            + at.suffix(login="joe", upstream=place)
        ]


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@story
async def test_a_backend_that_goes_away_at_any_stage(loop: Loop, tmp_path: Path, stage: int, reset: bool) -> None:
    backend = Backend()

    async def go_away() -> None:
        far = await backend.accept()
        for line in (b"* OK hi\r\n", b"+ user\r\n", b"+ password\r\n")[:stage]:
            await far.write(line)
            await far.read_line()
        if reset:
            far.reset()
        else:
            far.close()

    async with edge(loop, tmp_path, mail(backend)) as at:
        going = asyncio.ensure_future(go_away())
        assert await answer_of(at) == INTERNAL_ERROR
        await going
        (text,) = at.lines.texts
        assert text.startswith("[error] *1 recv() failed (104:" if reset else "[error] *1 upstream closed")
        assert text.endswith(
            " while reading response from upstream" + at.suffix(login="joe", upstream=backend.place)
        )
    backend.close()


@story
async def test_a_backend_that_talks_of_something_else(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend)) as at:
        answering = asyncio.ensure_future(answer_of(at))
        far = await backend.accept()
        await far.write(b'220 "smtp"\x07 here\r\n')
        assert await answering == INTERNAL_ERROR
        assert at.lines.texts == [
            r'[error] *1 upstream sent invalid response: "220 \x22smtp\x22\x07 here" while '
            "reading response from upstream" + at.suffix(login="joe", upstream=backend.place)
        ]
        assert await far.read() == b""
        far.close()
    backend.close()


@pytest.mark.parametrize("words", ["on", "off"])
@story
async def test_a_backend_that_says_yes_too_early_or_repeats_the_password(
    loop: Loop, tmp_path: Path, words: str
) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend, more=f"proxy_pass_error_message {words};")) as at:
        answering = asyncio.ensure_future(answer_of(at))
        far = await backend.accept()
        await far.write(b"* OK hi\r\n")
        await far.read_line()
        await far.write(b"a OK " + PASSWORD + b" is welcome\r\n")
        assert await answering == INTERNAL_ERROR
        (text,) = at.lines.texts
        assert 'upstream sent invalid response: "a OK ... is welcome"' in text
        far.close()
    backend.close()


@story
async def test_the_backends_own_words_where_they_are_wanted(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend, more="proxy_pass_error_message on;")) as at:
        answering = asyncio.ensure_future(answer_of(at))
        far = await backend.accept()
        await far.write(b"* BYE overloaded\r\n")
        assert await answering == b"* BYE overloaded\r\n"
        (text,) = at.lines.texts
        assert text.startswith('[info] *1 upstream sent invalid response: "* BYE overloaded"')
        far.close()
    backend.close()


# Clients that go away ----------------------------------------------------------------------------


@hows
@story
async def test_a_client_that_leaves_before_its_login(loop: Loop, tmp_path: Path, how: str) -> None:
    async with edge(loop, tmp_path, mail(None, how, "proxy_pass 127.0.0.1:9;"), listen=listen(how)) as at:
        client = await start(at, how)
        client.end()
        assert await client.read() == b""
        client.close()
        await at.over()
        assert at.lines.texts == []


@story
async def test_replies_to_a_client_that_has_ended_are_delivered(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;") as at:
        client = await start(at, "clear")
        await client.write(b"a NOOP\r\nb NOOP\r\n")
        client.end()
        assert await client.read_all() == b"a OK completed\r\nb OK completed\r\n"
        client.close()
        await at.over()


@hows
@story
async def test_a_client_that_resets_before_its_login(loop: Loop, tmp_path: Path, how: str) -> None:
    async with edge(loop, tmp_path, mail(None, how, "proxy_pass 127.0.0.1:9;"), listen=listen(how)) as at:
        client = await start(at, how)
        client.reset()
        await at.over()
        (text,) = at.lines.texts
        call = "recv()" if how == "clear" else "SSL_read()"
        assert text.startswith(f"[info] *1 {call} failed (104: Connection reset by peer) while ")
        assert text.endswith(at.suffix(starttls=how == "starttls"))


@story
async def test_a_client_that_leaves_in_the_handshake(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;", listen="ssl") as at:
        client, _ = at.connect()
        client.close()
        await at.over()
        assert at.lines.texts == [
            "[info] *1 peer closed connection in SSL handshake while SSL handshaking" + at.suffix()
        ]


@story
async def test_a_client_that_does_not_speak_tls(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;", listen="ssl") as at:
        client, _ = at.connect()
        await client.write(LOGIN)
        await at.over()
        (text,) = at.lines.texts
        assert text.startswith("[info] *1 SSL_do_handshake() failed (SSL: error:")
        assert text.endswith(" while SSL handshaking" + at.suffix())
        client.close()


@hows
@story
async def test_a_client_that_resets_right_behind_its_login(loop: Loop, tmp_path: Path, how: str) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend, how), listen=listen(how)) as at:
        client = await start(at, how)
        await client.write(LOGIN)
        client.reset()
        upstream = await backend.login()
        assert await upstream.read() == b""
        upstream.close()
        await at.over()
        first, second, *_ = at.lines.texts
        assert first.startswith("[info] *1 client logged in")
        assert second.startswith("[info] *1 ")
        assert len([text for text in at.lines.texts if " failed (" in text]) == 1
    backend.close()


@story
async def test_a_client_that_resets_while_we_ask_the_service(loop: Loop, tmp_path: Path) -> None:
    service = Service("Auth-Status: Go away")
    service.held.clear()
    async with edge(loop, tmp_path, f"auth_http {service.place};") as at:
        client = await start(at, "clear")
        await client.write(LOGIN)
        await until(lambda: service.asked)
        await client.write(b"b NOOP\r\n")
        await asyncio.sleep(0.01)
        before = at.accounts.runs
        client.reset()
        await asyncio.sleep(IDLE_SECONDS)
        assert at.accounts.runs - before < FEW
        service.held.set()
        await at.over()
        assert len(at.lines.texts) == 2
        assert "send() failed" in at.lines.texts[1]
    await service.close()
