"""The relay between real sockets, in the clear and under TLS, on both kinds of loops."""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import termios
from array import array
from dataclasses import dataclass, field
from typing import Any

import pytest

from gatepost.net import relay as module
from gatepost.net.deadlines import Deadlines
from gatepost.net.relay import CHUNK_BYTES, Relay, Shared
from gatepost.net.stream import Stream
from gatepost.session_log import SessionLog
from gatepost.tls.connection import WANT_WRITE, Connection
from tests.wire import Accounts, Far, Lines, TlsFar, contexts, pair, story, until

from .key_updater import KeyUpdater

Loop = asyncio.AbstractEventLoop
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 30  # callbacks
LAST_WORDS = b"* BYE shutting down\r\n"

SUFFIX = ", client: 192.0.2.1, server: 0.0.0.0:993"
DONE = "[info] *7 proxied session done" + SUFFIX
RESET = "failed (104: Connection reset by peer)"


@dataclass
class Joined:
    """A relay between a client and a backend that the test drives."""

    client: Far
    backend: Far
    relay: Relay
    accounts: Accounts
    lines: Lines
    ended: list[Relay] = field(default_factory=list)

    @property
    def tls(self) -> TlsFar:
        assert isinstance(self.client, TlsFar)
        return self.client

    @property
    def pending(self) -> int:
        kept = len(self.relay._to_client) or int(self.relay._is_client_full)  # or by the library
        return max(kept, len(self.relay._to_upstream))

    async def end(self) -> None:
        """Wait until it has ended; nothing of it may be left."""
        await until(lambda: self.ended)
        assert self.ended == [self.relay]
        assert self.accounts.watched == set()
        self.client.close()
        self.backend.close()

    async def assert_idle(self) -> None:
        await asyncio.sleep(0.01)
        before = self.accounts.runs
        await asyncio.sleep(IDLE_SECONDS)
        assert self.accounts.runs - before < FEW


async def join(
    loop: Loop,
    *,
    tls: bool = False,
    small: bool = False,
    idle: float = 60.0,
    start: bool = True,
    kind: type[Relay] = Relay,
) -> Joined:
    accounts = Accounts(loop)
    one, other = pair(small=small)
    stream = Stream(accounts, other)
    client: Far
    if tls:
        ours, theirs = contexts()
        client = shaking = TlsFar(one, theirs)
        await asyncio.gather(shaking.handshake(), stream.start_tls(ours))
    else:
        client = Far(one)
    upstream, backend = pair(small=small)
    lines = Lines()
    log = SessionLog(lines.log(), 7, "192.0.2.1", "0.0.0.0:993")
    ended: list[Relay] = []
    shared = Shared(accounts, Deadlines(loop))
    relay = kind(shared, log, *stream.release(), upstream, idle, LAST_WORDS, ended.append)
    if start:
        relay.start(b"", b"")
    return Joined(client, Far(backend), relay, accounts, lines, ended)


ways = pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])


# Bytes -------------------------------------------------------------------------------------------


@ways
@story
async def test_bytes_go_both_ways_and_are_counted(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    for number in range(20):
        await joined.client.write(b"%d NOOP\r\n" % number)
        assert await joined.backend.read_line() == b"%d NOOP\r\n" % number
        await joined.backend.write(b"%d OK\r\n" % number)
        assert await joined.client.read_line() == b"%d OK\r\n" % number
    assert joined.relay.received == sum(len(b"%d NOOP\r\n" % number) for number in range(20))
    assert joined.relay.sent == sum(len(b"%d OK\r\n" % number) for number in range(20))
    joined.client.end()
    joined.backend.end()
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_what_the_login_left_over_comes_first(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, start=False)
    await joined.client.write(b"second up")
    await joined.backend.write(b"second down")
    joined.relay.start(b"first down, ", b"first up, ")
    assert await joined.backend.read_exactly(19) == b"first up, second up"
    assert await joined.client.read_exactly(23) == b"first down, second down"
    joined.client.end()
    joined.backend.end()
    await joined.end()


@ways
@story
async def test_much_that_the_login_left_over_waits_for_who_does_not_read(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True, start=False)
    up, down = os.urandom(500_000), os.urandom(500_000)
    joined.relay.start(down, up)
    assert await joined.backend.read_exactly(len(up)) == up
    assert await joined.client.read_exactly(len(down)) == down
    joined.client.end()
    joined.backend.end()
    await joined.end()


@pytest.mark.parametrize("notify", [False, True], ids=["open", "ended"])
@story
async def test_what_the_library_holds_at_the_start_is_not_forgotten(loop: Loop, notify: bool) -> None:
    """The command and what follows come in one piece, but only the command is read before the relay."""
    accounts = Accounts(loop)
    ours, theirs = contexts()
    one, other = pair()
    far, stream = TlsFar(one, theirs), Stream(accounts, other)
    await asyncio.gather(far.handshake(), stream.start_tls(ours))
    far.hold(b"a LOGIN u p\r\n")
    far.hold(b"b SELECT INBOX\r\n")
    if notify:
        far.hold_close_notify()
    far.send_now()
    assert await stream.read(13) == b"a LOGIN u p\r\n"
    upstream, backend = pair()
    lines, ended = Lines(), list[Relay]()
    log = SessionLog(lines.log(), 7, "192.0.2.1", "0.0.0.0:993")
    shared = Shared(accounts, Deadlines(loop))
    relay = Relay(shared, log, *stream.release(), upstream, 60.0, LAST_WORDS, ended.append)
    relay.start(b"a OK in\r\n", b"")
    joined = Joined(far, Far(backend), relay, accounts, lines, ended)
    assert await joined.backend.read_line() == b"b SELECT INBOX\r\n"
    assert await far.read_line() == b"a OK in\r\n"
    if notify:
        assert await joined.backend.read() == b""
    else:
        far.end()
    joined.backend.end()
    await joined.end()


@ways
@pytest.mark.parametrize("small", [False, True], ids=["usual", "small"])
@story
async def test_megabytes_both_ways_at_once_arrive_whole(loop: Loop, tls: bool, small: bool) -> None:
    joined = await join(loop, tls=tls, small=small)
    size = 3_000_007 if small else 24_000_011
    up, down = os.urandom(size), os.urandom(size)
    most = 0

    async def sample() -> None:
        nonlocal most
        while True:
            most = max(most, joined.pending)
            await asyncio.sleep(0)

    sampling = asyncio.ensure_future(sample())
    _, _, at_backend, at_client = await asyncio.gather(
        joined.client.write(up),
        joined.backend.write(down),
        joined.backend.read_exactly(size),
        joined.client.read_exactly(size),
    )
    sampling.cancel()
    assert at_backend == up
    assert at_client == down
    assert most <= CHUNK_BYTES
    assert (joined.relay.received, joined.relay.sent) == (size, size)
    joined.client.end()
    joined.backend.end()
    await joined.end()
    assert joined.lines.texts == [DONE]


@story
async def test_unix_sockets_are_joined_too(loop: Loop) -> None:
    accounts = Accounts(loop)
    client, ours = socket.socketpair()
    upstream, backend = socket.socketpair()
    ours.setblocking(False)
    upstream.setblocking(False)
    lines, ended = Lines(), list[Relay]()
    log = SessionLog(lines.log(), 7, "unix:", "unix:/run/imap")
    shared = Shared(accounts, Deadlines(loop))
    relay = Relay(shared, log, ours, None, upstream, 60.0, LAST_WORDS, ended.append)
    relay.start(b"", b"")
    joined = Joined(Far(client), Far(backend), relay, accounts, lines, ended)
    data = os.urandom(1_000_000)
    _, got = await asyncio.gather(joined.client.write(data), joined.backend.read_exactly(len(data)))
    assert got == data
    joined.client.end()
    assert await joined.backend.read() == b""
    joined.backend.close()
    assert await joined.client.read() == b""
    await joined.end()


# Back-pressure -----------------------------------------------------------------------------------


async def fill(joined: Joined, far: Far) -> int:
    """Write until the relay is stuck with it; how many bytes were taken."""
    total = 0

    async def write() -> None:
        nonlocal total
        while True:
            await far.write(bytes(8192))
            total += 8192

    writing = asyncio.ensure_future(write())
    await until(lambda: joined.pending)
    state = -1, -1
    while state != (state := (joined.accounts.runs, total)):
        await asyncio.sleep(IDLE_SECONDS)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    return total


def unread(sock: socket.socket) -> int:
    """How many bytes the kernel holds for us."""
    count = array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, count)
    return count[0]


@ways
@story
async def test_a_client_that_never_reads_stops_the_backend(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    assert await fill(joined, joined.backend) < 2_000_000
    assert 0 < joined.pending <= CHUNK_BYTES
    await joined.assert_idle()
    await joined.client.write(b"still heard\r\n")
    assert await joined.backend.read_line() == b"still heard\r\n"
    await joined.assert_idle()
    joined.client.reset()
    await joined.end()


@ways
@story
async def test_a_backend_that_never_reads_stops_the_client(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    assert await fill(joined, joined.client) < 2_000_000
    assert 0 < joined.pending <= CHUNK_BYTES
    await joined.assert_idle()
    await joined.backend.write(b"still heard\r\n")
    assert await joined.client.read_line() == b"still heard\r\n"
    await joined.assert_idle()
    joined.backend.reset()
    await until(lambda: joined.relay._upstream_done)
    joined.client.reset()
    await joined.end()


@ways
@story
async def test_an_idle_session_costs_nothing_before_and_after_traffic(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    await joined.assert_idle()
    up, down = bytes(300_000), bytes(300_000)
    await asyncio.gather(
        joined.client.write(up),
        joined.backend.write(down),
        joined.backend.read_exactly(len(up)),
        joined.client.read_exactly(len(down)),
    )
    await joined.assert_idle()
    assert {way for _, way in joined.accounts.watched} == {"r"}
    joined.client.end()
    assert await joined.backend.read() == b""
    await joined.assert_idle()
    joined.backend.end()
    await joined.end()


@story
async def test_a_client_that_does_not_let_tls_answer_costs_nothing_and_loses_nothing(loop: Loop) -> None:
    """It asks for new keys and reads no answer, until there is no room left for one."""
    accounts = Accounts(loop)
    one, other = pair(small=True)
    client, stream = KeyUpdater(one), Stream(accounts, other)
    shaking = asyncio.ensure_future(stream.start_tls(contexts()[0]))
    await until(client.handshake)
    await shaking
    upstream, sock = pair(small=True)
    backend, lines, ended = Far(sock), Lines(), list[Relay]()
    log = SessionLog(lines.log(), 7, "192.0.2.1", "0.0.0.0:993")
    shared = Shared(accounts, Deadlines(loop))
    relay = Relay(shared, log, *stream.release(), upstream, 60.0, LAST_WORDS, ended.append)
    relay.start(b"", b"")
    while client.ask_for_new_keys():
        await asyncio.sleep(0)
    await until(lambda: (other.fileno(), "w") in accounts.watched)
    before = accounts.runs
    await asyncio.sleep(IDLE_SECONDS)
    assert accounts.runs - before < FEW
    writing = asyncio.ensure_future(backend.write(b"* 1 EXISTS\r\n"))
    reply = b""
    while reply != b"* 1 EXISTS\r\n":
        reply += client.read()
        await asyncio.sleep(0)
    await writing
    await until(lambda: client.write(b"a NOOP\r\n"))
    assert await backend.read_line() == b"a NOOP\r\n"
    assert {way for _, way in accounts.watched} == {"r"}
    client.close()
    backend.close()
    await until(lambda: ended)


# Ends --------------------------------------------------------------------------------------------


@ways
@story
async def test_a_reply_behind_the_clients_end_is_delivered(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    await joined.client.write(b"a FETCH 1 BODY[]\r\n")
    joined.client.end()
    assert await joined.backend.read_all() == b"a FETCH 1 BODY[]\r\n"
    reply = os.urandom(1_000_003)
    _, got = await asyncio.gather(joined.backend.write(reply), joined.client.read_exactly(len(reply)))
    assert got == reply
    joined.backend.close()
    assert await joined.client.read() == b""  # under TLS: close_notify
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_bytes_behind_the_backends_end_are_delivered(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    await joined.backend.write(b"* BYE\r\n")
    joined.backend.end()
    assert await joined.client.read_exactly(7) == b"* BYE\r\n"
    assert await joined.client.read() == b""
    await joined.client.write(b"too late\r\n")
    assert await joined.backend.read_line() == b"too late\r\n"
    joined.client.end()
    assert await joined.backend.read() == b""
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_an_end_right_behind_the_last_command_is_seen(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    if tls:
        joined.tls.hold(b"a LOGOUT\r\n")
        joined.tls.hold_close_notify()
        joined.tls.send_now()
    else:
        joined.client.socket.send(b"a LOGOUT\r\n")
        joined.client.end()
    assert await joined.backend.read_all() == b"a LOGOUT\r\n"
    joined.backend.close()
    assert await joined.client.read() == b""
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_a_backend_that_says_all_and_closes_is_heard_to_the_end(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    data = os.urandom(700_001)

    async def say() -> None:
        await joined.backend.write(data)
        joined.backend.close()

    saying = asyncio.ensure_future(say())
    await asyncio.sleep(0.05)  # the client is late: what comes at the end finds no room
    assert await joined.client.read_exactly(len(data)) == data
    assert await joined.client.read() == b""  # under TLS: close_notify
    await saying
    joined.client.close()
    await joined.end()
    assert joined.lines.texts == [DONE]


class Hesitant:
    """A TLS connection that finds no room for its close_notify at first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.refusals = 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def shutdown(self) -> int:
        if self.refusals:
            self.refusals -= 1
            return WANT_WRITE
        return self._connection.shutdown()


@pytest.mark.parametrize("order", ["backend", "client", "backend, client", "client, backend"])
@story
async def test_close_notify_waits_until_there_is_room_for_it(loop: Loop, order: str) -> None:
    joined = await join(loop, tls=True, start=False)
    connection = joined.relay._tls
    assert connection is not None
    joined.relay._tls = hesitant = Hesitant(connection)  # type: ignore[assignment]
    joined.relay.start(b"", b"")
    ends = {"backend": joined.backend.end, "client": joined.client.end}
    for side in order.split(", "):
        ends[side]()
        await asyncio.sleep(0)
    if "backend" not in order:
        assert await joined.backend.read() == b""
        joined.backend.close()
    assert await joined.client.read() == b""
    assert hesitant.refusals == 0
    if "client" not in order:
        joined.client.end()
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_all_that_a_closing_client_sent_arrives(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    data = os.urandom(700_001)

    async def say() -> None:
        await joined.client.write(data)
        joined.client.close()

    saying = asyncio.ensure_future(say())
    await asyncio.sleep(0.05)
    assert await joined.backend.read_all() == data
    await saying
    joined.backend.close()
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_a_client_that_talks_on_after_the_backend_closed_still_gets_its_reply(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    await joined.client.write(b"a LOGOUT\r\n")
    assert await joined.backend.read_line() == b"a LOGOUT\r\n"
    await joined.backend.write(b"a OK bye\r\n")
    joined.backend.close()
    await until(lambda: joined.relay._upstream_done)
    for _ in range(20):
        await joined.client.write(b"b NOOP\r\n" * 100)
        await asyncio.sleep(0.002)
    assert await joined.client.read_line() == b"a OK bye\r\n"
    assert await joined.client.read() == b""
    assert joined.ended == []
    joined.client.end()
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_a_client_that_never_ends_is_not_waited_for(
    loop: Loop, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPSTREAM_GONE_SECONDS", 0.05)
    joined = await join(loop, tls=tls)
    joined.backend.close()

    async def talk() -> None:
        while not joined.ended:
            await joined.client.write(b"b NOOP\r\n")
            await asyncio.sleep(0.001)

    talking = asyncio.ensure_future(talk())
    await until(lambda: joined.ended)
    await asyncio.gather(talking, return_exceptions=True)
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_a_client_that_closed_while_the_backend_talks_ends_the_session(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    joined.client.close()
    assert await joined.backend.read() == b""

    async def talk() -> None:
        while True:
            await joined.backend.write(bytes(8192))
            await asyncio.sleep(0.001)

    with pytest.raises(ConnectionError):
        await talk()
    await joined.end()
    assert joined.lines.texts == [DONE]


@ways
@story
async def test_a_backend_that_never_answers_a_gone_client_is_not_waited_for(
    loop: Loop, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLIENT_GONE_SECONDS", 0.05)
    joined = await join(loop, tls=tls)
    joined.client.end()
    await joined.end()
    assert joined.lines.texts == [DONE]


# Resets ------------------------------------------------------------------------------------------


def client_reset(tls: bool) -> str:
    call = "SSL_read()" if tls else "recv()"
    return f"[info] *7 {call} {RESET} while proxying and reading from client{SUFFIX}"


BACKEND_RESET = f"[error] *7 recv() {RESET} while proxying and reading from upstream{SUFFIX}"


@ways
@story
async def test_a_reset_by_the_client_ends_the_session(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    joined.client.reset()
    assert await joined.backend.read() == b""
    await joined.end()
    assert joined.lines.texts == [client_reset(tls), DONE]


@ways
@story
async def test_a_reset_right_behind_a_command_is_noticed(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    if tls:
        joined.tls.hold(b"a LOGOUT")
        joined.tls.send_now()
    else:
        joined.client.socket.send(b"a LOGOUT")
    joined.client.reset()
    assert await joined.backend.read_all() == b"a LOGOUT"
    await joined.end()
    assert joined.lines.texts == [client_reset(tls), DONE]


@ways
@story
async def test_a_reset_behind_more_than_one_turn_can_take_is_noticed(
    loop: Loop, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNKS_PER_TURN", 1)
    joined = await join(loop, tls=tls, start=False)
    joined.accounts.ignore_reading(joined.relay._client_fd)
    writing = asyncio.ensure_future(joined.client.write(bytes(1_000_000)))
    await until(lambda: unread(joined.relay._client) > CHUNK_BYTES + 20000)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    joined.relay.start(b"", b"")
    joined.client.reset()
    assert len(await joined.backend.read_all()) >= CHUNK_BYTES
    await joined.end()
    assert joined.lines.texts == [client_reset(tls), DONE]


@ways
@story
async def test_what_a_client_sent_before_its_reset_arrives(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    await fill(joined, joined.client)
    joined.client.reset()
    await asyncio.sleep(0.01)
    got = await joined.backend.read_all()
    assert len(got) == joined.relay.received
    await joined.end()
    assert joined.lines.texts == [client_reset(tls), DONE]


@ways
@story
async def test_a_reset_by_the_backend_ends_the_session(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    joined.backend.reset()
    assert await joined.client.read() == b""
    joined.client.close()
    await joined.end()
    assert joined.lines.texts == [BACKEND_RESET, DONE]


@ways
@story
async def test_a_reset_right_behind_a_reply_is_noticed(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    joined.backend.socket.send(b"* BYE\r\n")
    joined.backend.reset()
    assert await joined.client.read_exactly(7) == b"* BYE\r\n"
    assert await joined.client.read() == b""
    joined.client.close()
    await joined.end()
    assert joined.lines.texts == [BACKEND_RESET, DONE]


@ways
@story
async def test_after_a_reset_by_the_backend_the_client_is_heard_out_in_silence(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    sending = asyncio.ensure_future(joined.client.write(bytes(500_000)))
    await asyncio.sleep(0.02)
    await joined.backend.write(b"* BYE overloaded\r\n")
    joined.backend.reset()
    assert await joined.client.read_line() == b"* BYE overloaded\r\n"
    assert await joined.client.read() == b""
    await sending
    joined.client.end()
    await joined.end()
    assert len([text for text in joined.lines.texts if text != DONE]) == 1


@ways
@story
async def test_a_client_that_is_gone_already_when_the_relay_starts(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, start=False)
    joined.client.reset()
    joined.relay.start(b"a OK in\r\n", b"b NOOP\r\n")
    await joined.end()
    assert len([text for text in joined.lines.texts if text != DONE]) == 1


@ways
@story
async def test_a_backend_that_is_gone_already_when_the_relay_starts(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, start=False)
    joined.backend.reset()
    joined.relay.start(b"a OK in\r\n", b"b NOOP\r\n")
    assert await joined.client.read_line() == b"a OK in\r\n"
    assert await joined.client.read() == b""
    joined.client.end()
    await joined.end()
    assert len([text for text in joined.lines.texts if text != DONE]) == 1


@story
async def test_garbage_inside_tls_ends_the_session_with_the_librarys_words(loop: Loop) -> None:
    joined = await join(loop, tls=True)
    joined.client.socket.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert await joined.backend.read() == b""
    await joined.end()
    text, done = joined.lines.texts
    assert done == DONE
    assert text.startswith("[info] *7 SSL_read() failed (SSL: error:")
    assert text.endswith("while proxying and reading from client" + SUFFIX)


# No room in the poller ---------------------------------------------------------------------------

REFUSED = f"[crit] *7 epoll_ctl() failed (28: No space left on device) while proxying{SUFFIX}"


async def end_refused(joined: Joined) -> None:
    await joined.end()
    assert joined.relay._deadline._when == 0
    assert joined.lines.texts == [REFUSED]


@pytest.mark.parametrize("room", [0, 1], ids=["client", "upstream"])
@story
async def test_a_session_that_the_poller_does_not_take_ends_at_its_start(loop: Loop, room: int) -> None:
    joined = await join(loop, start=False)
    joined.accounts.room = room
    joined.relay.start(b"a OK in\r\n", b"b NOOP\r\n")
    assert await joined.client.read_all() == b""
    assert await joined.backend.read_all() == b""
    await end_refused(joined)


@ways
@pytest.mark.parametrize("side", ["client", "backend"])
@story
async def test_a_session_that_the_poller_does_not_take_back_ends(loop: Loop, tls: bool, side: str) -> None:
    """Who is not to be read for a while is taken out, and may find no room afterwards."""
    joined = await join(loop, tls=tls, small=True)
    source, drain = joined.client, joined.backend
    if side == "backend":
        source, drain = drain, source
    await fill(joined, source)
    joined.accounts.room = 0
    with contextlib.suppress(EOFError, ConnectionResetError):
        while await drain.read():
            pass
    await end_refused(joined)


@story
async def test_a_session_whose_last_word_the_poller_has_no_room_for_ends(loop: Loop) -> None:
    joined = await join(loop, tls=True, start=False)
    connection = joined.relay._tls
    assert connection is not None
    joined.relay._tls = Hesitant(connection)  # type: ignore[assignment]
    joined.relay.start(b"", b"")
    joined.client.end()
    assert await joined.backend.read() == b""
    joined.accounts.room = 0
    joined.backend.end()
    with pytest.raises(EOFError):
        await joined.client.read()
    await end_refused(joined)


# Time --------------------------------------------------------------------------------------------


@ways
@story
async def test_silence_ends_the_session_without_a_word(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, idle=0.05)
    assert await joined.backend.read() == b""
    if tls:
        with pytest.raises(EOFError):
            await joined.client.read()
    else:
        assert await joined.client.read() == b""
    await joined.end()
    code = f"({errno.ETIMEDOUT}: Connection timed out)"
    assert joined.lines.texts == [f"[info] *7 client timed out {code} while proxying{SUFFIX}"]


@ways
@pytest.mark.parametrize("side", ["client", "backend"])
@story
async def test_bytes_of_either_side_break_the_silence(loop: Loop, tls: bool, side: str) -> None:
    joined = await join(loop, tls=tls, idle=0.2)
    source, drain = joined.client, joined.backend
    if side == "backend":
        source, drain = drain, source
    for _ in range(20):
        await source.write(b"*")
        assert await drain.read() == b"*"
        await asyncio.sleep(0.02)
    assert joined.ended == []
    await joined.end()  # short times that were moved are told by the wheel, a few seconds late


@ways
@story
async def test_a_client_that_takes_a_little_at_a_time_breaks_the_silence(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True, start=False)
    joined.relay.start(bytes(CHUNK_BYTES), b"")
    assert joined.pending
    deadline = joined.relay._deadline
    deadline.clear()
    left = CHUNK_BYTES
    while left:
        left -= len(await joined.client.read())
    await until(lambda: not joined.pending)
    assert deadline._when  # nothing but what the client took can have moved it
    joined.client.end()
    joined.backend.end()
    await joined.end()


@ways
@story
async def test_a_client_that_never_reads_is_cut_off(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True, idle=0.1)
    writing = asyncio.ensure_future(joined.backend.write(bytes(2_000_000)))
    await until(lambda: joined.ended)
    await asyncio.gather(writing, return_exceptions=True)
    await joined.end()
    (text,) = joined.lines.texts
    assert "client timed out" in text


@ways
@story
async def test_a_worker_that_has_to_go_says_why(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls)
    joined.relay.shut_down()
    assert await joined.client.read_exactly(len(LAST_WORDS)) == LAST_WORDS
    assert await joined.client.read() == b""  # under TLS: close_notify
    assert await joined.backend.read() == b""
    joined.relay.shut_down()
    await joined.end()
    assert joined.lines.texts == ["[info] *7 shutdown timeout while proxying" + SUFFIX]


@ways
@story
async def test_last_words_do_not_go_into_the_middle_of_a_reply(loop: Loop, tls: bool) -> None:
    joined = await join(loop, tls=tls, small=True)
    await fill(joined, joined.backend)
    joined.relay.shut_down()
    got = bytearray()
    try:
        while piece := await joined.client.read():
            got += piece
    except (EOFError, ConnectionResetError):
        pass
    assert set(got) == {0}
    await joined.end()
