"""The client machine: transcripts, and what must hold for any bytes in any cuts."""

from itertools import count, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import from_literal
from gatepost.config.build import defaults
from gatepost.log import Level
from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    BackendRefused,
    ClientNamed,
    Close,
    Effect,
    Note,
    ResolveClient,
    Send,
    StartTls,
    Wake,
    Woke,
)
from gatepost.protocol.rules import CommonRules
from gatepost.protocol.smtp.client import SmtpClient
from gatepost.protocol.smtp.service import rules
from gatepost.protocol.smtp.settings import SmtpSettings
from tests.transcript import Mode, cases, joined, play

from .client_transcripts import ALL, GROUPS, Settings

GREETING = b"220 mail.example ESMTP ready\r\n"
TOO_EARLY = b"503 5.5.0 Improper use of SMTP command pipelining\r\n"


def fresh(settings: Settings = Settings()) -> SmtpClient:  # noqa: B008 - frozen
    """A client machine that nobody has greeted, and whose challenges are ``<1.2@host>``, ``<2.2@host>``..."""
    numbers = count(1)
    directives = defaults(
        SmtpSettings,
        smtp_auth=settings.auth,
        smtp_capabilities=settings.capabilities,
        smtp_client_buffer=settings.buffer,
        smtp_greeting_delay=settings.delay,
    )
    common = CommonRules(
        starttls=settings.starttls,
        max_errors=settings.max_errors,
        proxy_buffer=4096,
        challenge=lambda: b"<%d.2@host>" % next(numbers),
    )
    address = from_literal("192.0.2.1", 4711)
    return SmtpClient(rules(directives, common, b"mail.example"), tls=settings.tls, address=address)


def machine(settings: Settings = Settings()) -> SmtpClient:  # noqa: B008 - frozen
    """A client machine that has greeted a client called ``h``."""
    client = fresh(settings)
    assert client.start() == [ResolveClient()]
    assert client.tell(ClientNamed(b"h")) == [Send(GREETING)]
    return client


@pytest.mark.parametrize(
    ("transcript", "mode", "settings"),
    [
        case
        for name, group in GROUPS.items()
        for case in cases(group.transcripts, group.settings, prefix=f"{name}: ")
    ],
)
def test_transcript(transcript: str, mode: Mode, settings: Settings) -> None:
    play(transcript, machine(settings), mode)


class TestGreeting:
    """From the first byte to the greeting."""

    def test_what_comes_during_the_look_up_is_obeyed_after_it(self) -> None:
        client = fresh()
        client.start()
        assert client.receive(b"NOOP\r\nQU") == []
        assert joined(client.tell(ClientNamed(b"h"))) == [Send(GREETING + b"250 2.0.0 OK\r\n")]
        assert client.receive(b"IT\r\n") == [Send(b"221 2.0.0 Bye\r\n"), Close()]

    def test_a_delay(self) -> None:
        client = fresh(Settings(delay=1.5))
        client.start()
        assert client.tell(ClientNamed(b"h")) == [Wake(1.5, "in delay pipelining state")]
        assert client.tell(Woke()) == [Send(GREETING)]
        assert client.receive(b"NOOP\r\n") == [Send(b"250 2.0.0 OK\r\n")]

    @pytest.mark.parametrize(
        ("data", "shown"),
        [
            (b"EHLO me\r\n", "EHLO me__"),
            (b"EHLO me\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n", "EHLO me__"),
            (b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "AUTH PLAIN..."),
            (b"auth AHVzZXIAcGFzcw==\r\n", "auth..."),
            (b"AUTH", "AUTH..."),
            (b"E", "E"),
            (b"\x16\x03\x01\x02", r"\x16\x03\x01\x02"),
            (b'"\xff\r', r"\x22\xFF_"),
        ],
    )
    def test_whoever_speaks_in_the_delay_is_rejected(self, data: bytes, shown: str) -> None:
        client = fresh(Settings(delay=1))
        client.start()
        client.tell(ClientNamed(b"h"))
        assert client.receive(data) == [
            Note(Level.INFO, f'client was rejected before greeting: "{shown}"'),
            Send(TOO_EARLY),
            Close(),
        ]
        assert client.receive(b"NOOP\r\n") == []

    def test_whoever_spoke_during_the_look_up_is_rejected_at_once(self) -> None:
        client = fresh(Settings(delay=1, buffer=10))
        client.start()
        assert client.receive(b"E" * 50) == []
        assert client.tell(ClientNamed(b"h")) == [
            Note(Level.INFO, f'client was rejected before greeting: "{"E" * 10}"'),
            Send(TOO_EARLY),
            Close(),
        ]


class TestHandingOver:
    """From the login, or the first recipient, to the relay."""

    def test_input_behind_the_login_is_for_the_relay(self) -> None:
        client = machine()
        (effect,) = client.receive(b"AUTH PLAIN AHVzZXIAcGFzcw==\r\nMAIL FROM:<a@b>\r\nRC")
        assert isinstance(effect, Authenticate)
        assert client.receive(b"PT TO:<c@d>\r\n") == []
        assert client.rest() == b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
        assert client.rest() == b""

    def said_upstream(self, client: SmtpClient, account: Account) -> list[bytes]:
        """The commands that the machine for the backend says when it always hears what it likes."""
        upstream = client.upstream(account)
        said: list[bytes] = []
        for reply in (b"220 hi\r\n", *(b"250 ok\r\n",) * 5):
            said += [effect.data for effect in upstream.receive(reply) if isinstance(effect, Send)]
        return said

    def test_the_backend_is_told_who_it_is(self) -> None:
        client = machine()
        client.receive(b"EHLO me\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n")
        assert self.said_upstream(client, Account(b"other", None, proven=True)) == [
            b"EHLO mail.example\r\n",
            b"XCLIENT ADDR=192.0.2.1 LOGIN=other NAME=h\r\n",
            b"EHLO me\r\n",
        ]

    def test_the_last_greeting_counts(self) -> None:
        client = machine()
        client.receive(b"EHLO me\r\nHELO you\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n")
        assert self.said_upstream(client, Account(b"u", None, proven=True))[2:] == [b"HELO you\r\n"]

    def test_a_letter_without_a_login(self) -> None:
        client = machine(Settings(auth=("none",)))
        client.receive(b"HELO me\r\nMAIL FROM:<a@b>  X\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        assert self.said_upstream(client, Account(b"", None, proven=True)) == [
            b"EHLO mail.example\r\n",
            b"XCLIENT ADDR=192.0.2.1 NAME=h\r\n",
            b"HELO me\r\n",
            b"MAIL FROM:<a@b>  X\r\n",
            b"RCPT TO:<c@d>\r\n",
        ]
        assert client.rest() == b"DATA\r\n"

    def test_a_login_behind_a_mail(self) -> None:
        client = machine(Settings(auth=("none",)))
        client.receive(b"MAIL FROM:<a@b>\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n")
        assert self.said_upstream(client, Account(b"u", None, proven=True)) == [
            b"EHLO mail.example\r\n",
            b"XCLIENT ADDR=192.0.2.1 LOGIN=u NAME=h\r\n",
        ]

    def test_a_login_behind_a_recipient_that_was_refused(self) -> None:
        client = machine(Settings(auth=("none",)))
        client.receive(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        client.tell(AuthRefused(b"no", final=False))
        client.receive(b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n")
        said = self.said_upstream(client, Account(b"u", None, proven=True))
        assert [line for line in said if line.startswith((b"MAIL", b"RCPT"))] == []

    def test_there_is_no_upstream_for_a_client_that_did_not_ask(self) -> None:
        with pytest.raises(AssertionError):
            machine().upstream(Account(b"u", b"p", proven=True))


SECRET = b"hunter2hunter2"


@pytest.mark.parametrize(
    "command",
    [
        b"AUTH PLAIN " + SECRET,
        b"AUTH " + SECRET,
        b"AUTH LOGIN\r\n" + SECRET,
        b"AUTH LOGIN am9l\r\n" + SECRET,
        b"PASS " + SECRET,
        SECRET + b" ",
        SECRET,
    ],
)
def test_no_secret_is_logged_of_a_command_that_is_too_long(command: bytes) -> None:
    effects = machine(Settings(buffer=100)).receive(command + b"x" * 100)
    notes = [effect for effect in effects if isinstance(effect, Note)]
    assert len(notes) == 1
    assert effects[-1] == Close()
    assert "hunter" not in notes[0].text


@pytest.mark.parametrize(
    "command",
    [
        b"AUTH hunter2",
        b"AUTH PLAIN hunter2*",
        b"AUTH PLAIN\r\nhunter2",
        b"AUTH PLAIN hunter2 x",
        b"MAIL FROM:<a@b>\r\nAUTH PLAIN hunter2",
        b"hunter2\r\n" * 5,
    ],
)
def test_no_secret_is_logged_of_a_command_that_is_refused(command: bytes) -> None:
    for effect in machine().receive(command + b"\r\n"):
        assert not isinstance(effect, Note) or "hunter" not in effect.text


class Outcome(NamedTuple):
    effects: list[Effect]
    closed: bool


WORDS = [
    b"EHLO ",
    b"HELO me\r\n",
    b"NOOP",
    b"AUTH ",
    b"PLAIN",
    b"LOGIN",
    b"CRAM-MD5",
    b"EXTERNAL",
    b"STARTTLS",
    b"MAIL FROM:<a@b>",
    b"RCPT TO:<c@d>",
    b"RSET",
    b"QUIT",
    b"DATA",
    b"AGpvZQBzZWNyZXQ=",
    b"am9l",
    b"AG9rAABhCg==",
    b"*",
    b"=",
    b" ",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\t",
    b"x" * 30,
    b" 1 2 3 4 5 6 7 8 9 10 11",
    b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n",
    b"AUTH LOGIN\r\nam9l\r\n",
    b"AUTH CRAM-MD5\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"RCPT TO:<c@d>\r\n",
]
streams = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=40).map(b"".join)
settings_of_any_kind = st.builds(
    Settings,
    starttls=st.sampled_from(["off", "on", "only"]),
    tls=st.booleans(),
    auth=st.sampled_from([("plain",), ALL, (*ALL, "none"), ("none",)]),
    buffer=st.sampled_from([0, 1, 20, 64, 4096]),
    max_errors=st.sampled_from([1, 3, 100]),
)
refusals = st.lists(st.sampled_from([AuthRefused(b"no", final=False), BackendRefused(b"535 no\r\n")]), max_size=3)


def drive(
    client: SmtpClient, pieces: list[bytes], answers: list[AuthRefused | BackendRefused], limit: int
) -> Outcome:
    """Feed ``pieces``; every login is answered, the last ones for good. Checks each step on the way."""
    remaining = list(answers)
    out: list[Effect] = []
    for piece in pieces:
        effects = client.receive(piece)
        while effects:
            for effect in effects[:-1]:
                assert isinstance(effect, Send | Note)
            out += effects
            last = effects[-1]
            effects = []
            if isinstance(last, Authenticate):
                credentials = last.credentials
                told = b"".join(value for _, value in last.extra)
                assert not set(credentials.user + credentials.secret + told) & set(b"\r\n\0")
                upstream = client.upstream(Account(credentials.user, credentials.secret, proven=False))
                for reply in (b"220 hi\r\n", *(b"250 ok\r\n",) * 5):
                    for effect in upstream.receive(reply):
                        if isinstance(effect, Send):
                            assert effect.data.endswith(b"\r\n")
                            assert not set(effect.data[:-2]) & set(b"\r\n\0")
                effects = client.tell(remaining.pop(0) if remaining else AuthRefused(b"no", final=True))
        assert len(client._input) <= limit
    for effect in out:
        assert not isinstance(effect, Send) or effect.data.endswith(b"\r\n")
    return Outcome(joined(out), Close() in out)


@given(
    stream=streams, settings=settings_of_any_kind, answers=refusals, cuts=st.lists(st.integers(0, 400), max_size=12)
)
def test_any_bytes_in_any_cuts(
    stream: bytes, settings: Settings, answers: list[AuthRefused | BackendRefused], cuts: list[int]
) -> None:
    def outcome(pieces: list[bytes]) -> Outcome:
        return drive(machine(settings), pieces, answers, settings.buffer)

    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    whole = outcome([stream])
    assert outcome([stream[a:b] for a, b in pairwise(places)]) == whole
    assert outcome([stream[i : i + 1] for i in range(len(stream))]) == whole
    assert whole.effects.count(Close()) == whole.closed
    for effect in (Close(), StartTls()):
        assert effect not in whole.effects[:-1]


@given(data=st.binary(min_size=1, max_size=200), named=st.booleans())
def test_noise_does_no_harm(data: bytes, named: bool) -> None:
    greeted = machine(Settings(buffer=50))
    for effect in greeted.receive(data):
        assert isinstance(effect, Send | Note | Close)
    waiting = fresh(Settings(buffer=50, delay=1))
    waiting.start()
    effects: list[Effect] = []
    if named:
        waiting.tell(ClientNamed(b"h"))
        effects = waiting.receive(data)
    else:
        assert waiting.receive(data) == []
        effects = waiting.tell(ClientNamed(b"h"))
    assert effects[1:] == [Send(TOO_EARLY), Close()]
