"""POP3, as a client speaks it before login."""

from collections.abc import Iterator
from functools import cache

from fuzz.clients import REFUSALS, Game
from fuzz.target import Choices, Target, padded
from fuzz.transcripts import inputs
from fuzz.upstreams import log_in
from gatepost.config.build import defaults
from gatepost.protocol.events import Account
from gatepost.protocol.machine import UpstreamMachine
from gatepost.protocol.pop3.client import Pop3Client, Pop3Rules
from gatepost.protocol.pop3.service import MAX_LINE_BYTES, rules
from gatepost.protocol.pop3.settings import Pop3Settings
from gatepost.protocol.rules import CommonRules
from tests.protocol.pop3.client_transcripts import GROUPS

STARTTLS = ("off", "on", "only")
AUTH = (("plain", "apop", "cram-md5", "external"), ("plain",), ("apop",))
ERRORS = (5, 1, 100)


def run(data: bytes) -> None:
    choices = Choices(data)
    starttls = STARTTLS[choices.number(3)]
    tls = choices.flag()
    auth = AUTH[choices.number(3)]
    errors = ERRORS[choices.number(3)]
    answers = [REFUSALS[choices.number(len(REFUSALS))] for _ in range(2)]
    seed = choices.number(256)
    made = of_server(starttls, auth, errors)
    stream = padded(choices.rest(), MAX_LINE_BYTES - 20)
    Game("pop3", lambda: Pop3Client(made, tls=tls), MAX_LINE_BYTES, answers, behave).check(stream, seed)


@cache
def of_server(starttls: str, auth: tuple[str, ...], errors: int) -> Pop3Rules:
    common = CommonRules(
        starttls=starttls, max_errors=errors, proxy_buffer=4096, challenge=lambda: b"<1.2@mail.example>"
    )
    return rules(defaults(Pop3Settings, pop3_auth=auth), common)


def behave(upstream: UpstreamMachine, account: Account) -> None:
    """A backend that says what it should hears two commands."""
    said = log_in(upstream, (b"+OK hi\r\n", b"+OK\r\n"))
    assert said == [b"USER %b\r\n" % account.user, b"PASS %b\r\n" % (account.password or b"")]


def seeds() -> Iterator[bytes]:
    for group in GROUPS.values():
        chosen = group.settings
        head = bytes(
            (
                STARTTLS.index(chosen.starttls),
                chosen.tls,
                AUTH.index(chosen.auth),
                {5: 0, 1: 1, 0: 1, 100: 2}[chosen.max_errors],
                0,
                4,
                7,
            )
        )
        for stream in inputs(group.transcripts, head):
            yield stream.replace(b"x" * 4000, b"~x~")


TARGET = Target(
    "pop3_client",
    run,
    words=(
        *(b"USER ", b"PASS ", b"APOP ", b"AUTH ", b"CAPA", b"STLS", b"NOOP", b"QUIT"),
        *(b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL", b"AGpvZQBzZWNyZXQ=", b"am9l", b"am9lIDAx", b"*", b"="),
        *(b"0123456789abcdef0123456789ABCDEF", b"joe", b" pass word "),
        *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"~~", b"~x~"),
        *(b"USER joe\r\n", b"PASS secret\r\n", b"AUTH PLAIN\r\n", b"STLS\r\n", b"AUTH LOGIN am9l\r\n"),
    ),
    seeds=seeds,
)
