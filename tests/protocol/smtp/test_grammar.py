"""Commands, replies and parameters, one by one."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import Address, from_literal, unix
from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.smtp import grammar


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        (b"NOOP\r\n", b"NOOP"),
        (b"noop\n", b"NOOP"),
        (b"StartTls x\r\n", b"STARTTLS"),
        (b"NOOP", b""),  # cut off
        (b" NOOP\r\n", b""),
        (b"NOOP\t\r\n", b""),
        (b"NO-OP\r\n", b""),
        (b"NOOP\0\r\n", b""),
        (b"\r\n", b""),
    ],
)
def test_verb(line: bytes, verb: bytes) -> None:
    assert grammar.verb(line) == verb


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"NOOP\r\n", []),
        (b"NOOP \r\n", []),
        (b"NOOP  a   b \n", [b"a", b"b"]),
        (b"NOOP a\tb \0\xff\r\n", [b"a\tb", b"\0\xff"]),
        (b"NOOP" + b" x" * 11 + b"\r\n", [b"x"] * 11),
    ],
)
def test_arguments(line: bytes, found: list[bytes]) -> None:
    assert grammar.arguments(line) == found


@pytest.mark.parametrize(
    "line", [b"NOOP" + b" x" * 12 + b"\r\n", b"NOOP\r x\r\n", b"NOOP\r\r\n", b"NOOP x\ry\n", b"NOOP \r \r\n"]
)
def test_arguments_that_are_none(line: bytes) -> None:
    with pytest.raises(InvalidCommand):
        grammar.arguments(line)


@pytest.mark.parametrize(
    ("line", "size"),
    [
        (b"BDAT 5\r\n", 5),
        (b"BDAT 0 LAST\n", 0),
        (b"BDAT   0012 x y\r\n", 12),
        (b"BDAT 99999999999999999999\r\n", 99999999999999999999),
        (b"BDAT " + b"9" * 5000 + b"\r\n", 0),
        (b"BDAT\r\n", 0),
        (b"BDAT -1\r\n", 0),
        (b"BDAT 1x\r\n", 0),
        (b"BDAT 1\r2\r\n", 0),
        (b"BDAT \xb2\r\n", 0),
        (b"XDAT 5\r\n", 0),
    ],
)
def test_chunk_bytes(line: bytes, size: int) -> None:
    assert grammar.chunk_bytes(line) == size


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"\r\n", b""),
        (b"abc=\r\n", b"abc="),
        (b"abc def\n", b"abc"),
        (b" abc\r\n", b""),
        (b"a" + b" x" * 10 + b"\r\n", b"a"),
    ],
)
def test_response(line: bytes, found: bytes) -> None:
    assert grammar.response(line) == found


@pytest.mark.parametrize("line", [b"a" + b" x" * 11 + b"\r\n", b"a\rb\r\n"])
def test_response_that_is_none(line: bytes) -> None:
    with pytest.raises(InvalidCommand):
        grammar.response(line)


@pytest.mark.parametrize("name", [b"a", b"[192.0.2.1]", b"m\xc3\xbcller.example", b"a=b"])
def test_names(name: bytes) -> None:
    assert grammar.is_name(name)


@pytest.mark.parametrize("name", [b"a\0", b"\tb", b"\x7f", b"\x1f", b"\r"])
def test_names_that_are_none(name: bytes) -> None:
    assert not grammar.is_name(name)


def test_envelope() -> None:
    assert grammar.envelope(b"mail from:<a@b>   SIZE=1  \r\n") == b"mail from:<a@b>   SIZE=1"
    assert grammar.envelope(b"MAIL FROM:<\0>\r\n") is None


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"EHLO x\r\nMAIL", b"EHLO x__"),
        (b"EHLO x", b"EHLO x"),
        (b"\r\n\r\n", b"__"),
        (b"a\rb\n", b"a_b_"),
        (b"AUTHOR x\r\n", b"AUTHOR x__"),
        (b"AUTH\r\n", b"AUTH..."),
        (b"AUTH LOGIN\r\n", b"AUTH LOGIN..."),
        (b"auth login am9l\r\n", b"auth login..."),
        (b"AUTH LOGIN\tam9l\r\n", b"AUTH..."),
        (b"AUTH   am9l==\r\n", b"AUTH..."),
        (b"AUTH \rx\r\n", b"AUTH..."),
        (b"AUTH PLAIN AHVz", b"AUTH PLAIN..."),
        (b"", b""),
    ],
)
def test_shown(data: bytes, shown: bytes) -> None:
    assert grammar.shown(data) == shown


def test_replies() -> None:
    assert grammar.greeting(b"mail") == b"220 mail ESMTP ready\r\n"
    assert grammar.hello((b"mail",)) == b"250 mail\r\n"
    assert grammar.hello((b"mail", b"SIZE 1", b"X")) == b"250-mail\r\n250-SIZE 1\r\n250 X\r\n"
    assert grammar.prompt(b"") == b"334 \r\n"
    assert grammar.refused(b"no", b"") == b"535 5.7.0 no\r\n"
    assert grammar.refused(b"", b"550") == b"550 \r\n"
    assert grammar.refused(b"a\r\nb\0", b"5\n50") == b"550 ab\r\n"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (from_literal("192.0.2.1", 25), b"192.0.2.1"),
        (from_literal("2001:db8::1", 25), b"IPV6:2001:db8::1"),
        (Address(socket.AF_INET6, "::ffff:192.0.2.1", 25), b"IPV6:::ffff:192.0.2.1"),
        (unix(""), b"unix:"),
    ],
)
def test_xclient_address(address: Address, shown: bytes) -> None:
    assert grammar.xclient_address(address) == shown


def test_xclient() -> None:
    assert grammar.xclient(b"192.0.2.1", b"", b"x.example") == b"XCLIENT ADDR=192.0.2.1 NAME=x.example\r\n"
    found = grammar.xclient(b"unix:", b"us er+=", b"[UNAVAILABLE]")
    assert found == b"XCLIENT ADDR=unix: LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]\r\n"


@given(data=st.binary())
def test_xtext_can_be_read_back_and_breaks_nothing(data: bytes) -> None:
    found = grammar.xtext(data)
    assert all(0x21 <= byte < 0x7F and byte != ord("=") for byte in found)
    first, *escaped = found.split(b"+")
    assert first + b"".join(bytes.fromhex(piece[:2].decode()) + piece[2:] for piece in escaped) == data
    assert found == found[:0] + found.replace(b"+2b", b"+2B")


def test_plain() -> None:
    assert grammar.plain(b"user", b"pass") == b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n"
    assert grammar.plain(b"u" * 300, b"p" * 300).count(b"\n") == 1


@pytest.mark.parametrize(
    ("line", "more"),
    [(b"250-x\r\n", True), (b"250 x-y\r\n", False), (b"250\r\n", False), (b"-\r\n", False), (b"\r\n", False)],
)
def test_continues(line: bytes, more: bool) -> None:
    assert grammar.continues(line) is more
