"""The upstream machine: transcripts, and what must hold for any bytes in any cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.events import Account, Declined, Failed, LoggedIn, Send
from gatepost.protocol.pop3.upstream import Pop3Upstream
from tests.protocol.any_cuts import upstream_in_any_cuts
from tests.transcript import Mode, cases, play

REPLY_BYTES = 100


def machine(user: bytes = b"user", password: bytes | None = b"pa ss") -> Pop3Upstream:
    return Pop3Upstream(Account(user, password, proven=True), REPLY_BYTES)


TRANSCRIPTS = {
    "a login": r"""
        B: +OK hi
        P: USER user
        B: +OK u
        P: PASS pa ss
        B: +OK logged in
        >> LoggedIn(b"+OK logged in\r\n")
    """,
    "short lines, bare line feeds, anything behind the OK": r"""
        B: +OK\n\
        P: USER user
        B: +OK
        P: PASS pa ss
        B: +OKAY\n\
        >> LoggedIn(b"+OKAY\n")
    """,
    "a wrong password": r"""
        B: +OK hi
        P: USER user
        B: +OK u
        P: PASS pa ss
        B: -ERR [AUTH] no
        >> Declined(b"-ERR [AUTH] no\r\n", b"-ERR [AUTH] no", True)
        B: +OK
    """,
    "a name that is refused at once": r"""
        B: +OK hi
        P: USER user
        B: -ERR who
        >> Declined(b"-ERR who\r\n", b"-ERR who", True)
    """,
    "a greeting that says no": r"""
        B: -ERR busy\n\
        >> Declined(b"-ERR busy\n", b"-ERR busy", False)
        B: +OK
    """,
    "a greeting that is none": r"""
        B: * OK IMAP4rev1
        >> Declined(b"* OK IMAP4rev1\r\n", b"* OK IMAP4rev1", False)
    """,
    "small letters are no reply": r"""
        B: +ok hi
        >> Declined(b"+ok hi\r\n", b"+ok hi", False)
    """,
    "an empty line": r"""
        B: +OK hi
        P: USER user
        B:
        >> Declined(b"\r\n", b"", False)
    """,
    "no answer to the password": r"""
        B: +OK hi
        P: USER user
        B: +OK
        P: PASS pa ss
        B: + go on
        >> Declined(b"+ go on\r\n", b"+ go on", False)
    """,
    "replies that fit, one by one": r"""
        B: +OK{95*x}
        P: USER user
        B: +OK{95*y}
        P: PASS pa ss
    """,
    "a reply that is too long": rf"""
        B: +OK{{96*x}}
        >> Failed('upstream sent too long response line: "+OK{97 * "x"}"')
    """.replace(97 * "x", 96 * "x" + "\\\\x0D"),
    "a reply without an end": rf"""
        B: +OK hi
        P: USER user
        B: +OK{{97*x}}\
        >> Failed('upstream sent too long response line: "+OK{97 * "x"}"')
        B: \n\
    """,
}


@pytest.mark.parametrize(("transcript", "mode"), cases(TRANSCRIPTS))
def test_transcript(transcript: str, mode: Mode) -> None:
    play(transcript, machine(), mode)


def test_credentials_are_sent_as_they_are() -> None:
    upstream = machine(b' j\xf6"e\t', b"")
    assert upstream.receive(b"+OK\r\n") == [Send(b'USER  j\xf6"e\t\r\n', "sending user name to upstream")]
    assert upstream.receive(b"+OK\r\n") == [Send(b"PASS \r\n", "sending password to upstream")]


@pytest.mark.parametrize("bad", [b"a\rb", b"a\nb", b"a\0b", b"\r\nDELE 1"])
@pytest.mark.parametrize("in_password", [False, True])
def test_nothing_is_sent_of_credentials_that_would_break_a_line(bad: bytes, in_password: bool) -> None:
    upstream = machine(b"user", bad) if in_password else machine(bad)
    (effect,) = upstream.receive(b"+OK\r\n+OK\r\n+OK\r\n")
    assert effect == Failed("CR, LF or NUL in credentials for upstream")
    assert upstream.receive(b"+OK\r\n") == []
    assert upstream.rest() == b""


def test_name_and_password_are_forgotten_when_they_are_sent() -> None:
    upstream = machine()
    upstream.receive(b"+OK\r\n")
    assert upstream._user is None
    upstream.receive(b"+OK\r\n")
    assert upstream._password is None


def test_name_and_password_are_forgotten_when_they_are_not_sent() -> None:
    upstream = machine()
    upstream.receive(b"-ERR\r\n")
    assert upstream._user is None
    assert upstream._password is None


def test_what_comes_behind_the_last_reply_is_for_the_relay() -> None:
    upstream = machine()
    effects = upstream.receive(b"+OK\r\n+OK\r\n+OK in\r\n+OK more\r\n+O")
    assert effects[-1] == LoggedIn(b"+OK in\r\n")
    assert upstream.receive(b"K\r\n") == []
    assert upstream.rest() == b"+OK more\r\n+OK\r\n"


def test_it_needs_a_password() -> None:
    with pytest.raises(AssertionError):
        machine(password=None)


WORDS = [b"+OK", b"-ERR", b" text", b"+", b"\r\n", b"\r\n", b"\n", b"\r", b"x" * 60, b"+OK hi\r\n", b"-ERR no\r\n"]


@given(
    stream=st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=20).map(b"".join),
    replies=st.integers(0, 3),
    cuts=st.lists(st.integers(0, 300), max_size=10),
)
def test_any_bytes_in_any_cuts(stream: bytes, replies: int, cuts: list[int]) -> None:
    stream = b"+OK\r\n" * replies + stream
    effects, rest = upstream_in_any_cuts(machine, stream, cuts, REPLY_BYTES)
    for effect in effects:
        if isinstance(effect, LoggedIn):
            assert effect.reply.startswith(b"+OK")
            assert stream.endswith(effect.reply + rest)
        elif isinstance(effect, Declined):
            assert effect.text in effect.reply
            assert not effect.reply.startswith(b"+OK")
