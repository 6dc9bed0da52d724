"""The upstream machine: transcripts, and what must hold for any bytes in any cuts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.events import Account, Declined, Effect, Failed, LoggedIn, Send, TlsReady
from gatepost.protocol.smtp.upstream import Route, SmtpUpstream, Step, Visit, steps
from tests.transcript import Mode, cases, play

REPLY_BYTES = 200
LOGGED_IN = b"235 2.0.0 OK\r\n"
LETTER = (b"MAIL FROM:<a@b> SIZE=1", b"RCPT TO:<c@d>")
KNOWN = Account(b"us er+=", b"pass", proven=True)


def machine(
    *,
    xclient: bool = True,
    auth: bool = False,
    helo: bytes = b"me",
    extended: bool = True,
    letter: tuple[bytes, bytes] | None = None,
    account: Account = KNOWN,
) -> SmtpUpstream:
    visit = Visit(b"192.0.2.1", b"[UNAVAILABLE]", helo, extended, letter)
    todo = steps(Route(b"mail.example", xclient, auth), visit, account)
    return SmtpUpstream(todo, LOGGED_IN if letter is None else None, REPLY_BYTES)


WITH_XCLIENT = {
    "a login": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250-x
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 ok
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
    "XCLIENT may be answered by 250; lines may be short and end in LF": r"""
        B: 220\n\
        P: EHLO mail.example
        B: 250-\n\
        B: 250\n\
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 250
        P: EHLO me
        B: 250
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
    "replies of several lines everywhere; the code of the first counts": r"""
        B: 220-hi
        B: 500-there
        B: 220 you
        P: EHLO mail.example
        B: 250-x
        B: 500 y
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 220-x
        B: 220 y
        P: EHLO me
        B: 250-a
        B: 250-b
        B: 250-c
        B: 250 d
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
    "a greeting that says no": r"""
        B: 554-go
        B: 554 away
        >> Declined(b"554-go\r\n554 away\r\n", b"554-go\r\n554 away", False)
        B: 220 hi
    """,
    "a greeting that is none": r"""
        B: * OK IMAP4
        >> Declined(b"* OK IMAP4\r\n", b"* OK IMAP4", False)
    """,
    "a greeting that is nothing": r"""
        B:
        >> Declined(b"\r\n", b"", False)
    """,
    "EHLO is refused": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 502 what
        >> Declined(b"502 what\r\n", b"502 what", False)
    """,
    "XCLIENT is refused": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 x
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 550 5.7.0 Error: insufficient authorization
        >> Declined(*[b"550 5.7.0 Error: insufficient authorization" + e for e in (b"\r\n", b"")], False)
    """,
    "the second EHLO is refused": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 x
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 421 too busy
        >> Declined(b"421 too busy\r\n", b"421 too busy", False)
    """,
    "a line without an end": r"""
        B: 220 {196*x}\
        >> Failed('upstream sent too long response line: "220 XXX"')
        B: \r\n\
    """.replace("XXX", "x" * 196),
    "lines that are too long together": r"""
        B: 220-{94*x}
        B: 220 {95*y}
        >> Failed('upstream sent too long response line: "220-XXX\\x0D\\x0A220 YYY"')
    """.replace("XXX", "x" * 94).replace("YYY", "y" * 95 + "\\\\x0D"),
    "a reply that just fits, and another": r"""
        B: 220 {194*x}
        P: EHLO mail.example
        B: 250 {194*x}
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
    """,
}

WITHOUT_NAME = {
    "a client that did not say its name": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 220 x
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
}

OLD_CLIENT = {
    "a client that said HELO": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 LOGIN=us+20er+2B+3D NAME=[UNAVAILABLE]
        B: 220 x
        P: HELO me
        B: 250 ok
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
}

PROVING = {
    "a login with the password": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 AUTH PLAIN
        P: AUTH PLAIN AHVzIGVyKz0AcGFzcw==
        B: 235-2.7.0
        B: 235 ok
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
    "a password that is refused": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 AUTH PLAIN
        P: AUTH PLAIN AHVzIGVyKz0AcGFzcw==
        B: 535-5.7.8 Error
        B: 535 5.7.8 sorry
        >> Declined(b"535-5.7.8 Error\r\n535 5.7.8 sorry\r\n", b"535-5.7.8 Error\r\n535 5.7.8 sorry", True)
    """,
    "a backend that cannot tell now": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 AUTH PLAIN
        P: AUTH PLAIN AHVzIGVyKz0AcGFzcw==
        B: 454 4.7.0 later
        >> Declined(b"454 4.7.0 later\r\n", b"454 4.7.0 later", False)
    """,
    "a backend that asks back": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 AUTH PLAIN
        P: AUTH PLAIN AHVzIGVyKz0AcGFzcw==
        B: 334\x20
        >> Declined(b"334 \r\n", b"334 ", False)
    """,
}

PLAIN_LOGIN = {
    "a greeting is all": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 x
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
}

PLAIN_LOGIN_OLD = {
    "HELO is all": r"""
        B: 220 hi
        P: HELO mail.example
        B: 250 x
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
}

PLAIN_PROVING = {
    "AUTH and no XCLIENT": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 x
        P: AUTH PLAIN AHVzIGVyKz0AcGFzcw==
        B: 235 x
        >> LoggedIn(b"235 2.0.0 OK\r\n")
    """,
}

LETTERS = {
    "MAIL and RCPT after XCLIENT": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 x
        P: MAIL FROM:<a@b> SIZE=1
        B: 250 from ok
        P: RCPT TO:<c@d>
        B: 250-rcpt
        B: 250 ok
        >> LoggedIn(b"250-rcpt\r\n250 ok\r\n")
    """,
    "MAIL is refused": r"""
        B: 220 hi
        P: EHLO mail.example
        B: 250 XCLIENT
        P: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]
        B: 220 x
        P: EHLO me
        B: 250 x
        P: MAIL FROM:<a@b> SIZE=1
        B: 550 not from there
        >> Declined(b"550 not from there\r\n", b"550 not from there", False)
    """,
}

PLAIN_LETTERS = {
    "the worked example": r"""
        B: 220 hi
        P: HELO mail.example
        B: 250 x
        P: MAIL FROM:<a@b> SIZE=1
        B: 250 from ok
        P: RCPT TO:<c@d>
        B: 250 rcpt ok
        >> LoggedIn(b"250 rcpt ok\r\n")
    """,
    "whatever is said about the recipient": r"""
        B: 220 hi
        P: HELO mail.example
        B: 250 x
        P: MAIL FROM:<a@b> SIZE=1
        B: 250 from ok
        P: RCPT TO:<c@d>
        B: 450-4.2.0 <c@d>: greylisted,
        B: 450 4.2.0 try again
        >> LoggedIn(b"450-4.2.0 <c@d>: greylisted,\r\n450 4.2.0 try again\r\n")
    """,
}


def test_step() -> None:
    assert Step(b"x", "saying x", ()).codes == ()


@pytest.mark.parametrize(("transcript", "mode"), cases(WITH_XCLIENT))
def test_with_xclient(transcript: str, mode: Mode) -> None:
    play(transcript, machine(), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(WITHOUT_NAME))
def test_without_a_name(transcript: str, mode: Mode) -> None:
    play(transcript, machine(helo=b"", extended=False), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(OLD_CLIENT))
def test_old_client(transcript: str, mode: Mode) -> None:
    play(transcript, machine(extended=False), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(PROVING))
def test_with_xclient_and_auth(transcript: str, mode: Mode) -> None:
    play(transcript, machine(auth=True), mode)
    # With ``proxy_pass`` nobody has checked the password: the backend has to, whatever the settings say.
    play(transcript, machine(account=Account(KNOWN.user, KNOWN.password, proven=False)), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(PLAIN_LOGIN))
def test_without_xclient(transcript: str, mode: Mode) -> None:
    play(transcript, machine(xclient=False), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(PLAIN_LOGIN_OLD))
def test_without_xclient_for_an_old_client(transcript: str, mode: Mode) -> None:
    play(transcript, machine(xclient=False, extended=False), mode)
    play(transcript, machine(xclient=False, extended=False, helo=b""), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(PLAIN_PROVING))
def test_with_auth_alone(transcript: str, mode: Mode) -> None:
    play(transcript, machine(xclient=False, auth=True), mode)
    play(transcript, machine(xclient=False, account=Account(KNOWN.user, KNOWN.password, proven=False)), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(LETTERS))
def test_letters_with_xclient(transcript: str, mode: Mode) -> None:
    nobody = Account(b"", None, proven=True)
    play(transcript, machine(letter=LETTER, account=nobody), mode)
    play(transcript, machine(letter=LETTER, account=nobody, auth=True), mode)
    # A name that the authentication service made up does not make it a login.
    play(transcript, machine(letter=LETTER, auth=True), mode)


@pytest.mark.parametrize(("transcript", "mode"), cases(PLAIN_LETTERS))
def test_letters_without_xclient(transcript: str, mode: Mode) -> None:
    play(transcript, machine(letter=LETTER, xclient=False, extended=False), mode)
    play(transcript, machine(letter=LETTER, xclient=False, extended=False, auth=True), mode)


def actions(upstream: SmtpUpstream, replies: list[bytes]) -> list[str]:
    effects = [effect for reply in replies for effect in upstream.receive(reply)]
    return [effect.action for effect in effects if isinstance(effect, Send | Failed)]


OK = [b"220 hi\r\n", *([b"250 ok\r\n"] * 5)]


def test_what_the_log_says_we_do() -> None:
    assert actions(machine(letter=LETTER), OK) == [
        "sending HELO/EHLO to upstream",
        "sending XCLIENT to upstream",
        "sending client HELO/EHLO to upstream",
        "sending MAIL FROM to upstream",
        "sending RCPT TO to upstream",
    ]
    assert actions(machine(auth=True, xclient=False), OK)[1:] == ["sending AUTH to upstream"]


def test_no_password() -> None:
    upstream = machine(auth=True, xclient=False, account=Account(b"user", None, proven=True))
    upstream.receive(b"220 hi\r\n")
    assert upstream.receive(b"250 ok\r\n") == [Failed("no password available", action="sending AUTH to upstream")]
    assert upstream.receive(b"250 ok\r\n") == []


def test_an_empty_password_is_one() -> None:
    upstream = machine(auth=True, xclient=False, account=Account(b"user", b"", proven=True))
    upstream.receive(b"220 hi\r\n")
    (effect,) = upstream.receive(b"250 ok\r\n")
    assert isinstance(effect, Send)
    assert effect.data == b"AUTH PLAIN AHVzZXIA\r\n"


def test_an_empty_name_is_no_login() -> None:
    upstream = machine(account=Account(b"", None, proven=True))
    upstream.receive(b"220 hi\r\n")
    (effect,) = upstream.receive(b"250 ok\r\n")
    assert isinstance(effect, Send)
    assert effect.data == b"XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]\r\n"


def test_what_follows_is_for_the_relay() -> None:
    upstream = machine(xclient=False)
    upstream.receive(b"220 hi\r\n")
    assert upstream.receive(b"250 ok\r\n421 ") == [LoggedIn(LOGGED_IN)]
    assert upstream.receive(b"bye\r\n") == []
    assert upstream.rest() == b"421 bye\r\n"
    assert upstream.rest() == b""


def test_the_password_is_forgotten() -> None:
    upstream = machine(auth=True, xclient=False)
    upstream.receive(b"220 hi\r\n250 ok\r\n")
    assert upstream._todo == []
    upstream = machine(auth=True)
    upstream.receive(b"554 no\r\n")
    assert upstream._todo == []


def test_it_is_told_nothing() -> None:
    assert machine().tell(TlsReady()) == []


WORDS = [
    b"220 hi\r\n",
    b"250 ok\r\n",
    b"250-",
    b"250 ",
    b"235 ok\r\n",
    b"535 no\r\n",
    b"22",
    b"\r\n",
    b"\n",
    b"\r",
    b"text",
    b"-",
    b"x" * 60,
]


@given(
    stream=st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=30).map(b"".join),
    begun=st.integers(0, 4),
    xclient=st.booleans(),
    auth=st.booleans(),
    letter=st.sampled_from([None, LETTER]),
    cuts=st.lists(st.integers(0, 300), max_size=10),
)
def test_any_bytes_in_any_cuts(
    stream: bytes,
    begun: int,
    xclient: bool,
    auth: bool,
    letter: tuple[bytes, bytes] | None,
    cuts: list[int],
) -> None:
    stream = b"".join(OK[:begun]) + stream

    def outcome(pieces: list[bytes]) -> tuple[list[Effect], bytes]:
        upstream = machine(xclient=xclient, auth=auth, letter=letter)
        effects: list[Effect] = []
        for piece in pieces:
            effects += upstream.receive(piece)
            over = bool(effects) and not isinstance(effects[-1], Send)
            assert over or len(upstream._input) + len(upstream._reply) < REPLY_BYTES
        return effects, upstream.rest()

    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    effects, rest = outcome([stream])
    assert outcome([stream[a:b] for a, b in pairwise(places)]) == (effects, rest)
    assert outcome([stream[i : i + 1] for i in range(len(stream))]) == (effects, rest)
    assert all(isinstance(effect, Send) for effect in effects[:-1])
    for effect in effects:
        if isinstance(effect, LoggedIn):
            assert stream.endswith(rest)
            assert effect.reply == LOGGED_IN or letter
        elif isinstance(effect, Declined):
            assert effect.text in effect.reply
            assert rest == b""
