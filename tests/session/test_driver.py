"""Sessions of a real server from the first byte to the relay, on both kinds of loops."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.protocol.events import Authenticate, Close, Effect, Event, LoggedIn, Send
from gatepost.sasl.mechanism import Credentials
from gatepost.session import driver as driver_module
from tests.wire import Far, story, until

from .clients import LOGIN, hows, listen, mail, start
from .edge import GREETING, PASSWORD, Backend, Edge, Service, edge

Loop = asyncio.AbstractEventLoop


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
