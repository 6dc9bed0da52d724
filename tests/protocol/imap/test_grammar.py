"""IMAP's commands and replies, piece by piece. The client's transcripts hold the grammar as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.imap import grammar
from gatepost.protocol.imap.grammar import Literal, Opening


class TestOpening:
    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (b"a NOOP\r\n", Opening(b"a", b"NOOP", 6)),
            (b"a  login  x\n", Opening(b"a", b"LOGIN", 8)),
            (b"Tag-1.2_3 X\n", Opening(b"Tag-1.2_3", b"X", 11)),
            (b"a \r\n", Opening(b"a", None, 2)),
            (b"a N0OP\r\n", Opening(b"a", None, 2)),
            (b"a NOOP(\r\n", Opening(b"a", None, 2)),
            (b"a\r\n", Opening(None, None, 0)),
            (b" NOOP\r\n", Opening(None, None, 0)),
            (b"\r\n", Opening(None, None, 0)),
            (b"x" * 32 + b" NOOP\n", Opening(b"x" * 32, b"NOOP", 37)),
            (b"x" * 33 + b" NOOP\n", Opening(None, None, 0)),
        ],
    )
    def test_opening(self, line: bytes, found: Opening) -> None:
        assert grammar.opening(line) == found


class TestArguments:
    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (b"\r\n", []),
            (b"   \n", []),
            (b" a b c \r\n", [b"a", b"b", b"c"]),
            (b' "a b" c\n', [b"a b", b"c"]),
            (b'"a\\"b""c\\\\" "" \r\n', [b'a"b', b"c\\", b""]),
            (b' a"b{c \n', [b'a"b{c']),
        ],
    )
    def test_up_to_the_end(self, line: bytes, found: list[bytes]) -> None:
        into: list[bytes] = []
        assert grammar.arguments(line, 0, into) is None
        assert into == found

    @pytest.mark.parametrize(
        ("line", "literal", "found"),
        [
            (b" {4}\r\n", Literal(4, True), []),
            (b" a {4+}\n", Literal(4, False), [b"a"]),
            (b' "a"{}\r\r\n', Literal(0, True), [b"a"]),
            (b" {+}\r\n", Literal(0, False), []),
            (b" {9223372036854775807}\n", Literal(2**63 - 1, True), []),
        ],
    )
    def test_up_to_a_literal(self, line: bytes, literal: Literal, found: list[bytes]) -> None:
        into: list[bytes] = []
        assert grammar.arguments(line, 0, into) == literal
        assert into == found

    @pytest.mark.parametrize(
        "line",
        [
            b" a b c d\n",
            b" a b c {1}\n",
            b' a b c ""\n',
            b' "a\n',
            b' "a\\\r\n',
            b' "a\rb"\n',
            b" a\rb\n",
            b" \r\r\n",
            b" {4\n",
            b" {4}x\n",
            b" {4} \n",
            b" {a}\n",
            b" {4++}\n",
            b" {9223372036854775808}\n",
            b" {" + b"1" * 5000 + b"}\n",
        ],
    )
    def test_invalid(self, line: bytes) -> None:
        with pytest.raises(InvalidCommand):
            grammar.arguments(line, 0, [])

    @pytest.mark.parametrize("line", [b" x\r\n", b"\r\n", b"\n", b"  \n"])
    def test_behind_a_literal(self, line: bytes) -> None:
        assert grammar.arguments_after_literal(line, []) is None

    @pytest.mark.parametrize("line", [b"x\r\n", b'"x"\r\n', b"{4}\r\n", b"\rx\n"])
    def test_not_behind_a_literal(self, line: bytes) -> None:
        with pytest.raises(InvalidCommand):
            grammar.arguments_after_literal(line, [])

    @given(st.lists(st.binary(min_size=1, max_size=8), max_size=3))
    def test_quoting_keeps_every_byte_but_line_ends(self, words: list[bytes]) -> None:
        words = [word.replace(b"\r", b"").replace(b"\n", b"") for word in words]
        line = b"".join(b' "%b"' % word.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for word in words) + b"\r\n"
        into: list[bytes] = []
        assert grammar.arguments(line, 0, into) is None
        assert into == words


@pytest.mark.parametrize(
    ("line", "found"),
    [(b"abc\r\n", (b"abc", 3)), (b"abc d\n", (b"abc", 3)), (b' "x\n', (b"", 0)), (b'"{1}\n', (b'"{1}', 4))],
)
def test_response(line: bytes, found: tuple[bytes, int]) -> None:
    assert grammar.response(line) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"a X {4+}\r\n", True),
        (b"a X {4+}\n", True),
        (b"a X {4+}\r\r\n", True),
        (b"a X {4}\r\n", False),
        (b"a X {4+} \r\n", False),
        (b"\r\n", False),
    ],
)
def test_announces_data(line: bytes, found: bool) -> None:
    assert grammar.announces_data(line) is found


class TestReplies:
    def test_to_a_client(self) -> None:
        assert grammar.completed(b"a") == b"a OK completed\r\n"
        assert grammar.invalid(b"a") == b"a BAD invalid command\r\n"
        assert grammar.invalid(None) == b"* BAD invalid command\r\n"
        assert grammar.refused(b"a", b"no way") == b"a NO no way\r\n"
        assert grammar.refused(b"a", b"") == b"a NO \r\n"
        assert grammar.refused(b"a", b"x\r\ny\0") == b"a NO xy\r\n"
        assert grammar.prompt(b"") == b"+ \r\n"
        assert grammar.prompt(b"YQ==") == b"+ YQ==\r\n"
        assert grammar.capability((b"A", b"B")) == b"* CAPABILITY A B\r\n"

    def test_to_an_upstream(self) -> None:
        assert grammar.login(b"a", b"joe", b"secret") == b"a LOGIN {3}\r\n"
        assert grammar.login_user(b"a", b"joe", b"secret") == b"joe {6}\r\n"
        assert grammar.login_password(b"a", b"joe", b"secret") == b"secret\r\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"* OK hi\r\n", b"OK"),
        (b"* ok\n", b"OK"),
        (b"* Bye x\r\n", b"BYE"),
        (b"* PREAUTH\r\n", b"PREAUTH"),
        (b"* OKAY\r\n", b""),
        (b"* 1 EXISTS\r\n", b""),
        (b"a OK\r\n", b""),
    ],
)
def test_status(line: bytes, found: bytes) -> None:
    assert grammar.status(line) == found
    assert grammar.greets(line) is (found == b"OK")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"a.1 OK\r\n", b"OK"),
        (b"a.1 no x\n", b"NO"),
        (b"a.1 BAD\r\n", b"BAD"),
        (b"a.1 OKAY\r\n", b""),
        (b"a.1\r\n", b""),
        (b"a.10 OK\r\n", b""),
        (b"ax1 OK\r\n", b""),
        (b"A.1 OK\r\n", b""),
        (b"* OK\r\n", b""),
    ],
)
def test_verdict(line: bytes, found: bytes) -> None:
    assert grammar.verdict(line, b"a.1") == found


@pytest.mark.parametrize(("line", "found"), [(b"+\r\n", True), (b"+ OK\r\n", True), (b"* +\r\n", False)])
def test_goes_ahead(line: bytes, found: bool) -> None:
    assert grammar.goes_ahead(line) is found


@pytest.mark.parametrize(
    ("line", "size"),
    [
        (b"* X {12}\r\n", 12),
        (b"* X ~{12+}\n", 12),
        (b"* X {0}\r\n", 0),
        (b"* X {12} \r\n", None),
        (b"* X {}\r\n", None),
        (b"* X {" + b"9" * 5000 + b"}\r\n", 2**63),
    ],
)
def test_announced(line: bytes, size: int | None) -> None:
    assert grammar.announced(line) == size
