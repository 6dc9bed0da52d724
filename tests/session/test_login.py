"""Logging in upstream: real sockets, the IMAP machine and scripted ones, on both kinds of loops."""

import asyncio
import base64
import errno
import os
import socket
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.log import Level, quoted
from gatepost.net.room import Room
from gatepost.protocol.events import Account, Declined, Effect, Event, Failed, LoggedIn, Send, StartTls
from gatepost.protocol.imap.upstream import ImapUpstream
from gatepost.protocol.machine import UpstreamMachine
from gatepost.session.login import (
    BackendDeclinedError,
    LoginFailedError,
    LoginTimedOutError,
    UpstreamLogin,
    without_password,
)
from gatepost.session_log import SessionLog
from tests.wire import Accounts, Far, Lines, poller, story

from .edge import PASSWORD, Backend

Loop = asyncio.AbstractEventLoop


class Script:
    """A machine that answers each piece of input with the next list of effects."""

    def __init__(self, *effects: list[Effect]) -> None:
        self.effects = list(effects)
        self.seen = b""

    def receive(self, data: bytes) -> list[Effect]:
        self.seen += data
        return self.effects.pop(0) if self.effects else []

    def tell(self, _event: Event) -> list[Effect]:
        return []

    def rest(self) -> bytes:
        return b"rest"


def imap() -> ImapUpstream:
    return ImapUpstream(b"a", Account(b"joe", PASSWORD, proven=True), 65536)


class Attempt:
    """One login at ``place``, and what the log says we are doing."""

    def __init__(
        self, loop: Loop, backend: Backend | Address, machine: UpstreamMachine, header: bytes = b""
    ) -> None:
        self.accounts = Accounts(loop)
        self.log = SessionLog(Lines().log(), 1, "192.0.2.1", "0.0.0.0:143")
        self.log.upstream = "as the service wrote it"
        self.log.action = "connecting to upstream"
        if isinstance(backend, Backend):
            address = (
                Address(socket.AF_INET, *backend.socket.getsockname())
                if backend.socket.family is socket.AF_INET
                else unix(backend.socket.getsockname())
            )
        else:
            address = backend
        self.room = Room()
        self.login = UpstreamLogin(self.accounts, address, header, machine, self.log, self.room)
        self.running = asyncio.ensure_future(self.login.run())

    async def failure(self) -> LoginFailedError:
        with pytest.raises(LoginFailedError) as caught:
            await self.running
        self.close()
        return caught.value

    def close(self) -> None:
        self.login.close()
        self.login.close()
        assert self.accounts.watched == set()
        assert self.room.held == 0


@story
async def test_logs_in_and_hands_the_connection_over(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, imap())
    far = await backend.login(b"* 3 EXISTS\r\n")
    assert await attempt.running == b"a OK in\r\n"
    assert attempt.login.rest() == b"* 3 EXISTS\r\n"
    assert attempt.room.held == 1
    sock, tls = attempt.login.release()
    assert tls is None
    attempt.login.close()
    assert attempt.room.held == 0
    await far.write(b"more")
    assert await loop.sock_recv(sock, 10) == b"more"
    sock.close()
    far.close()
    backend.close()


@story
async def test_a_header_goes_ahead_of_all(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, imap(), b"PROXY UNKNOWN\r\n")
    far = await backend.accept()
    assert await far.read_line() == b"PROXY UNKNOWN\r\n"
    attempt.running.cancel()
    await asyncio.gather(attempt.running, return_exceptions=True)
    attempt.close()
    far.close()
    backend.close()


@story
async def test_replies_may_come_in_any_pieces(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, imap())
    far = await backend.accept()

    async def say(text: bytes) -> None:
        for byte in text:
            await far.write(bytes([byte]))
            await asyncio.sleep(0)

    await say(b"* OK hi\r\n")
    assert await far.read_line() == b"a LOGIN {3}\r\n"
    await say(b"+\r\n")
    assert await far.read_line() == b"joe {%d}\r\n" % len(PASSWORD)
    await say(b"+\r\n")
    assert await far.read_line() == PASSWORD + b"\r\n"
    await say(b"a OK in\r\n")
    assert await attempt.running == b"a OK in\r\n"
    attempt.close()
    far.close()
    backend.close()


@story
async def test_much_to_say_waits_for_a_slow_backend(loop: Loop) -> None:
    backend = Backend()
    backend.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    much = os.urandom(5_000_000)
    attempt = Attempt(loop, backend, Script([Send(much), Send(b"!")], [LoggedIn(b"done")]))
    far = await backend.accept()
    await far.write(b"go")
    assert await far.read_exactly(len(much) + 1) == much + b"!"
    await far.write(b"ok")
    assert await attempt.running == b"done"
    attempt.close()
    far.close()
    backend.close()


@story
async def test_what_we_do_follows_the_machine(loop: Loop) -> None:
    backend = Backend()
    script = Script([Send(b"1", "sending user name to upstream")], [Send(b"2")], [LoggedIn(b"")])
    attempt = Attempt(loop, backend, script)
    far = await backend.accept()
    assert attempt.log.action == "connecting to upstream"
    await far.write(b"x")
    assert await far.read_exactly(1) == b"1"
    assert attempt.log.action == "sending user name to upstream"
    await far.write(b"x")
    assert await far.read_exactly(1) == b"2"
    assert attempt.log.action == "reading response from upstream"
    await far.write(b"x")
    await attempt.running
    attempt.close()
    far.close()
    backend.close()


# Failures ----------------------------------------------------------------------------------------


@story
async def test_refused(loop: Loop) -> None:
    backend = Backend()
    address = Address(socket.AF_INET, *backend.socket.getsockname())
    backend.close()
    attempt = Attempt(loop, address, imap())
    error = await attempt.failure()
    assert (str(error), error.level) == ("recv() failed (111: Connection refused)", Level.ERROR)
    assert attempt.log.action == "reading response from upstream"


@pytest.mark.parametrize("kind", ["missing", "file", "too long"])
@story
async def test_a_unix_socket_that_cannot_be_one_is_the_operators_business(
    loop: Loop, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / ("x" * 200 if kind == "too long" else "socket")
    if kind == "file":
        path.write_text("")
    error = await Attempt(loop, unix(str(path)), imap()).failure()
    assert str(error).startswith("connect() to as the service wrote it failed (")
    expected = {"missing": Level.CRIT, "file": Level.ERROR, "too long": Level.CRIT}  # a file refuses connections
    assert error.level is expected[kind]


@story
async def test_a_unix_socket_whose_queue_is_full_is_an_overloaded_backend(loop: Loop, tmp_path: Path) -> None:
    backend = Backend(tmp_path / "backend")
    backend.socket.listen(0)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(tmp_path / "backend"))
        error = await Attempt(loop, backend, imap()).failure()
    text = f"connect() to as the service wrote it failed ({errno.EAGAIN}: {os.strerror(errno.EAGAIN)})"
    assert (str(error), error.level) == (text, Level.ERROR)
    backend.close()


@story
async def test_an_early_end(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, imap())
    (await backend.accept()).close()
    error = await attempt.failure()
    assert str(error) == "upstream closed the connection before the login was complete"
    assert attempt.log.action == "reading response from upstream"
    backend.close()


@story
async def test_a_reset(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, imap())
    (await backend.accept()).reset()
    error = await attempt.failure()
    assert (str(error), error.level) == ("recv() failed (104: Connection reset by peer)", Level.ERROR)
    backend.close()


@story
async def test_a_no_is_the_sessions_business(loop: Loop) -> None:
    backend = Backend()
    declined = Declined(b"a NO\r\n", b"NO", credentials=True)
    attempt = Attempt(loop, backend, Script([declined]))
    far = await backend.accept()
    await far.write(b"x")
    with pytest.raises(BackendDeclinedError) as caught:
        await attempt.running
    assert caught.value.declined is declined
    attempt.close()
    assert await far.read() == b""
    far.close()
    backend.close()


@story
async def test_a_failure_of_the_machine_keeps_its_level_and_action(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, Script([Failed("too long a reply", Level.WARN, "sending AUTH to upstream")]))
    far = await backend.accept()
    await far.write(b"x")
    error = await attempt.failure()
    assert (str(error), error.level) == ("too long a reply", Level.WARN)
    assert attempt.log.action == "sending AUTH to upstream"
    far.close()
    backend.close()


@story
async def test_what_an_upstream_machine_cannot_ask_for_is_a_bug(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, Script([StartTls()]))
    far = await backend.accept()
    await far.write(b"x")
    with pytest.raises(AssertionError, match="StartTls"):
        await attempt.running
    attempt.close()
    far.close()
    backend.close()


# Ended from outside ------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["greeting", "writing"])
@story
async def test_time_is_over(loop: Loop, stage: str) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, Script([Send(bytes(20_000_000))]))
    far = await backend.accept()
    if stage == "writing":
        await far.write(b"x")
        while (attempt.login._stream.fd, "w") not in attempt.accounts.watched:  # type: ignore[union-attr]
            await asyncio.sleep(0.001)
    attempt.login.fail(LoginTimedOutError())
    with pytest.raises(LoginTimedOutError):
        await attempt.running
    attempt.close()
    far.close()
    backend.close()


@story
async def test_time_is_over_before_anything_began(loop: Loop) -> None:
    log = SessionLog(Lines().log(), 1, "192.0.2.1", "0.0.0.0:143")
    login = UpstreamLogin(poller(loop), unix("/nowhere"), b"", imap(), log, Room())
    login.fail(LoginTimedOutError())
    login.close()


@story
async def test_without_room_nothing_is_connected(loop: Loop) -> None:
    backend = Backend()
    log = SessionLog(Lines().log(), 1, "192.0.2.1", "0.0.0.0:143")
    address = Address(socket.AF_INET, *backend.socket.getsockname())
    room = Room(0)
    login = UpstreamLogin(poller(loop), address, b"", imap(), log, room)
    with pytest.raises(LoginFailedError, match=r"^0 worker_connections are not enough$") as caught:
        await login.run()
    assert caught.value.level is Level.ALERT
    login.close()
    assert room.held == 0
    with pytest.raises(BlockingIOError):
        backend.socket.accept()
    backend.close()


@story
async def test_the_account_does_not_show(loop: Loop) -> None:
    backend = Backend()
    attempt = Attempt(loop, backend, imap())
    far: Far = await backend.accept()
    await far.write(b"* OK hi\r\na BAD " + PASSWORD)
    far.close()
    error = await attempt.failure()
    assert PASSWORD.decode() not in repr(error) + str(error) + repr(attempt.login)
    backend.close()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"BAD unknown hunter2\xff", "BAD unknown ..."),
        (b"500 AUTH PLAIN " + base64.b64encode(b"\0joe\0hunter2\xff"), "500 AUTH PLAIN ..."),
        (b"500 " + base64.b64encode(b"hunter2\xff"), "500 ..."),
        (b"NO not you, joe", "NO not you, joe"),
    ],
)
def test_a_password_that_a_backend_repeats_is_not_shown(said: bytes, shown: str) -> None:
    account = Account(b"joe", b"hunter2\xff", proven=True)
    assert without_password(quoted(said), account) == shown
    assert without_password(quoted(said), Account(b"joe", None, proven=True)) == quoted(said)
