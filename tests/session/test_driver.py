"""Sessions of a real server from the first byte to the relay, on both kinds of loops."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.net import stream as stream_module
from gatepost.protocol.events import Authenticate, Close, Effect, Event, LoggedIn, Send
from gatepost.sasl.mechanism import Credentials
from gatepost.session import driver as driver_module
from tests.wire import Far, story, until

from .edge import CLIENT, GREETING, INTERNAL_ERROR, PASSWORD, Backend, Edge, Service, edge

Loop = asyncio.AbstractEventLoop
LOGIN = b"a LOGIN joe " + PASSWORD + b"\r\n"
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 30  # callbacks
TIMED_OUT = "timed out (110: Connection timed out)"


async def start(edge: Edge, how: str, *, small: bool = False) -> Far:
    """A client that has been greeted, and is encrypted if ``how`` says so (``clear``, ``tls``, ``starttls``)."""
    if how == "clear":
        client, _ = edge.connect(small=small)
        assert await client.read_line() == GREETING
        return client
    secure, _ = edge.connect_tls(small=small)
    if how == "starttls":
        plain = Far(secure.socket)
        assert await plain.read_line() == GREETING
        await plain.write(b"s STARTTLS\r\n")
        assert await plain.read_line() == b"s OK completed\r\n"
    await secure.handshake()
    if how == "tls":
        assert await secure.read_line() == GREETING
    else:
        await secure.write(b"s NOOP\r\n")  # nothing else tells that the server has shaken hands, too
        assert await secure.read_line() == b"s OK completed\r\n"
    return secure


def listen(how: str) -> str:
    return "ssl" if how == "tls" else ""


def mail(backend: Backend | None, how: str = "clear", more: str = "") -> str:
    where = f"proxy_pass {backend.place};" if backend else ""
    return f"{where} starttls {'on' if how == 'starttls' else 'off'}; {more}"


hows = pytest.mark.parametrize("how", ["clear", "tls", "starttls"])


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


# Room ---------------------------------------------------------------------------------------------


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


# The whole way -----------------------------------------------------------------------------------


@hows
@story
async def test_from_the_greeting_to_the_relay_and_its_end(loop: Loop, tmp_path: Path, how: str) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend, how), listen=listen(how)) as at:
        client = await start(at, how)
        assert (at.host.accepted, at.host.logins) == (1, 0)
        await client.write(LOGIN)
        upstream = await backend.login()
        assert await client.read_line() == b"a OK in\r\n"
        assert at.host.sockets == 2
        assert (at.host.accepted, at.host.logins) == (1, 1)
        data = b"x" * 3_000_000
        _, got = await asyncio.gather(upstream.write(data), client.read_exactly(len(data)))
        assert got == data
        _, got = await asyncio.gather(client.write(data), upstream.read_exactly(len(data)))
        assert got == data
        client.end()
        assert await upstream.read() == b""
        upstream.close()
        assert await client.read() == b""
        await at.over()
        client.close()
        end = at.suffix(starttls=how == "starttls", login="joe", upstream=backend.place)
        assert at.lines.texts == [f"[info] *1 client logged in{end}", f"[info] *1 proxied session done{end}"]
    backend.close()


@hows
@story
async def test_what_is_behind_the_login_on_both_sides_is_passed_on(loop: Loop, tmp_path: Path, how: str) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend, how), listen=listen(how)) as at:
        client = await start(at, how)
        await client.write(LOGIN + b"b SELECT INBOX\r\nc NO")
        login = asyncio.ensure_future(backend.login(b"* CAPABILITY IMAP4\r\n* BY"))
        await asyncio.sleep(0.01)
        await client.write(b"OP\r\n")  # while we are busy upstream
        upstream = await login
        await upstream.write(b"E\r\n")
        assert await upstream.read_exactly(24) == b"b SELECT INBOX\r\nc NOOP\r\n"
        assert await client.read_exactly(36) == b"a OK in\r\n* CAPABILITY IMAP4\r\n* BYE\r\n"
        client.end()
        upstream.close()
        await at.over()
        client.close()
    backend.close()


@pytest.mark.parametrize("notify", [False, True], ids=["open", "ended"])
@story
async def test_commands_in_the_flight_of_the_finished_are_obeyed_at_once(
    loop: Loop, tmp_path: Path, notify: bool
) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend), listen="ssl") as at:
        client, _ = at.connect_tls()
        await client.handshake(hold_last_flight=True)
        client.hold(b"n NOOP\r\n" + LOGIN)
        client.hold(b"b NOOP\r\n")
        if notify:
            client.hold_close_notify()
        client.send_now()
        upstream = await backend.login()
        assert await upstream.read_line() == b"b NOOP\r\n"
        if notify:
            assert await upstream.read() == b""
        await upstream.write(b"b OK\r\n")
        upstream.close()
        assert await client.read_line() == GREETING
        assert await client.read_line() == b"n OK completed\r\n"
        assert await client.read_line() == b"a OK in\r\n"
        assert await client.read_line() == b"b OK\r\n"
        assert await client.read() == b""
        client.end()
        await at.over()
        client.close()
    backend.close()


@hows
@story
async def test_a_client_that_ends_right_behind_its_login_gets_its_replies(
    loop: Loop, tmp_path: Path, how: str
) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend, how), listen=listen(how)) as at:
        client = await start(at, how)
        await client.write(LOGIN + b"b NOOP\r\n")
        client.end()
        upstream = await backend.login()
        assert await upstream.read_line() == b"b NOOP\r\n"
        assert await upstream.read() == b""
        reply = b"x" * 500_000 + b"\r\nb OK\r\n"
        _, got = await asyncio.gather(upstream.write(reply), client.read_exactly(9 + len(reply)))
        assert got == b"a OK in\r\n" + reply
        upstream.close()
        assert await client.read() == b""
        await at.over()
        client.close()
    backend.close()


@story
async def test_what_came_in_the_clear_behind_starttls_is_never_obeyed(loop: Loop, tmp_path: Path) -> None:
    async with edge(loop, tmp_path, mail(None, "starttls", "proxy_pass 127.0.0.1:9;")) as at:
        client, _ = at.connect_tls()
        plain = Far(client.socket)
        assert await plain.read_line() == GREETING
        await plain.write(b"s STARTTLS\r\nx NOOP\r\n")
        assert await plain.read_line() == b"s OK completed\r\n"
        await client.handshake()
        await client.write(b"y NOOP\r\n")
        assert await client.read_line() == b"y OK completed\r\n"
        client.end()
        await at.over()
        client.close()
        assert at.lines.texts == []


@story
async def test_a_backend_at_a_unix_socket(loop: Loop, tmp_path: Path) -> None:
    backend = Backend(tmp_path / "backend")
    async with edge(loop, tmp_path, mail(backend)) as at:
        client = await start(at, "clear")
        await client.write(LOGIN)
        upstream = await backend.login()
        assert await client.read_line() == b"a OK in\r\n"
        client.close()
        upstream.close()
        await at.over()
        assert at.lines.texts[0] == "[info] *1 client logged in" + at.suffix(login="joe", upstream=backend.place)
    backend.close()


@story
async def test_many_at_once(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    upstreams: list[Far] = []

    async def serve(count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                upstreams.append(await backend.accept())
                group.create_task(backend.play(upstreams[-1], b"* BYE\r\n"))

    async def visit(at: Edge) -> None:
        client = await start(at, "tls")
        await client.write(LOGIN)
        assert await client.read_line() == b"a OK in\r\n"
        assert await client.read_line() == b"* BYE\r\n"
        client.close()

    async with edge(loop, tmp_path, mail(backend), listen="ssl") as at:
        await asyncio.gather(serve(30), *(visit(at) for _ in range(30)))
        for upstream in upstreams:
            upstream.close()
        await at.over()
    backend.close()


# Refusals ----------------------------------------------------------------------------------------


@story
async def test_a_backend_that_refuses_may_be_tried_again_on_a_new_connection(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    async with edge(loop, tmp_path, mail(backend)) as at:
        client = await start(at, "clear")
        await client.write(b"a LOGIN joe wrong\r\n")
        first = await backend.accept()
        await first.write(b"* OK hi\r\n")
        await first.read_line()
        await first.write(b"+\r\n")
        await first.read_line()
        await first.write(b"+\r\n")
        assert await first.read_line() == b"wrong\r\n"
        await first.write(b"a NO who are you?\r\n")
        assert await client.read_line() == b"a NO who are you?\r\n"
        assert await first.read() == b""
        first.close()
        await client.write(LOGIN)
        second = await backend.login()
        assert await client.read_line() == b"a OK in\r\n"
        client.close()
        second.close()
        await at.over()
        end = at.suffix(login="joe", upstream=backend.place)
        assert at.lines.texts[:2] == [
            f'[info] *1 client login failed: "NO who are you?" while reading response from upstream{end}',
            f"[info] *1 client logged in{end}",
        ]
    backend.close()


@story
async def test_a_refusal_of_the_service_with_a_wait_leaves_another_try(loop: Loop, tmp_path: Path) -> None:
    backend = Backend()
    host, port = backend.place.split(":")
    service = Service(
        "Auth-Status: No luck\r\nAuth-Wait: 1", f"Auth-Status: OK\r\nAuth-Server: {host}\r\nAuth-Port: {port}"
    )
    async with edge(loop, tmp_path, f"auth_http {service.place};") as at:
        client = await start(at, "clear")
        await client.write(LOGIN + b"b NOOP\r\n")
        assert await client.read_line() == b"a NO No luck\r\n"
        assert await client.read_line() == b"b OK completed\r\n"
        await client.write(LOGIN)
        upstream = await backend.login()
        assert await client.read_line() == b"a OK in\r\n"
        client.close()
        upstream.close()
        await at.over()
        assert at.lines.texts[0] == (
            '[info] *1 client login failed: "No luck" while in http auth state' + at.suffix(login="joe")
        )
    assert [b"Auth-Login-Attempt: %d\r\n" % n in asked for n, asked in enumerate(service.asked, 1)] == [True, True]
    await service.close()
    backend.close()


HOUR = 3600  # far beyond what a test may take
PATIENT = {
    "refused": f"Auth-Status: No luck\r\nAuth-Wait: {HOUR}",
    "postponed": f"Auth-Status: WAIT\r\nAuth-Wait: {HOUR}",
}


@pytest.mark.parametrize("leave", [Far.end, Far.close, Far.reset])
@pytest.mark.parametrize("verdict", PATIENT)
@hows
@story
async def test_a_client_that_leaves_while_the_service_makes_it_wait(
    loop: Loop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    verdict: str,
    leave: Callable[[Far], None],
) -> None:
    monkeypatch.setattr(driver_module, "LOOK_SECONDS", 0.05)
    service = Service(PATIENT[verdict])
    async with edge(loop, tmp_path, f"auth_http {service.place}; starttls on;", listen=listen(how)) as at:
        client = await start(at, how)
        # What it says behind its login is more than a session keeps; the end is noticed all the same.
        await client.write(LOGIN + b"b NOOP\r\n" * 10000)
        await until(lambda: service.asked)
        leave(client)
        await at.over()
        client.close()
        failed = '[info] *1 client login failed: "No luck" while in http auth state'
        end = at.suffix(login="joe", starttls=how == "starttls")
        assert at.lines.texts == [failed + end] * (verdict == "refused")
    await service.close()


@hows
@story
async def test_a_refusal_of_the_service_without_a_wait_is_the_end(loop: Loop, tmp_path: Path, how: str) -> None:
    service = Service("Auth-Status: Go away")
    async with edge(loop, tmp_path, f"auth_http {service.place}; starttls on;", listen=listen(how)) as at:
        client = await start(at, how)
        await client.write(LOGIN + b"b NOOP\r\n" * 1000)  # unread input must not turn the end into a reset
        assert await client.read_line() == b"a NO Go away\r\n"
        assert await client.read() == b""
        client.end()
        await at.over()
        client.close()
    await service.close()


# Trouble upstream --------------------------------------------------------------------------------


async def answer_of(at: Edge, how: str = "clear") -> bytes:
    """What a client hears to its login, up to the end."""
    client = await start(at, how)
    await client.write(LOGIN)
    answer = await client.read_all()
    client.end()
    await at.over()
    client.close()
    return answer


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


# Time --------------------------------------------------------------------------------------------


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
        await asyncio.sleep(0.7)
        service.held.set()
        assert await client.read_line() == b"a NO Go away\r\n"
        client.close()
        await at.over()
        assert len(at.lines.texts) == 1
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


# Other machines ----------------------------------------------------------------------------------


class Script:
    """A service and its machines, which do as told: effects by the first byte that arrives."""

    def __init__(self, **effects: list[Effect]) -> None:
        self.effects = effects
        self.told: list[Event] = []

    def client(self, **_facts: object) -> "Script":
        return self

    def start(self) -> list[Effect]:
        return self.effects.get("start", [])

    def receive(self, data: bytes) -> list[Effect]:
        if data == b"bug":
            raise ZeroDivisionError(PASSWORD)
        return self.effects[data.decode()]

    def tell(self, event: Event) -> list[Effect]:
        self.told.append(event)
        return []


@pytest.mark.parametrize("data", [b"bug", b"odd"])
@story
async def test_a_bug_costs_one_session_and_is_told_without_secrets(loop: Loop, tmp_path: Path, data: bytes) -> None:
    async with edge(loop, tmp_path, "proxy_pass 127.0.0.1:9;") as at:
        at.use(service=Script(odd=[LoggedIn(b"")], fine=[Send(b"fine"), Close()]))
        broken, _ = at.connect()
        other, _ = at.connect()
        await broken.write(data)
        assert await broken.read() == b""
        await other.write(b"fine")
        assert await other.read_all() == b"fine"
        broken.close()
        other.close()
        await at.over()
        (text,) = at.lines.texts
        assert text.startswith(
            "[alert] *1 " + ("ZeroDivisionError" if data == b"bug" else "AssertionError") + " at "
        )


@story
async def test_effects_are_performed_in_their_order(loop: Loop, tmp_path: Path) -> None:
    service = Service("Auth-Status: no\r\nAuth-Wait: 1")
    async with edge(loop, tmp_path, f"auth_http {service.place};") as at:
        asked = Authenticate(Credentials("plain", b"joe", PASSWORD, cleartext=True))
        script = Script(start=[Send(b"1"), Send(b"2"), asked, Send(b"3")], bye=[Send(b"4"), Close(), Send(b"5")])
        at.use(service=script)
        client, _ = at.connect()
        assert await client.read_exactly(3) == b"123"
        assert len(script.told) == 1
        await client.write(b"bye")
        assert await client.read_all() == b"4"
        client.close()
        await at.over()
    await service.close()
