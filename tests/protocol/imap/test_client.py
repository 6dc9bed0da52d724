"""The client machine: transcripts, and what must hold for any bytes in any cuts."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.build import defaults
from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    BackendRefused,
    Close,
    Note,
    Send,
)
from gatepost.protocol.imap.client import ImapClient
from gatepost.protocol.imap.service import rules
from gatepost.protocol.imap.settings import ImapSettings
from gatepost.protocol.rules import CommonRules
from gatepost.sasl.mechanism import Credentials
from tests.protocol.any_cuts import Refusal, client_in_any_cuts
from tests.transcript import Mode, cases, play

from .client_transcripts import ALL, GROUPS, Settings


def machine(settings: Settings = Settings()) -> ImapClient:  # noqa: B008 - frozen
    """A client machine whose challenges are ``<1.2@host>``, ``<2.2@host>`` and so on."""
    numbers = count(1)
    return ImapClient(
        rules(
            defaults(ImapSettings, imap_auth=settings.auth, imap_client_buffer=settings.buffer),
            CommonRules(
                starttls=settings.starttls,
                max_errors=settings.max_errors,
                proxy_buffer=4096,
                challenge=lambda: b"<%d.2@host>" % next(numbers),
            ),
        ),
        tls=settings.tls,
    )


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


def test_greeting() -> None:
    assert machine().start() == [Send(b"* OK IMAP4 ready\r\n")]


class TestHandingOver:
    """From the login command to the relay."""

    def test_input_behind_the_login_is_for_the_relay(self) -> None:
        client = machine()
        assert client.receive(b"a LOGIN u p\r\nb SELECT x\r\nc FETCH") == [
            Authenticate(Credentials("plain", b"u", b"p", cleartext=True))
        ]
        assert client.receive(b" 1 BODY[]\r\n") == []
        assert client.rest() == b"b SELECT x\r\nc FETCH 1 BODY[]\r\n"
        assert client.rest() == b""

    def test_the_upstream_machine_uses_the_clients_tag(self) -> None:
        client = machine()
        client.receive(b"Tag.1 AUTHENTICATE PLAIN AHUAcA==\r\n")
        upstream = client.upstream(Account(b"other", b"pw", proven=True))
        (effect,) = upstream.receive(b"* OK hi\r\n")
        assert effect == Send(b"Tag.1 LOGIN {5}\r\n", "sending LOGIN command to upstream")

    def test_there_is_no_upstream_for_a_client_that_did_not_ask(self) -> None:
        with pytest.raises(AssertionError):
            machine().upstream(Account(b"u", b"p", proven=True))

    def test_a_refusal_without_a_question_is_a_bug(self) -> None:
        with pytest.raises(AssertionError):
            machine().tell(AuthRefused(b"no", final=False))


SECRET = b"hunter2hunter2"


@pytest.mark.parametrize(
    "command",
    [
        b"a LOGIN joe " + SECRET,
        b'a LOGIN joe "' + SECRET,
        b'a LOGIN "joe""' + SECRET,
        b"a LOGIN joe {1000}\r\n" + SECRET,
        b"a LOGIN joe {1000+}\r\n" + SECRET,
        b"a LOGIN " + SECRET,
        b"a LOGIN {3+}\r\njoe " + SECRET,
        b"a AUTHENTICATE PLAIN " + SECRET,
        b"a AUTHENTICATE " + SECRET,
        b"a AUTHENTICATE PLAIN\r\n" + SECRET,
        b"a AUTHENTICATE LOGIN\r\nam9l\r\n" + SECRET,
        b"a " + SECRET + b" ",
        b"a PASS " + SECRET,
        SECRET + b" ",
        SECRET + b" and ",
        SECRET,
        b'"' + SECRET,
    ],
)
def test_no_secret_is_logged_of_a_command_that_is_too_long(command: bytes) -> None:
    client = machine(Settings(buffer=100))
    effects = client.receive(command + b"x" * 100)
    notes = [effect for effect in effects if isinstance(effect, Note)]
    assert len(notes) == 1
    assert effects[-1] == Close()
    assert "hunter" not in notes[0].text


@pytest.mark.parametrize(
    "command",
    [
        b"a LOGIN hunter2",
        b"a LOGIN hunter2 x y",
        b"a AUTHENTICATE hunter2",
        b"a AUTHENTICATE PLAIN hunter2*",
        b"a AUTHENTICATE PLAIN\r\nhunter2",
        b"a LOGIN hunter2 \0",
        b"a hunter2\r\n" * 5,
    ],
)
def test_no_secret_is_logged_of_a_command_that_is_refused(command: bytes) -> None:
    for effect in machine().receive(command + b"\r\n"):
        assert not isinstance(effect, Note) or "hunter" not in effect.text


WORDS = [
    b"a ",
    b"tag.2 ",
    b" ",
    b"NOOP",
    b"CAPABILITY",
    b"LOGIN ",
    b"LOGOUT",
    b"STARTTLS",
    b"AUTHENTICATE ",
    b"PLAIN",
    b"LOGIN",
    b"CRAM-MD5",
    b"EXTERNAL",
    b"AGpvZQBzZWNyZXQ=",
    b"am9l",
    b"*",
    b"=",
    b"user",
    b'"pa ss"',
    b'"',
    b"\\",
    b"{0}",
    b"{3}",
    b"{3+}",
    b"{+}",
    b"{70}",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"x" * 30,
    b"a LOGIN user pass\r\n",
    b"a LOGIN {4}\r\nuser {4}\r\npass\r\n",
    b"a AUTHENTICATE PLAIN\r\n",
    b"a AUTHENTICATE LOGIN am9l\r\n",
    b"a AUTHENTICATE CRAM-MD5\r\n",
    b"a NOOP\r\n",
]
streams = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=40).map(b"".join)
settings_of_any_kind = st.builds(
    Settings,
    starttls=st.sampled_from(["off", "on", "only"]),
    tls=st.booleans(),
    auth=st.sampled_from([("plain",), ALL]),
    buffer=st.sampled_from([0, 1, 20, 64, 4096]),
    max_errors=st.sampled_from([1, 3, 100]),
)
refusals = st.lists(st.sampled_from([AuthRefused(b"no", final=False), BackendRefused(b"a NO no\r\n")]), max_size=3)


@given(
    stream=streams, settings=settings_of_any_kind, answers=refusals, cuts=st.lists(st.integers(0, 400), max_size=12)
)
def test_any_bytes_in_any_cuts(stream: bytes, settings: Settings, answers: list[Refusal], cuts: list[int]) -> None:
    client_in_any_cuts(lambda: machine(settings), stream, cuts, answers, settings.buffer)


@given(data=st.binary(max_size=200))
def test_noise_does_no_harm(data: bytes) -> None:
    client = machine(Settings(buffer=50))
    for effect in client.receive(data):
        assert isinstance(effect, Send | Note | Close)
