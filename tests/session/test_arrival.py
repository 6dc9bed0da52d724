"""Taking exactly a PROXY header out of a socket, however it arrives."""

import asyncio
import socket

import pytest

from gatepost.net.proxy_protocol import MAX_HEADER_BYTES, SIGNATURE, HeaderError, Proxied
from gatepost.net.stream import Stream, StreamError
from gatepost.session.arrival import read_proxy_header
from tests.wire import Accounts, Far, TlsFar, contexts, pair, poller, story

Loop = asyncio.AbstractEventLoop

LINE = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 993\r\n"
BINARY = SIGNATURE + bytes.fromhex("2111 000C C0000201 C0000202 04D2 03E1")
LONG = b"PROXY UNKNOWN".ljust(MAX_HEADER_BYTES - 2) + b"\r\n"
RECORDED = Proxied(b"192.0.2.1", b"1234", b"192.0.2.2", b"993")
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 20  # callbacks

headers = pytest.mark.parametrize(
    ("header", "proxied"), [(LINE, RECORDED), (BINARY, RECORDED), (LONG, None)], ids=["line", "binary", "long"]
)


@headers
@pytest.mark.parametrize("behind", [b"", b"a NOOP\r\n", b"\x16\x03\x01" * 2000], ids=["alone", "command", "much"])
@story
async def test_what_follows_stays_in_the_socket(
    loop: Loop, header: bytes, proxied: Proxied | None, behind: bytes
) -> None:
    one, other = pair()
    one.send(header + behind)
    one.shutdown(socket.SHUT_WR)
    stream = Stream(poller(loop), other)
    assert await read_proxy_header(stream) == proxied
    assert await Far(other).read_all() == behind
    stream.close()
    one.close()


@headers
@story
async def test_byte_by_byte(loop: Loop, header: bytes, proxied: Proxied | None) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    reading = asyncio.ensure_future(read_proxy_header(stream))
    sent = header + b"a"
    step = max(1, len(header) // 60)
    for start in range(0, len(sent), step):
        await asyncio.sleep(0)
        one.send(sent[start : start + step])
        await asyncio.sleep(0.001)
    assert await reading == proxied
    assert await stream.read(100) == b"a"
    stream.close()
    one.close()


@story
async def test_a_handshake_right_behind_the_header(loop: Loop) -> None:
    ours, theirs = contexts()
    one, other = pair()
    far, stream = TlsFar(one, theirs), Stream(poller(loop), other)
    for piece in (LINE[:10], LINE[10:]):
        await Far.write(far, piece)

    async def serve() -> None:
        assert await read_proxy_header(stream) == RECORDED
        await stream.start_tls(ours)

    await asyncio.gather(far.handshake(), serve())
    await far.write(b"a NOOP\r\n")
    assert await stream.read(100) == b"a NOOP\r\n"
    stream.close()
    far.close()


@story
async def test_waiting_for_the_rest_does_not_spin(loop: Loop) -> None:
    one, other = pair()
    accounts = Accounts(loop)
    stream = Stream(accounts, other)
    reading = asyncio.ensure_future(read_proxy_header(stream))
    one.send(BINARY[:20])
    await asyncio.sleep(IDLE_SECONDS)
    assert accounts.runs < FEW
    assert not reading.done()
    one.send(BINARY[20:])
    assert await reading == RECORDED
    stream.close()
    one.close()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", 'broken header: ""'),
        (LINE[:-1], 'broken header: "PROXY TCP4 192.0.2.1 192.0.2.2 1234 993"'),
        (BINARY[:-1], 'broken header: ""'),
        (b"a LOGIN joe secret\r\n", 'broken header: "a..."'),
        (LONG[:-2] + b"x\r\n", 'broken header: "' + "PROXY UNKNOWN".ljust(1024) + '..."'),
    ],
)
@story
async def test_what_is_no_header(loop: Loop, data: bytes, text: str) -> None:
    one, other = pair()
    one.send(data)
    one.shutdown(socket.SHUT_WR)
    stream = Stream(poller(loop), other)
    with pytest.raises(HeaderError) as caught:
        await read_proxy_header(stream)
    assert str(caught.value) == text
    stream.close()
    one.close()


@story
async def test_a_reset(loop: Loop) -> None:
    one, other = pair()
    stream = Stream(poller(loop), other)
    reading = asyncio.ensure_future(read_proxy_header(stream))
    one.send(LINE[:10])
    await asyncio.sleep(IDLE_SECONDS)
    Far(one).reset()
    with pytest.raises(StreamError, match=r"^recv\(\) failed \(104: Connection reset by peer\)$"):
        await reading
    stream.close()
