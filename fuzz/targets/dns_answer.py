"""DNS answers to the look-ups of a client's name: c-ares parses them, and we decide what to believe.

The input is the answers to three questions (PTR, A, AAAA), each as it comes behind the query id. Behind each one
goes a refusal that is well-formed, so that an answer that c-ares does not even look at costs no time.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

from fuzz.target import CURTAIN, Target, is_one_line
from gatepost.address import Address
from gatepost.net.host_names import TEMPORARILY, UNAVAILABLE, is_host_name
from gatepost.net.name_servers import NameServers
from gatepost.net.resolver import Resolver
from gatepost.net.room import Room
from gatepost.session_log import SessionLog
from tests.dns_server import AAAA, CNAME, PTR, A, Question, address, encoded, message, name, pointer, record
from tests.wire import Lines

CLIENTS = (Address(socket.AF_INET, "192.0.2.1", 1), Address(socket.AF_INET6, "2001:db8::1", 1))
LIMIT_SECONDS = 10.0  # an answer or its refusal is there at once
_REFUSED = 0x8185


class Server:
    """Answers each question with the input's bytes for its kind, and then with a refusal."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answers: dict[int, bytes]) -> None:
        self._answers = answers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.address = Address(socket.AF_INET, *self._socket.getsockname())
        loop.add_reader(self._socket, self._on_question)
        self._loop = loop

    def _on_question(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data, peer = self._socket.recvfrom(4096)
            at = 12
            while size := data[at]:
                at += 1 + size
            section = data[12 : at + 5]
            (kind,) = struct.unpack("!H", section[-4:-2])
            # ``?`` stands for the question as it was asked, so that an input need not know it.
            answer = self._answers.get(kind, b"").replace(b"?", section, 1)
            for said in (answer, struct.pack("!HHHHH", _REFUSED, 1, 0, 0, 0) + section):
                self._socket.sendto(data[:2] + said, peer)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()


def run(data: bytes) -> None:
    pieces = data[1:].split(CURTAIN)
    client = CLIENTS[data[0] % 2 if data else 0]
    loop = asyncio.SelectorEventLoop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    server = Server(loop, dict(zip((PTR, A, AAAA), pieces, strict=False)))
    lines = Lines()
    log = SessionLog(lines.log(), 1, client.host, "127.0.0.1:25")
    try:
        resolver = Resolver(loop, NameServers((server.address,)), LIMIT_SECONDS, Room())
        found = loop.run_until_complete(asyncio.wait_for(resolver.client_host(client, log), 3 * LIMIT_SECONDS))
        again = loop.run_until_complete(asyncio.wait_for(resolver.client_host(client, log), 3 * LIMIT_SECONDS))
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        server.close()
        loop.close()
    assert not failures, failures
    for word in (found, again):
        if word not in (UNAVAILABLE, TEMPORARILY):
            # What reaches an authentication service, XCLIENT and the log (CVE-2026-28753).
            assert is_host_name(word)
            assert word == word.lower()
            assert not set(word) - set(b"abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert all(is_one_line(text) for text in lines.texts)
    assert len(lines.texts) <= 2  # one for each look-up


def seeds() -> Iterator[bytes]:
    def answer(*records: bytes, code: int = 0, truncated: bool = False) -> bytes:
        return message(Question(b"", "", 0, b"?", False), *records, code=code, truncated=truncated)

    four, six = address("192.0.2.1"), address("2001:db8::1")
    good = answer(pointer("client.example"))
    for first in (
        good,
        answer(record(PTR, encoded(b"a.b", b"example"))),
        answer(record(PTR, encoded(b"evil\r\nX-Injected: 1", b"example"))),
        answer(record(PTR, encoded(b"nul\0", b"sp ace", b"b\\s"))),
        answer(record(PTR, name(""))),
        answer(record(PTR, b"\xc0\x0c")),
        answer(record(PTR, b"\xc0\xff")),
        answer(record(CNAME, name("x.example")), record(PTR, name("y.example"))),
        answer(pointer("first.example"), pointer("second.example")),
        answer(pointer("client.example", 2**32 - 1)),
        answer(code=3),
        answer(code=2),
        answer(),
        answer(pointer("client.example"), truncated=True),
        b"\x81\x80",
        b"",
    ):
        yield b"\0" + CURTAIN.join((first, answer(four), answer(six)))
    for second in (
        answer(),
        answer(code=3),
        answer(code=2),
        answer(*[four] * 20),
        answer(record(A, b"\1\2\3")),
        b"x",
    ):
        yield b"\0" + CURTAIN.join((good, second, answer(six)))
        yield b"\1" + CURTAIN.join((good, answer(four), second))


TARGET = Target(
    "dns_answer",
    run,
    words=(
        *(
            b"?",
            b"\x81\x80",
            b"\x85\x80",
            b"\x83\x80",
            b"\0\1\0\1\0\0\0\0",
            b"\0\1\0\2\0\0\0\0",
            b"\xc0\x0c",
            b"~~",
        ),
        *(
            b"\0\x0c\0\1",
            b"\0\1\0\1",
            b"\0\x1c\0\1",
            b"\0\5\0\1",
            b"\0\0\1\x2c",
            b"\0\4\xc0\0\2\1",
            b"\6client\7example\0",
        ),
        *(b"\r\n", b"\0", b".", b"\\", b"\x3f" + b"x" * 63, name("a.example"), b"\xff\xff"),
    ),
    seeds=seeds,
    native=True,
)
