"""The relay between real sockets, in the clear and under TLS, on both kinds of loops: bytes and back-pressure."""

import asyncio
import os
import socket

import pytest

from gatepost.net.deadlines import Deadlines
from gatepost.net.relay import CHUNK_BYTES, Relay, Shared
from gatepost.net.stream import Stream
from gatepost.session_log import SessionLog
from tests.wire import Accounts, Far, Lines, TlsFar, contexts, pair, story, until

from .joined import DONE, FEW, IDLE_SECONDS, LAST_WORDS, Joined, fill, join
from .key_updater import KeyUpdater
from .streams import ways

Loop = asyncio.AbstractEventLoop


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
