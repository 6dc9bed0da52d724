"""The client machine: transcripts, and what must hold for any bytes in any cuts."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.build import defaults
from gatepost.protocol.events import Account, Authenticate, AuthRefused, BackendRefused, Close, Note, Send
from gatepost.protocol.pop3.client import Pop3Client
from gatepost.protocol.pop3.service import MAX_LINE_BYTES, rules
from gatepost.protocol.pop3.settings import Pop3Settings
from gatepost.protocol.rules import CommonRules
from gatepost.sasl.mechanism import Credentials
from tests.protocol.any_cuts import Refusal, client_in_any_cuts
from tests.transcript import Mode, cases, play

from .client_transcripts import ALL, GROUPS, Settings


def machine(settings: Settings = Settings()) -> Pop3Client:  # noqa: B008 - frozen
    """A client machine whose challenges are ``<1.2@host>``, ``<2.2@host>`` and so on."""
    numbers = count(1)
    common = CommonRules(
        starttls=settings.starttls,
        max_errors=settings.max_errors,
        proxy_buffer=4096,
        challenge=lambda: b"<%d.2@host>" % next(numbers),
    )
    own = defaults(Pop3Settings, pop3_auth=settings.auth, pop3_capabilities=settings.capabilities)
    return Pop3Client(rules(own, common), tls=settings.tls)


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


@pytest.mark.parametrize(
    ("auth", "greeting"),
    [
        (("plain",), b"+OK POP3 ready\r\n"),
        (("external", "plain"), b"+OK POP3 ready\r\n"),
        (("apop",), b"+OK POP3 ready <1.2@host>\r\n"),
        (("plain", "cram-md5"), b"+OK POP3 ready <1.2@host>\r\n"),
    ],
)
def test_greeting(auth: tuple[str, ...], greeting: bytes) -> None:
    assert machine(Settings(auth=auth)).start() == [Send(greeting)]


def test_each_session_greets_with_a_challenge_of_its_own() -> None:
    settings = Settings(auth=("apop",))
    service_rules = machine(settings)._rules
    assert Pop3Client(service_rules, tls=False).start() != Pop3Client(service_rules, tls=False).start()


def test_input_behind_the_login_is_for_the_relay() -> None:
    client = machine()
    assert client.receive(b"USER u\r\nPASS p\r\nSTAT\r\nRETR") == [
        Send(b"+OK\r\n"),
        Authenticate(Credentials("plain", b"u", b"p", cleartext=True)),
    ]
    assert client.receive(b" 1\r\n") == []
    assert client.rest() == b"STAT\r\nRETR 1\r\n"


def test_the_upstream_machine_logs_the_account_in() -> None:
    client = machine()
    client.receive(b"AUTH PLAIN AHUAcA==\r\n")
    upstream = client.upstream(Account(b"other", b"pw", proven=True))
    assert upstream.receive(b"+OK hi\r\n") == [Send(b"USER other\r\n", "sending user name to upstream")]


def test_there_is_no_upstream_for_a_client_that_did_not_ask() -> None:
    with pytest.raises(AssertionError):
        machine().upstream(Account(b"u", b"p", proven=True))


SECRET = b"hunter2hunter2"


@pytest.mark.parametrize(
    "command",
    [
        b"PASS " + SECRET,
        b"USER joe\r\nPASS " + SECRET,
        b"APOP joe " + SECRET,
        b"AUTH PLAIN " + SECRET,
        b"AUTH " + SECRET,
        b"AUTH LOGIN am9l\r\n" + SECRET,
        b"PASX " + SECRET,
        SECRET[:4] + b" ",
        SECRET + b" ",
        SECRET,
    ],
)
def test_no_secret_is_logged_of_a_command_that_is_too_long(command: bytes) -> None:
    effects = machine().receive(command + b"x" * MAX_LINE_BYTES)
    (note,) = [effect for effect in effects if isinstance(effect, Note)]
    assert effects[-1] == Close()
    assert "hunt" not in note.text


@pytest.mark.parametrize(
    "command",
    [
        b"PASS hunter2",
        b"USER joe\r\nPASS hunter2\0",
        b"APOP joe hunter2",
        b"AUTH hunter2",
        b"AUTH PLAIN hunter2*",
        b"AUTH PLAIN\r\nhunter2",
        b"hunter2\r\n" * 5,
    ],
)
def test_no_secret_is_logged_of_a_command_that_is_refused(command: bytes) -> None:
    for effect in machine(Settings(auth=ALL)).receive(command + b"\r\n"):
        assert not isinstance(effect, Note) or "hunter" not in effect.text


WORDS = [
    b"USER ",
    b"PASS ",
    b"APOP ",
    b"AUTH ",
    b"CAPA",
    b"STLS",
    b"NOOP",
    b"QUIT",
    b"PLAIN",
    b"LOGIN",
    b"CRAM-MD5",
    b"EXTERNAL",
    b" ",
    b"joe",
    b"AGpvZQBzZWNyZXQ=",
    b"am9l",
    b"*",
    b"=",
    b"c4c9334bac560ecc979e58001b3e22fb",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"x" * 2000,
    b"USER joe\r\nPASS secret\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN am9l\r\n",
    b"AUTH CRAM-MD5\r\n",
    b"NOOP\r\n",
]
streams = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=40).map(b"".join)
settings_of_any_kind = st.builds(
    Settings,
    starttls=st.sampled_from(["off", "on", "only"]),
    tls=st.booleans(),
    auth=st.sampled_from([("plain",), ALL]),
    max_errors=st.sampled_from([1, 3, 100]),
)


refusals = st.lists(st.sampled_from([AuthRefused(b"no", final=False), BackendRefused(b"-ERR no\r\n")]), max_size=3)


@given(
    stream=streams, settings=settings_of_any_kind, answers=refusals, cuts=st.lists(st.integers(0, 400), max_size=12)
)
def test_any_bytes_in_any_cuts(stream: bytes, settings: Settings, answers: list[Refusal], cuts: list[int]) -> None:
    client_in_any_cuts(lambda: machine(settings), stream, cuts, answers, MAX_LINE_BYTES)


@given(data=st.binary(max_size=200))
def test_noise_does_no_harm(data: bytes) -> None:
    for effect in machine().receive(data):
        assert isinstance(effect, Send | Note | Close)
