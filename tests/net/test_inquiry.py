"""Questions to name servers that answer well, badly, late, in pieces or not at all."""

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from gatepost.address import from_literal
from gatepost.net import inquiry
from gatepost.net.host_names import packed
from gatepost.net.inquiry import (
    AAAA,
    FORMAT_ERROR,
    NO_ROOM,
    NOT_FOUND,
    PTR,
    SERVER_FAILURE,
    TIMED_OUT,
    UNKNOWN,
    A,
    Answer,
    Failure,
    Inquiry,
)
from gatepost.net.room import Room
from tests import dns_server
from tests.dns_server import (
    CNAME,
    NAME_EXISTS,
    NO_SUCH_NAME,
    NOT_IMPLEMENTED,
    REFUSED,
    DnsServer,
    Question,
    address,
    encoded,
    message,
    name,
    pointer,
    record,
)
from tests.wire import story, until

PLENTY = 20.0  # seconds; what ends at its limit in these tests has a short one
SHORT = 0.3

NAME = "4.3.2.1.in-addr.arpa"
FOUND = Answer((b"mail.example",), 300)


async def ask(
    loop: asyncio.AbstractEventLoop, *servers: "DnsServer | str", kind: int = PTR, limit: float = PLENTY
) -> Answer | Failure:
    """One question of one kind; a server may be given as HOST:PORT."""
    (outcome,) = await inquire(loop, *servers, kinds=(kind,), limit=limit)
    return outcome


async def inquire(
    loop: asyncio.AbstractEventLoop,
    *servers: "DnsServer | str",
    kinds: tuple[int, ...],
    limit: float = PLENTY,
    first: int = 0,
) -> list[Answer | Failure]:
    places = [server if isinstance(server, str) else server.place for server in servers]
    addresses = [from_literal(host, int(port)) for host, _, port in (place.rpartition(":") for place in places)]
    return await Inquiry(loop, addresses, NAME, kinds, first, Room()).run(limit)


def good(question: Question) -> bytes:
    return message(question, pointer("mail.example"))


def silent(_question: Question) -> None:
    return None


def failing(code: int) -> "Callable[[Question], bytes]":
    return lambda question: message(question, code=code)


def nobody() -> str:
    """A port where nobody listens; it was free a moment ago, and nothing here asks for more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@story
async def test_a_name(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(good) as server:
        assert await ask(loop, server) == FOUND
        assert server.asked == [(NAME, dns_server.PTR)]


@story
async def test_over_ipv6(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(good, host="::1") as server:
        assert await ask(loop, server) == FOUND


@story
async def test_addresses_of_both_families_are_asked_for_at_once(loop: asyncio.AbstractEventLoop) -> None:
    def both(question: Question) -> bytes:
        if question.kind == dns_server.A:
            return message(question, address("10.0.0.1", 30), address("10.0.0.2", 20))
        return message(question, address("2001:db8::1", 10))

    with DnsServer(both) as server:
        ipv4, ipv6 = await inquire(loop, server, kinds=(A, AAAA))
        assert ipv4 == Answer((packed("10.0.0.1"), packed("10.0.0.2")), 20)
        assert ipv6 == Answer((packed("2001:db8::1"),), 10)
        assert {question.kind for question in server.questions} == {dns_server.A, dns_server.AAAA}


@story
async def test_an_alias_counts_for_the_time_to_live(loop: asyncio.AbstractEventLoop) -> None:
    def delegated(question: Question) -> bytes:
        """As in RFC 2317."""
        alias = name("4.0-15.3.2.1.in-addr.arpa")
        return message(
            question,
            record(CNAME, alias, ttl=5),
            record(dns_server.PTR, name("mail.example"), ttl=99, owner=alias),
        )

    with DnsServer(delegated) as server:
        assert await ask(loop, server) == Answer((b"mail.example",), 5)


@story
async def test_an_alias_to_nothing(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(lambda question: message(question, record(CNAME, name("x.example")))) as server:
        assert await ask(loop, server, kind=A) is NOT_FOUND


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (0, NOT_FOUND),  # the name exists, without such records
        (dns_server.FORMAT_ERROR, Failure(1, "Format error")),
        (dns_server.SERVER_FAILURE, Failure(2, "Server failure")),
        (NO_SUCH_NAME, Failure(3, "Host not found")),
        (NOT_IMPLEMENTED, Failure(4, "Unimplemented")),
        (REFUSED, Failure(5, "Operation refused")),
        (NAME_EXISTS, UNKNOWN),
    ],
)
@story
async def test_result_codes(loop: asyncio.AbstractEventLoop, code: int, failure: Failure) -> None:
    with DnsServer(failing(code)) as server:
        assert await ask(loop, server) == failure


def test_failures_read_as_in_the_log() -> None:
    assert str(NOT_FOUND) == "3: Host not found"
    assert str(TIMED_OUT) == "110: Operation timed out"


@story
async def test_a_cut_answer_is_fetched_over_tcp(loop: asyncio.AbstractEventLoop) -> None:
    def cut(question: Question) -> bytes:
        return good(question) if question.tcp else message(question, truncated=True)

    with DnsServer(cut) as server:
        assert await ask(loop, server) == FOUND
        assert [question.tcp for question in server.questions] == [False, True]


@story
async def test_a_cut_answer_and_no_tcp(loop: asyncio.AbstractEventLoop) -> None:
    def cut(question: Question) -> "bytes | None":
        return None if question.tcp else message(question, truncated=True)

    with DnsServer(cut) as server:
        assert await ask(loop, server, limit=SHORT) is TIMED_OUT


@story
async def test_silence_ends_at_the_limit(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(silent) as server:
        assert await inquire(loop, server, kinds=(A, AAAA), limit=SHORT) == [TIMED_OUT, TIMED_OUT]


@story
async def test_half_an_answer_is_half_an_answer(loop: asyncio.AbstractEventLoop) -> None:
    def half(question: Question) -> "bytes | None":
        return message(question, address("10.0.0.1")) if question.kind == dns_server.A else None

    with DnsServer(half) as server:
        outcomes = await inquire(loop, server, kinds=(A, AAAA), limit=SHORT)
        assert outcomes == [Answer((packed("10.0.0.1"),), 300), TIMED_OUT]


@story
async def test_nobody_there(loop: asyncio.AbstractEventLoop) -> None:
    assert await ask(loop, nobody()) is SERVER_FAILURE


@pytest.mark.parametrize("code", [dns_server.SERVER_FAILURE, REFUSED, NOT_IMPLEMENTED])
@story
async def test_the_next_server_is_asked_when_one_fails(loop: asyncio.AbstractEventLoop, code: int) -> None:
    with DnsServer(failing(code)) as bad, DnsServer(good) as server:
        assert await ask(loop, bad, server) == FOUND
        assert bad.questions


@story
async def test_the_next_server_is_asked_when_nobody_is_there(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(good) as server:
        assert await ask(loop, nobody(), server) == FOUND


@story
async def test_a_server_that_knows_no_such_name_is_believed(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(failing(NO_SUCH_NAME)) as first, DnsServer(good) as second:
        assert await ask(loop, first, second) is NOT_FOUND
        assert second.questions == []


@story
async def test_a_dead_server_costs_one_interval(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "REPEAT_SECONDS", 0.05)
    with DnsServer(silent) as dead, DnsServer(good) as server:
        assert await ask(loop, dead, server) == FOUND
        assert len(dead.questions) == 1
        (outcome,) = await inquire(loop, dead, server, kinds=(PTR,), first=1)
        assert outcome == FOUND
        assert len(dead.questions) == 1  # the second inquiry began with the other one


@story
async def test_a_lost_datagram_is_sent_again(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "REPEAT_SECONDS", 0.02)
    with DnsServer(lambda question: good(question) if len(server.questions) == 10 else None) as server:
        assert await ask(loop, server) == FOUND
        assert len({question.id for question in server.questions}) > 1  # ids are not reused


@story
async def test_a_late_answer_to_an_earlier_question_counts(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "REPEAT_SECONDS", 0.05)
    with DnsServer(silent) as slow, DnsServer(silent) as server:
        waiting = loop.create_task(ask(loop, slow, server))
        await until(lambda: server.questions)
        (question,) = slow.questions[:1]
        # The server that has been asked first answers only now, from its own socket.
        slow.send(good(question), slow.peers[0])
        assert await waiting == FOUND


@story
async def test_answers_to_other_questions_do_not_count(loop: asyncio.AbstractEventLoop) -> None:
    def confused(question: Question) -> list[bytes]:
        answer = good(question)
        other_id = bytes([question.id[0] ^ 0x80, question.id[1]]) + answer[2:]
        lie = pointer("liar.example")
        other_name = question.id + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + name("x") + b"\0\x0c\0\1" + lie
        return [other_id, other_name]

    with DnsServer(confused) as server:
        assert await ask(loop, server, limit=SHORT) is TIMED_OUT
        server.decide = lambda question: [*confused(question), good(question)]
        assert await ask(loop, server) == FOUND


def loop_to_itself(question: Question) -> bytes:
    at = 12 + len(question.section) + 12  # where the record's data begins
    return message(question, record(dns_server.PTR, struct.pack("!H", 0xC000 | at)))


def loop_through_a_label(question: Question) -> bytes:
    at = 12 + len(question.section) + 12
    return message(question, record(dns_server.PTR, b"\1a" + struct.pack("!H", 0xC000 | at)))


@pytest.mark.parametrize(
    "garbage",
    [
        lambda _: b"\0",
        lambda _: b"\xff" * 100,
        lambda question: question.id + b"\x81\x80" + b"\xff" * 40,
        lambda question: good(question)[:-3],
        lambda question: message(question, record(dns_server.PTR, b"\x3fshort")),
        lambda question: message(question, record(dns_server.PTR, encoded(*[b"a" * 63] * 5))),
        lambda question: message(question, record(dns_server.PTR, b"")),
        loop_to_itself,
        loop_through_a_label,
    ],
)
@story
async def test_garbage_is_no_answer(
    loop: asyncio.AbstractEventLoop, garbage: "Callable[[Question], bytes]"
) -> None:
    with DnsServer(garbage) as bad, DnsServer(good) as server:
        assert await ask(loop, bad) in (FORMAT_ERROR, UNKNOWN)
        assert await ask(loop, bad, server) == FOUND


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ((b"a\r\nb", b"ex"), b"a\\013\\010b.ex"),
        ((b"a\0b", b"ex"), b"a\\000b.ex"),
        ((b"a.b", b"ex"), b"a\\.b.ex"),
        ((b"a b",), b"a b"),
        ((b"\xc3\xa4",), b"\\195\\164"),
        ((), b""),
    ],
)
@story
async def test_names_come_in_presentation_form(
    loop: asyncio.AbstractEventLoop, labels: tuple[bytes, ...], shown: bytes
) -> None:
    with DnsServer(lambda question: message(question, record(dns_server.PTR, encoded(*labels)))) as server:
        assert await ask(loop, server) == Answer((shown,), 300)


@story
async def test_thousands_of_records(loop: asyncio.AbstractEventLoop) -> None:
    count = 4000  # fills a message over TCP

    def many(question: Question) -> bytes:
        if not question.tcp:
            return message(question, truncated=True)
        return message(question, *(address(f"10.0.{n >> 8}.{n & 255}") for n in range(count)))

    with DnsServer(many) as server:
        found = await ask(loop, server, kind=A)
        assert isinstance(found, Answer)
        assert len(found.records) == count


@story
async def test_cancelled_it_leaves_nothing_behind(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(silent) as server:
        waiting = loop.create_task(ask(loop, server))
        await until(lambda: server.questions)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting  # the fixture sees to it that no socket is left


@story
async def test_attempts_that_listen_are_bounded(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "REPEAT_SECONDS", 0.01)
    with DnsServer(silent) as server:
        question = Inquiry(loop, [from_literal("127.0.0.1", server.port)], NAME, (PTR,), 0, Room())
        waiting = loop.create_task(question.run(PLENTY))
        await until(lambda: len(server.questions) > 3 * inquiry.MAX_ATTEMPTS_OPEN)
        assert len(question._open) == inquiry.MAX_ATTEMPTS_OPEN
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@story
async def test_what_cannot_be_asked_is_a_failure(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(good) as server:
        place = from_literal("127.0.0.1", server.port)
        assert await Inquiry(loop, [place], "a..b", (A, AAAA), 0, Room()).run(PLENTY) == [UNKNOWN, UNKNOWN]
        assert server.questions == []


@story
async def test_each_attempt_has_a_place_and_without_one_the_question_fails(loop: asyncio.AbstractEventLoop) -> None:
    room = Room(1)
    with DnsServer(good) as server:
        place = from_literal("127.0.0.1", server.port)
        assert await Inquiry(loop, [place], NAME, (PTR,), 0, room).run(PLENTY) == [FOUND]
        assert room.held == 0
        asked = len(server.questions)
        room.limit = 0
        assert await Inquiry(loop, [place], NAME, (A, AAAA), 0, room).run(PLENTY) == [NO_ROOM, NO_ROOM]
        assert len(server.questions) == asked
