"""POP3's commands and replies, piece by piece. The client's transcripts hold the grammar as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.pop3 import grammar
from gatepost.protocol.pop3.grammar import Command


class TestCommand:
    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (b"NOOP\r\n", Command(b"NOOP", [])),
            (b"noop\n", Command(b"NOOP", [])),
            (b"What  1 2\r\n", Command(b"WHAT", [b"1", b"2"])),
            (b"AUTH a b c \r\n", Command(b"AUTH", [b"a", b"b", b"c"])),
            (b"USER  a b c d \r\n", Command(b"USER", [b"a b c d "])),
            (b"pass\t\r\n", None),
            (b"PASS \t\r\n", Command(b"PASS", [b"\t"])),
            (b"PASS \r\n", Command(b"PASS", [])),
            (b"PASS\n", Command(b"PASS", [])),
            (b"NOOP 1 2 3 4\r\n", None),
            (b"NO\r\n", None),
            (b"NOOPS\r\n", None),
            (b" NOOP\r\n", None),
            (b"NOOP\r\r\n", None),
            (b"NOOP \rx\r\n", None),
            (b"\r\n", None),
            (b"\n", None),
        ],
    )
    def test_lines(self, line: bytes, found: Command | None) -> None:
        if found is None:
            with pytest.raises(InvalidCommand):
                grammar.command(line)
        else:
            assert grammar.command(line) == found

    @given(name=st.binary(min_size=1))
    def test_a_name_is_kept_to_the_last_byte(self, name: bytes) -> None:
        name = name.translate(None, b"\r\n").lstrip(b" ")
        assert grammar.command(b"USER " + name + b"\r\n").arguments == [name] * bool(name)


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        (b"USER joe", b"USER"),
        (b"pass ", b"PASS"),
        (b"NOOP\r", b"NOOP"),
        (b"USER", b""),
        (b"USERS x", b""),
        (b"", b""),
    ],
)
def test_opening(line: bytes, verb: bytes) -> None:
    assert grammar.opening(line) == verb


class TestResponse:
    @pytest.mark.parametrize(
        ("line", "piece"),
        [
            (b"abc\r\n", b"abc"),
            (b"abc\n", b"abc"),
            (b"\r\n", b""),
            (b" abc\r\n", b""),
            (b"a  b  c  \r\n", b"a"),
            (b"a\tb\0\r\n", b"a\tb\0"),
        ],
    )
    def test_the_first_piece(self, line: bytes, piece: bytes) -> None:
        assert grammar.response(line) == piece

    @pytest.mark.parametrize("line", [b"a b c d\r\n", b" b c d\n", b"a\rb\r\n", b"a\r\r\n"])
    def test_what_is_none(self, line: bytes) -> None:
        with pytest.raises(InvalidCommand):
            grammar.response(line)


@pytest.mark.parametrize(
    ("argument", "is_digest"),
    [
        (b"0123456789abcdefABCDEF0123456789", True),
        (b"0123456789abcdefABCDEF012345678", False),
        (b"0123456789abcdefABCDEF01234567890", False),
        (b"0123456789abcdefABCDEF012345678g", False),
        (b"0123456789abcdefABCDEF0123456789\n", False),
        (b"", False),
    ],
)
def test_digests(argument: bytes, is_digest: bool) -> None:
    assert grammar.is_digest(argument) is is_digest


def test_what_we_say() -> None:
    assert grammar.greeting(b"") == b"+OK POP3 ready\r\n"
    assert grammar.greeting(b"<1.2@host>") == b"+OK POP3 ready <1.2@host>\r\n"
    assert grammar.refused(b"a\r\nb\0c\xff") == b"-ERR abc\xff\r\n"
    assert grammar.prompt(b"") == b"+ \r\n"
    assert grammar.sasl([]) == b"SASL"
    assert grammar.sasl([b"A", b"B"]) == b"SASL A B"
    assert grammar.methods([]) == b"+OK methods supported:\r\n.\r\n"
    assert grammar.capabilities([b".", b"a."]) == b"+OK Capability list follows\r\n..\r\na.\r\n.\r\n"


@pytest.mark.parametrize(
    ("line", "agrees", "refuses"),
    [
        (b"+OK\r\n", True, False),
        (b"+OKAY then\n", True, False),
        (b"-ERR\r\n", False, True),
        (b"-ERRATIC\r\n", False, True),
        (b"+ok\r\n", False, False),
        (b"-err\r\n", False, False),
        (b" +OK\r\n", False, False),
        (b"\r\n", False, False),
    ],
)
def test_replies_of_an_upstream(line: bytes, agrees: bool, refuses: bool) -> None:
    assert grammar.agrees(line) is agrees
    assert grammar.refuses(line) is refuses
