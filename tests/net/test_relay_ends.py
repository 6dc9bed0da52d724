"""How relays end, and what still arrives: ends of either side, said or not, and resets."""

import asyncio
import fcntl
import os
import socket
import termios
from array import array

import pytest

from gatepost.net import relay as module
from gatepost.net.relay import CHUNK_BYTES
from tests.wire import story, until

from .joined import DONE, SUFFIX, Hesitant, fill, join
from .streams import ways

Loop = asyncio.AbstractEventLoop

RESET = "failed (104: Connection reset by peer)"


def unread(sock: socket.socket) -> int:
    """How many bytes the kernel holds for us."""
    count = array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, count)
    return count[0]


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
