"""The upstream machine: transcripts, and what must hold for any bytes in any cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.events import Account, Declined, Effect, Failed, LoggedIn, Send, TlsReady
from gatepost.protocol.imap.upstream import ImapUpstream
from tests.protocol.any_cuts import upstream_in_any_cuts
from tests.transcript import Mode, cases, play

REPLY_BYTES = 200


def machine(user: bytes = b"user", password: bytes | None = b"pa ss", tag: bytes = b"a") -> ImapUpstream:
    return ImapUpstream(tag, Account(user, password, proven=True), REPLY_BYTES)


TRANSCRIPTS = {
    "a login": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: * CAPABILITY IMAP4rev1
        B: a OK done
        >> LoggedIn(b"* CAPABILITY IMAP4rev1\r\na OK done\r\n")
    """,
    "a server that takes literals unasked gets the whole command": r"""
        B: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN] Dovecot ready.
        P: a LOGIN {4+}
        P: user {5+}
        P: pa ss
        B: * CAPABILITY IMAP4rev1
        B: a OK done
        >> LoggedIn(b"* CAPABILITY IMAP4rev1\r\na OK done\r\n")
    """,
    "so does one that takes short ones, in any letter case": r"""
        B: * ok [capability imap4rev1 literal-] hi
        P: a LOGIN {4+}
        P: user {5+}
        P: pa ss
        B: a NO [AUTHENTICATIONFAILED] no
        >> Declined(b"a NO [AUTHENTICATIONFAILED] no\r\n", b"NO [AUTHENTICATIONFAILED] no", True)
    """,
    "a continuation that nobody waits for is no verdict": r"""
        B: * OK [CAPABILITY LITERAL+] hi
        P: a LOGIN {4+}
        P: user {5+}
        P: pa ss
        B: + go
        >> Declined(b"+ go\r\n", b"+ go", False)
    """,
    "the word must be a capability of its own": r"""
        B: * OK [CAPABILITY XLITERAL+ LITERAL+X] LITERAL+ [CAPABILITY LITERAL+]
        P: a LOGIN {4}
        B: + go
        P: user {5}
    """,
    "short lines": r"""
        B: * OK
        P: a LOGIN {4}
        B: +
        P: user {5}
        B: +
        P: pa ss
        B: a OK
        >> LoggedIn(b"a OK\r\n")
    """,
    "bare line feeds, any letter case, nothing behind the plus": r"""
        B: * ok hi\n\
        P: a LOGIN {4}
        B: +\n\
        P: user {5}
        B: +OK\n\
        P: pa ss
        B: a oK\n\
        >> LoggedIn(b"a oK\n")
    """,
    "any number of untagged responses; those of the last step are for the client": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: * OK still here
        B: * CAPABILITY X
        B: + go
        P: user {5}
        B: * OK still here
        B: + go
        P: pa ss
        B: * X
        B: * OK [ALERT] a {3}
        B: * NO b
        B: * BAD c {4+}
        B: * 3 EXISTS
        B: a OK done
        >> LoggedIn(b"* X\r\n* OK [ALERT] a {3}\r\n* NO b\r\n* BAD c {4+}\r\n* 3 EXISTS\r\na OK done\r\n")
    """,
    "a literal cannot pass for a tagged line": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: * LIST {14}
        B: \r\na OK false
        B:
        B: * X {10+}
        B: a NO false {0}
        B: a OK x
        B: a OK true
        >> LoggedIn(b'* LIST {14}\r\n\r\na OK false\r\n\r\n* X {10+}\r\na NO false {0}\r\na OK x\r\na OK true\r\n')
    """,
    "the same before a continuation": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: * X {3}
        B: +\r\n\
        B: y
        B: + go
        P: user {5}
    """,
    "a line behind a literal is not looked at, whatever it is": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: * X {1}
        B: x* BYE
        B: * X {0}
        B: * BYE
        B: * X {0}
        B: * OK {1}
        B: x
        B: + go
        P: user {5}
    """,
    "a greeting that says no": r"""
        B: * BYE not now
        >> Declined(b"* BYE not now\r\n", b"* BYE not now", False)
        B: a OK
    """,
    "a greeting that lets everybody in": r"""
        B: * PREAUTH come in
        >> Declined(b"* PREAUTH come in\r\n", b"* PREAUTH come in", False)
    """,
    "a greeting that is none": r"""
        B: 220 mail ESMTP
        >> Declined(b"220 mail ESMTP\r\n", b"220 mail ESMTP", False)
    """,
    "a greeting that only begins like one": r"""
        B: * OKAY
        >> Declined(b"* OKAY\r\n", b"* OKAY", False)
    """,
    "a greeting with an untagged line before it": r"""
        B: * CAPABILITY X
        >> Declined(b"* CAPABILITY X\r\n", b"* CAPABILITY X", False)
    """,
    "wrong credentials": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: * CAPABILITY X
        B: a NO bad
        >> Declined(b"* CAPABILITY X\r\na NO bad\r\n", b"NO bad", True)
    """,
    "a name that is refused at once": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: * X
        B: a NO who
        >> Declined(b"* X\r\na NO who\r\n", b"* X\r\na NO who", True)
    """,
    "a name that is refused after it was sent": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: a no who
        >> Declined(b"a no who\r\n", b"a no who", True)
    """,
    "BAD is no word on the credentials": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: a BAD what
        >> Declined(b"a BAD what\r\n", b"a BAD what", False)
    """,
    "BAD at the end neither": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: a BAD what
        >> Declined(b"a BAD what\r\n", b"BAD what", False)
    """,
    "OK comes too early": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: a OK come in
        >> Declined(b"", b"a OK come in", False)
    """,
    "a tag of somebody else": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: A OK done
        >> Declined(b"A OK done\r\n", b"A OK done", False)
    """,
    "our tag and no condition": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: a OKAY
        >> Declined(b"a OKAY\r\n", b"OKAY", False)
    """,
    "a continuation too many": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: + go
        >> Declined(b"+ go\r\n", b"+ go", False)
    """,
    "what is no line of IMAP": r"""
        B: * OK hi
        P: a LOGIN {4}
        B:
        >> Declined(b"\r\n", b"", False)
    """,
    "a star and nothing": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: *
        >> Declined(b"*\r\n", b"*", False)
    """,
    "BYE before the verdict": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: + go
        P: user {5}
        B: + go
        P: pa ss
        B: * X
        B: * BYE shutting down
        B: a NO
        >> Declined(b"* X\r\n* BYE shutting down\r\n", b"* BYE shutting down", False)
    """,
    "a line without an end": r"""
        B: * OK {195*x}\
        >> Failed('upstream sent too long response line: "* OK XXX"')
        B: \n\
    """.replace("XXX", "x" * 195),
    "a line that is too long": r"""
        B: * OK {198*x}
        >> Failed('upstream sent too long response line: "* OK XXX"')
    """.replace("XXX", "x" * 195),
    "a greeting that just fits": r"""
        B: * OK {193*x}
        P: a LOGIN {4}
        B: + {196*x}
        P: user {5}
    """,
    "lines that are too long together": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: * {96*x}
        B: * {96*y}
        B: + go
        >> Failed('upstream sent too long response line: "* XXX\\x0D\\x0A* YYY\\x0D\\x0A"')
    """.replace("XXX", "x" * 96).replace("YYY", "y" * 96),
    "a literal that is too long": r"""
        B: * OK hi
        P: a LOGIN {4}
        B: * X {99999999999999999999999999}
        B: {200*z}
        >> Failed('upstream sent too long response line: "* X {99999999999999999999999999}\\x0D\\x0AZZZ"')
    """.replace("ZZZ", "z" * 166),
}


@pytest.mark.parametrize(("transcript", "mode"), cases(TRANSCRIPTS))
def test_transcript(transcript: str, mode: Mode) -> None:
    play(transcript, machine(), mode)


@pytest.mark.parametrize(
    ("user", "password"),
    [(b"user", b""), (b"", b"p"), (b'u\0s"e\r\nr{3}', b"\xffp {3}\r\nx LOGOUT"), (b"u" * 5000, b"p" * 5000)],
)
def test_credentials_are_sent_by_their_length(user: bytes, password: bytes) -> None:
    upstream = machine(user, password, b"Tag-1")
    sent = b""
    for line in (b"* OK\r\n", b"+\r\n", b"+\r\n"):
        (effect,) = upstream.receive(line)
        assert isinstance(effect, Send)
        sent += effect.data
    lengths = (len(user), user, len(password), password)
    assert sent == b"Tag-1 LOGIN {%d}\r\n%b {%d}\r\n%b\r\n" % lengths


def test_what_the_log_says_meanwhile() -> None:
    upstream = machine()
    actions = []
    for line in (b"* OK\r\n", b"+\r\n", b"+\r\n"):
        (effect,) = upstream.receive(line)
        assert isinstance(effect, Send)
        actions.append(effect.action)
    assert actions == [
        "sending LOGIN command to upstream",
        "sending user name to upstream",
        "sending password to upstream",
    ]


def log_in(upstream: ImapUpstream, verdict: bytes) -> list[Effect]:
    for line in (b"* OK\r\n", b"+\r\n", b"+\r\n"):
        upstream.receive(line)
    return upstream.receive(verdict)


def test_what_comes_behind_the_verdict_is_for_the_relay() -> None:
    upstream = machine()
    assert log_in(upstream, b"a OK in\r\n* 1 EXISTS\r\n* 1") == [LoggedIn(b"a OK in\r\n")]
    assert upstream.receive(b" RECENT\r\n") == []
    assert upstream.rest() == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    assert upstream.rest() == b""


@pytest.mark.parametrize("verdict", [b"a NO\r\nrest", b"x" * 1000])
def test_nothing_is_kept_after_a_failure(verdict: bytes) -> None:
    upstream = machine()
    (effect,) = log_in(upstream, verdict)
    assert isinstance(effect, Declined | Failed)
    assert upstream.receive(b"more\r\n") == []
    assert upstream.rest() == b""


def test_the_account_is_forgotten_when_it_is_sent() -> None:
    upstream = machine()
    for line in (b"* OK\r\n", b"+\r\n"):
        upstream.receive(line)
    assert upstream._account is not None
    upstream.receive(b"+\r\n")
    assert upstream._account is None


def test_it_needs_a_password() -> None:
    with pytest.raises(AssertionError):
        machine(password=None)


def test_it_is_told_nothing() -> None:
    assert machine().tell(TlsReady()) == []


WORDS = [
    b"* ",
    b"* OK ",
    b"* BYE",
    b"* X {5}\r\n",
    b"a ",
    b"OK",
    b"NO",
    b"+",
    b"+ go",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"{3}",
    b"text",
    b"x" * 60,
    b"* OK\r\n+\r\n+\r\n",
    b"a OK done\r\n",
]


@given(
    stream=st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=30).map(b"".join),
    greeted=st.booleans(),
    cuts=st.lists(st.integers(0, 300), max_size=10),
)
def test_any_bytes_in_any_cuts(stream: bytes, greeted: bool, cuts: list[int]) -> None:
    if greeted:
        stream = b"* OK\r\n+\r\n+\r\n" + stream

    effects, rest = upstream_in_any_cuts(machine, stream, cuts, REPLY_BYTES)
    for effect in effects:
        if isinstance(effect, LoggedIn):
            assert effect.reply.splitlines()[-1].upper().startswith(b"A OK")
            assert stream.endswith(effect.reply + rest)
        elif isinstance(effect, Declined):
            assert effect.text in effect.reply or not effect.reply


GREETED = b"* OK [CAPABILITY IMAP4rev1 LITERAL-] hi\r\n"


@pytest.mark.parametrize(("user", "password"), [(bytes([120]) * 4097, b"pw"), (b"user", bytes([120]) * 4097)])
def test_what_is_too_long_to_go_unasked_is_asked_for(user: bytes, password: bytes) -> None:
    """RFC 7888 section 5."""
    effects = machine(user, password).receive(GREETED)
    assert effects == [Send(b"a LOGIN {%d}\r\n" % len(user), "sending LOGIN command to upstream")]


def test_the_longest_that_goes_unasked() -> None:
    user, password = bytes([120]) * 4096, bytes([121]) * 4096
    (effect,) = machine(user, password).receive(GREETED)
    assert isinstance(effect, Send)
    assert effect.data == b"a LOGIN {4096+}\r\n%b {4096+}\r\n%b\r\n" % (user, password)
