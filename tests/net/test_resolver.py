"""The client's name: every outcome with its log line, what is kept and for how long, hostile names and lists."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.address import Address, from_literal, unix
from gatepost.net import resolver as module
from gatepost.net.name_servers import NameServers
from gatepost.net.resolver import Resolver
from gatepost.net.room import Room
from gatepost.session_log import SessionLog
from tests import dns_server
from tests.dns_server import (
    NO_SUCH_NAME,
    REFUSED,
    SERVER_FAILURE,
    DnsServer,
    Question,
    Zone,
    address,
    encoded,
    message,
    pointer,
    record,
    reverse,
)
from tests.wire import LOOPS, Lines, story

IPV4, IPV6 = "192.0.2.7", "2001:db8::7"
PLENTY = 20.0  # seconds
SHORT = 0.3

Decide = Callable[[Question], "bytes | list[bytes] | None"]


def zone(**changes: object) -> Zone:
    """Both addresses of one host, confirmed."""
    return replace(
        Zone(
            pointers={reverse(IPV4): "Mail.Example", reverse(IPV6): "mail.example"},
            addresses={"mail.example": [IPV4, IPV6, "192.0.2.8"]},
        ),
        **changes,  # type: ignore[arg-type]
    )


def resolver(
    loop: asyncio.AbstractEventLoop, server: DnsServer, timeout: float = PLENTY, **options: object
) -> Resolver:
    place = from_literal(server.host, server.port)
    names = NameServers((place,), **options)  # type: ignore[arg-type]
    return Resolver(loop, names, timeout, Room())


async def host_of(resolver: Resolver, text: str) -> tuple[bytes, list[str]]:
    """The name of the client at ``text`` and what the log says."""
    lines = Lines()
    client = Address(socket.AF_INET6 if ":" in text else socket.AF_INET, text, 4711)
    found = await resolver.client_host(client, SessionLog(lines.log(), 1, text, "0.0.0.0:25"))
    return found, lines.texts


def unresolved(client: str, why: str) -> str:
    tail = f"while in resolving client address, client: {client}, server: 0.0.0.0:25"
    return f"[error] *1 {client} could not be resolved ({why}) {tail}"


def unconfirmed(name: str, client: str, why: str) -> str:
    tail = f"while in resolving client hostname, client: {client}, server: 0.0.0.0:25"
    return f'[error] *1 "{name}" could not be resolved ({why}) {tail}'


@pytest.mark.parametrize("client", [IPV4, IPV6])
@story
async def test_a_confirmed_name_in_lower_case(loop: asyncio.AbstractEventLoop, client: str) -> None:
    with DnsServer(zone()) as server:
        assert await host_of(resolver(loop, server), client) == (b"mail.example", [])
        assert server.asked[0] == (reverse(client), dns_server.PTR)
        assert set(server.asked[1:]) == {("mail.example", dns_server.A), ("mail.example", dns_server.AAAA)}


@story
async def test_a_unix_socket_has_no_name(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(zone()) as server:
        lines = Lines()
        log = SessionLog(lines.log(), 1, "unix:", "unix:/run/smtp")
        assert await resolver(loop, server).client_host(unix(""), log) == b"[TEMPUNAVAIL]"
        assert (server.asked, lines.texts) == ([], [])


@pytest.mark.parametrize("client", [IPV4, IPV6])
@pytest.mark.parametrize(
    ("code", "word", "why"),
    [
        (NO_SUCH_NAME, b"[UNAVAILABLE]", "3: Host not found"),
        (0, b"[UNAVAILABLE]", "3: Host not found"),
        (dns_server.FORMAT_ERROR, b"[TEMPUNAVAIL]", "1: Format error"),
        (SERVER_FAILURE, b"[TEMPUNAVAIL]", "2: Server failure"),
        (dns_server.NOT_IMPLEMENTED, b"[TEMPUNAVAIL]", "4: Unimplemented"),
        (REFUSED, b"[TEMPUNAVAIL]", "5: Operation refused"),
        (dns_server.NAME_EXISTS, b"[TEMPUNAVAIL]", "0: Unknown error"),
        (None, b"[TEMPUNAVAIL]", "110: Operation timed out"),
    ],
)
@story
async def test_no_name(
    loop: asyncio.AbstractEventLoop, client: str, code: "int | None", word: bytes, why: str
) -> None:
    with DnsServer(lambda question: None if code is None else message(question, code=code)) as server:
        found = await host_of(resolver(loop, server, PLENTY if code is not None else SHORT), client)
        assert found == (word, [unresolved(client, why)])


@pytest.mark.parametrize(
    ("code", "word", "why"),
    [
        (NO_SUCH_NAME, b"[UNAVAILABLE]", "3: Host not found"),
        (0, b"[UNAVAILABLE]", "3: Host not found"),
        (SERVER_FAILURE, b"[TEMPUNAVAIL]", "2: Server failure"),
        (REFUSED, b"[TEMPUNAVAIL]", "5: Operation refused"),
        (None, b"[TEMPUNAVAIL]", "110: Operation timed out"),
    ],
)
@story
async def test_a_name_without_addresses(
    loop: asyncio.AbstractEventLoop, code: "int | None", word: bytes, why: str
) -> None:
    def decide(question: Question) -> "bytes | None":
        if question.kind == dns_server.PTR:
            return message(question, pointer("Mail.Example"))
        return None if code is None else message(question, code=code)

    with DnsServer(decide) as server:
        found = await host_of(resolver(loop, server, PLENTY if code is not None else SHORT), IPV4)
        assert found == (word, [unconfirmed("mail.example", IPV4, why)])


@pytest.mark.parametrize(
    ("client", "addresses"),
    [
        (IPV4, ["192.0.2.8"]),
        (IPV4, [IPV6]),
        (IPV6, [IPV4]),
        (IPV4, [f"::ffff:{IPV4}"]),
        (f"::ffff:{IPV4}", [IPV4]),
    ],
)
@story
async def test_a_name_that_leads_elsewhere(
    loop: asyncio.AbstractEventLoop, client: str, addresses: list[str]
) -> None:
    claims = Zone({reverse(client): "mail.example"}, {"mail.example": addresses})
    with DnsServer(claims) as server:
        assert await host_of(resolver(loop, server), client) == (b"[UNAVAILABLE]", [])


@story
async def test_a_mapped_address_is_an_ipv6_address(loop: asyncio.AbstractEventLoop) -> None:
    client = f"::ffff:{IPV4}"
    with DnsServer(Zone({reverse(client): "mail.example"}, {"mail.example": [client]})) as server:
        assert await host_of(resolver(loop, server), client) == (b"mail.example", [])


@pytest.mark.parametrize(
    ("option", "kind", "client", "other"),
    [("ipv6", dns_server.A, IPV4, IPV6), ("ipv4", dns_server.AAAA, IPV6, IPV4)],
)
@story
async def test_a_family_can_be_left_out(
    loop: asyncio.AbstractEventLoop, option: str, kind: int, client: str, other: str
) -> None:
    with DnsServer(zone()) as server:
        found = resolver(loop, server, **{option: False})
        assert await host_of(found, client) == (b"mail.example", [])
        assert await host_of(found, other) == (b"[UNAVAILABLE]", [])
        assert {asked for _, asked in server.asked} == {dns_server.PTR, kind}


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "client", "word", "why"),
    [
        # One family answers, the other fails: what could have confirmed the name decides.
        ([IPV4], SERVER_FAILURE, IPV4, b"mail.example", None),
        (["192.0.2.8"], SERVER_FAILURE, IPV4, b"[UNAVAILABLE]", None),
        (["192.0.2.8"], SERVER_FAILURE, IPV6, b"[TEMPUNAVAIL]", "2: Server failure"),
        ([IPV4], NO_SUCH_NAME, IPV6, b"[UNAVAILABLE]", None),
        ([], SERVER_FAILURE, IPV4, b"[TEMPUNAVAIL]", "2: Server failure"),
        ([], SERVER_FAILURE, IPV6, b"[TEMPUNAVAIL]", "2: Server failure"),
        ([], 0, IPV6, b"[UNAVAILABLE]", "3: Host not found"),
    ],
)
@story
async def test_families_that_disagree(
    loop: asyncio.AbstractEventLoop, ipv4: list[str], ipv6: int, client: str, word: bytes, why: "str | None"
) -> None:
    def decide(question: Question) -> bytes:
        if question.kind == dns_server.PTR:
            return message(question, pointer("mail.example"))
        if question.kind == dns_server.AAAA:
            return message(question, code=ipv6)
        return message(question, *map(address, ipv4))

    with DnsServer(decide) as server:
        lines = [] if why is None else [unconfirmed("mail.example", client, why)]
        assert await host_of(resolver(loop, server), client) == (word, lines)


# Hostile names


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ((b"evil\r\nAuth-User: root", b"example"), r"evil\x0D\x0Aauth-user: root.example"),
        ((b"evil\0", b"example"), r"evil\x00.example"),
        ((b"two words", b"example"), "two words.example"),
        ((b"under_score", b"example"), "under_score.example"),
        ((b"a.b", b"example"), "a.b.example"),
        ((b'"', b"\\", b"\xff"), r"\x22.\x5C.\xFF"),
        ((b"[UNAVAILABLE]",), "[unavailable]"),
        ((), ""),
    ],
)
@story
async def test_a_hostile_name_is_not_believed(
    loop: asyncio.AbstractEventLoop, labels: tuple[bytes, ...], shown: str
) -> None:
    with DnsServer(lambda question: message(question, record(dns_server.PTR, encoded(*labels)))) as server:
        word, lines = await host_of(resolver(loop, server), IPV4)
        assert word == b"[TEMPUNAVAIL]"
        tail = f"while in resolving client address, client: {IPV4}, server: 0.0.0.0:25"
        assert lines == [f'[error] *1 {IPV4} resolved to invalid host name "{shown}" {tail}']
        assert {kind for _, kind in server.asked} == {dns_server.PTR}  # nor asked for


@story
async def test_the_longest_name(loop: asyncio.AbstractEventLoop) -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])  # 255 bytes on the wire
    with DnsServer(Zone({reverse(IPV4): longest}, {longest: [IPV4]})) as server:
        assert await host_of(resolver(loop, server), IPV4) == (longest.encode(), [])


@settings(max_examples=40, deadline=None)
@given(labels=st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_whatever_is_said_the_result_can_stand_in_a_line(labels: list[bytes]) -> None:
    def agree(question: Question) -> bytes:
        if question.kind == dns_server.PTR:
            return message(question, record(dns_server.PTR, encoded(*labels)))
        return message(question, address(IPV4)) if question.kind == dns_server.A else message(question)

    async def ask() -> bytes:
        with DnsServer(agree) as server:
            return (await host_of(resolver(loop, server), IPV4))[0]

    loop = LOOPS["asyncio"]()
    found = loop.run_until_complete(ask())
    loop.close()
    assert found == b"[TEMPUNAVAIL]" or set(found) <= set(b"abcdefghijklmnopqrstuvwxyz0123456789.-")


@story
async def test_of_many_names_the_first_counts(loop: asyncio.AbstractEventLoop) -> None:
    def many(question: Question) -> bytes:
        if question.kind != dns_server.PTR:
            return zone()(question)
        if not question.tcp:
            return message(question, truncated=True)
        return message(question, pointer("mail.example"), *(pointer(f"h{n}.example") for n in range(2000)))

    with DnsServer(many) as server:
        assert await host_of(resolver(loop, server), IPV4) == (b"mail.example", [])


@story
async def test_a_list_of_thousands_is_searched_but_not_kept(loop: asyncio.AbstractEventLoop) -> None:
    def crowd(question: Question) -> bytes:
        if question.kind == dns_server.PTR:
            return message(question, pointer("mail.example"))
        if question.kind == dns_server.AAAA:
            return message(question)
        if not question.tcp:
            return message(question, truncated=True)
        return message(question, *(address(f"10.0.{n >> 8}.{n & 255}") for n in range(3000)), address(IPV4))

    with DnsServer(crowd) as server:
        found = resolver(loop, server)
        for times in (1, 2):
            assert await host_of(found, IPV4) == (b"mail.example", [])
            assert server.asked.count(("mail.example", dns_server.AAAA)) == times
        assert server.asked.count((reverse(IPV4), dns_server.PTR)) == 1


# What is kept


@pytest.mark.parametrize(
    ("ttl", "valid", "kept"),
    [(300, 0, 300), (0, 0, 0), (0, 60, 60), (300, 5, 5), (2**31 - 1, 0, module.MAX_KEPT_SECONDS)],
)
@story
async def test_how_long_answers_are_kept(loop: asyncio.AbstractEventLoop, ttl: int, valid: int, kept: int) -> None:
    with DnsServer(zone(ttl=ttl)) as server:
        found = resolver(loop, server, valid_seconds=valid)
        for _, seconds in (await found._find_name(bytes(4)), await found._find_addresses(b"mail.example")):
            assert seconds in (0, kept)  # nobody has the address 0.0.0.0
        _, seconds = await found._find_name(from_bytes(IPV4))
        assert seconds == kept


def from_bytes(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET, text)


@story
async def test_a_known_client_costs_no_question(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(zone()) as server:
        found = resolver(loop, server)
        for _ in range(3):
            assert await host_of(found, IPV4) == (b"mail.example", [])
        assert len(server.asked) == 3
        assert await host_of(found, IPV6) == (b"mail.example", [])
        assert len(server.asked) == 4  # its name is known, its addresses are those of the other


@story
async def test_failures_are_not_kept(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(lambda question: message(question, code=NO_SUCH_NAME)) as server:
        found = resolver(loop, server, valid_seconds=3600)
        assert (await host_of(found, IPV4))[0] == b"[UNAVAILABLE]"
        server.decide = lambda question: (
            message(question, code=SERVER_FAILURE) if question.kind == 28 else zone()(question)
        )
        for times in (1, 2):  # half an answer is used, and not kept either
            assert await host_of(found, IPV4) == (b"mail.example", [])
            assert server.asked.count(("mail.example", dns_server.A)) == times


@story
async def test_clients_at_once_share_their_questions(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(zone(ttl=0)) as server:
        found = resolver(loop, server)
        outcomes = await asyncio.gather(*(host_of(found, IPV4) for _ in range(50)))
        assert outcomes == [(b"mail.example", [])] * 50
        assert len(server.asked) == 3


@story
async def test_name_servers_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    with DnsServer(zone(ttl=0)) as one, DnsServer(zone(ttl=0)) as other:
        places = tuple(from_literal(server.host, server.port) for server in (one, other))
        found = Resolver(loop, NameServers(places), PLENTY, Room())
        for _ in range(3):
            assert await host_of(found, IPV4) == (b"mail.example", [])
        assert {len(one.asked), len(other.asked)} == {3, 6}  # the names of one, the addresses of the other


def test_nothing_of_it_is_loaded_until_a_resolver_is_made() -> None:
    code = (
        "import sys, gatepost.worker.process, gatepost.assembly as a; a.groups(); print('pycares' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == "False\n"
