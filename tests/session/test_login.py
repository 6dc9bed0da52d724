"""Logging in upstream: a scripted machine against real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from gatepost.address import Address, unix
from gatepost.log import Level, SessionLog
from gatepost.protocol.events import Close, Declined, Effect, Event, Failed, LoggedIn, Send
from gatepost.session.login import BackendDeclinedError, LoginFailedError, LoginTimedOutError, UpstreamLogin
from tests.wire import Far, Lines, story

Loop = asyncio.AbstractEventLoop

DECLINED = Declined(b"a NO no\r\n", b"NO no", credentials=True)


class Scripted:
    """An upstream machine: each line it receives is a key of ``script``. ``left`` is its rest."""

    def __init__(self, script: dict[bytes, Effect], left: bytes = b"") -> None:
        self.script = script
        self.left = left

    def receive(self, data: bytes) -> list[Effect]:
        return [self.script[line] for line in data.splitlines()]

    def tell(self, _event: Event) -> list[Effect]:
        return []

    def rest(self) -> bytes:
        return self.left


class Scene:
    """A backend that listens, and the log of the session."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address = Address(socket.AF_INET, *self._listener.getsockname()[:2])
        self.log = SessionLog(Lines().log(), 1, "192.0.2.1", "0.0.0.0:143")
        self.log.upstream = "10.0.0.5:143"

    def login(
        self, loop: Loop, script: dict[bytes, Effect], header: bytes = b"", left: bytes = b""
    ) -> UpstreamLogin:
        return UpstreamLogin(loop, self.address, header, Scripted(script, left), self.log)

    async def accept(self) -> Far:
        return Far((await asyncio.get_running_loop().sock_accept(self._listener))[0])

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


@story
async def test_says_what_the_machine_says_until_it_is_in(loop: Loop) -> None:
    with scene() as at:
        login = at.login(
            loop,
            {b"hello": Send(b"USER\r\n", "sending user name to upstream"), b"ok": LoggedIn(b"in\r\n")},
            left=b"more",
        )
        running = asyncio.ensure_future(login.run())
        backend = await at.accept()
        await backend.write(b"hello\r\n")
        assert await backend.read_line() == b"USER\r\n"
        assert at.log.action == "sending user name to upstream"
        await backend.write(b"ok\r\n")
        assert await running == b"in\r\n"
        assert login.rest() == b"more"
        sock, tls = login.release()
        assert tls is None
        login.close()
        await backend.write(b"still open")
        assert await Far(sock).read() == b"still open"
        sock.close()
        backend.close()


@story
async def test_a_proxy_header_goes_first(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {b"hello": LoggedIn(b"")}, header=b"PROXY UNKNOWN\r\n")
        running = asyncio.ensure_future(login.run())
        backend = await at.accept()
        assert await backend.read_line() == b"PROXY UNKNOWN\r\n"
        await backend.write(b"hello\r\n")
        assert await running == b""
        login.close()
        backend.close()


@pytest.mark.parametrize("effect", [DECLINED, Declined(b"* BYE\r\n", b"* BYE", credentials=False)])
@story
async def test_a_no_is_handed_on_as_it_was_said(loop: Loop, effect: Declined) -> None:
    with scene() as at:
        login = at.login(loop, {b"hello": effect})
        running = asyncio.ensure_future(login.run())
        backend = await at.accept()
        await backend.write(b"hello\r\n")
        with pytest.raises(BackendDeclinedError) as caught:
            await running
        assert caught.value.declined is effect
        login.close()
        assert await backend.read() == b""
        backend.close()


@story
async def test_a_failure_of_the_machine_keeps_its_level_and_action(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {b"hello": Failed("no password available", Level.WARN, "sending AUTH to upstream")})
        running = asyncio.ensure_future(login.run())
        backend = await at.accept()
        await backend.write(b"hello\r\n")
        with pytest.raises(LoginFailedError, match=r"^no password available$") as caught:
            await running
        assert caught.value.level is Level.WARN
        assert at.log.action == "sending AUTH to upstream"
        login.close()
        backend.close()


@story
async def test_a_backend_that_goes_away(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {})
        running = asyncio.ensure_future(login.run())
        (await at.accept()).close()
        with pytest.raises(LoginFailedError, match="upstream closed the connection") as caught:
            await running
        assert caught.value.level is Level.ERROR
        assert at.log.action == "reading response from upstream"
        login.close()


@story
async def test_a_backend_that_resets(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {})
        running = asyncio.ensure_future(login.run())
        (await at.accept()).reset()
        with pytest.raises(
            LoginFailedError, match=r"^recv\(\) failed \(104: Connection reset by peer\)$"
        ) as caught:
            await running
        assert caught.value.level is Level.ERROR
        login.close()


@story
async def test_nobody_there(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {})
        at.close()
        with pytest.raises(LoginFailedError, match="111: Connection refused") as caught:
            await login.run()
        assert caught.value.level is Level.ERROR
        login.close()


@story
async def test_a_place_that_cannot_be_is_ours_to_mend(loop: Loop) -> None:
    with scene() as at:
        login = UpstreamLogin(loop, unix("/nonexistent/socket"), b"", Scripted({}), at.log)
        text = r"^connect\(\) to 10\.0\.0\.5:143 failed \(2: No such file or directory\)$"
        with pytest.raises(LoginFailedError, match=text) as caught:
            await login.run()
        assert caught.value.level is Level.CRIT
        login.close()


@story
async def test_the_time_is_over(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {})
        running = asyncio.ensure_future(login.run())
        backend = await at.accept()
        login.fail(LoginTimedOutError())
        with pytest.raises(LoginTimedOutError):
            await running
        login.close()
        assert await backend.read() == b""
        backend.close()


@story
async def test_an_effect_that_makes_no_sense_is_a_bug(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {b"hello": Close()})
        running = asyncio.ensure_future(login.run())
        backend = await at.accept()
        await backend.write(b"hello\r\n")
        with pytest.raises(AssertionError, match="cannot ask for Close"):
            await running
        login.close()
        backend.close()


@story
async def test_before_and_after_it_runs_nothing_is_open(loop: Loop) -> None:
    with scene() as at:
        login = at.login(loop, {})
        login.fail(LoginTimedOutError())
        login.close()
        login.close()
