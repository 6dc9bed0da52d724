"""When relays end although both sides would go on: silence, no room, a worker that has to go."""

import asyncio
import contextlib
import errno

import pytest

from gatepost.net.relay import CHUNK_BYTES
from tests.wire import story, until

from .joined import LAST_WORDS, SUFFIX, Hesitant, Joined, fill, join
from .streams import ways

Loop = asyncio.AbstractEventLoop


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
