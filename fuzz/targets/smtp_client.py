"""SMTP, as a client speaks it before login, greeting delay and mail without a login included."""

from collections.abc import Iterator
from functools import cache

from fuzz.clients import CLIENT_IP, REFUSALS, Game
from fuzz.target import CURTAIN, Choices, Target
from fuzz.transcripts import inputs
from fuzz.upstreams import log_in
from gatepost.address import from_literal
from gatepost.config.build import defaults
from gatepost.protocol.events import Account
from gatepost.protocol.machine import UpstreamMachine
from gatepost.protocol.rules import CommonRules
from gatepost.protocol.smtp.client import SmtpClient, SmtpRules
from gatepost.protocol.smtp.service import rules
from gatepost.protocol.smtp.settings import SmtpSettings
from tests.protocol.smtp.client_transcripts import GROUPS

STARTTLS = ("off", "on", "only")
BUFFERS = (4096, 64, 20, 1, 0)
AUTH = (
    ("plain", "login", "cram-md5", "external", "none"),
    ("plain", "login", "cram-md5", "external"),
    ("plain", "login"),
    ("plain", "login", "none"),
    ("none",),
)
ERRORS = (5, 1, 100)
VERBS = frozenset((b"EHLO", b"HELO", b"XCLIENT", b"AUTH", b"MAIL", b"RCPT"))


def run(data: bytes) -> None:
    choices = Choices(data)
    starttls = STARTTLS[choices.number(3)]
    tls = choices.flag()
    buffer = BUFFERS[choices.number(len(BUFFERS))]
    auth = AUTH[choices.number(len(AUTH))]
    errors = ERRORS[choices.number(3)]
    delay = choices.number(2)
    xclient = choices.flag()
    answers = [REFUSALS[choices.number(len(REFUSALS))] for _ in range(2)]
    seed = choices.number(256)
    made = of_server(starttls, buffer, auth, errors, delay, not xclient)
    address = from_literal(CLIENT_IP, 40000)
    Game("smtp", lambda: SmtpClient(made, tls=tls, address=address), buffer, answers, behave).check(
        choices.rest(), seed
    )


@cache
def of_server(
    starttls: str, buffer: int, auth: tuple[str, ...], errors: int, delay: int, xclient: bool
) -> SmtpRules:
    common = CommonRules(
        starttls=starttls, max_errors=errors, proxy_buffer=4096, challenge=lambda: b"<1.2@mail.example>"
    )
    settings = defaults(
        SmtpSettings, smtp_auth=auth, smtp_client_buffer=buffer, smtp_greeting_delay=delay, xclient=xclient
    )
    return rules(settings, common, b"mail.example")


def behave(upstream: UpstreamMachine, _account: Account) -> None:
    """A backend that agrees to everything hears whole lines, each of which begins with a word of ours."""
    for line in log_in(upstream, (b"220 hi\r\n", *(b"250 ok\r\n",) * 3, b"235 ok\r\n", b"250 ok\r\n")):
        assert line.endswith(b"\r\n")
        assert not set(line[:-2]) & set(b"\r\n\0")
        assert line[:-2].split(b" ")[0].upper() in VERBS


def seeds() -> Iterator[bytes]:
    for group in GROUPS.values():
        chosen = group.settings
        head = bytes(
            (
                STARTTLS.index(chosen.starttls),
                chosen.tls,
                BUFFERS.index(chosen.buffer),
                AUTH.index(chosen.auth),
                {5: 0, 1: 1, 0: 1, 100: 2}[chosen.max_errors],
                0,
                0,
                0,
                4,
                7,
            )
        )
        yield from inputs(group.transcripts, head + CURTAIN)
    for said in (b"~~EHLO me\r\n", b"~~~~EHLO me\r\n", b"EHLO me\r\n~~"):
        yield bytes((0, 0, 0, 0, 0, 1, 0, 0, 4, 7)) + said


TARGET = Target(
    "smtp_client",
    run,
    words=(
        *(b"EHLO ", b"HELO me\r\n", b"NOOP", b"AUTH ", b"STARTTLS", b"RSET", b"QUIT", b"DATA", b"BDAT 9 LAST"),
        *(b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL", b"AGpvZQBzZWNyZXQ=", b"am9l", b"am9lIDAx", b"*", b"="),
        *(b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b" 1 2 3 4 5 6 7 8 9 10 11", b"x" * 30),
        *(b"\r\n", b"\n", b"\r", b"\0", b"\t", b" ", b"~~"),
        *(b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", b"AUTH LOGIN\r\nam9l\r\n", b"STARTTLS\r\n"),
        *(b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n"),
    ),
    seeds=seeds,
)
