"""IMAP, as a client speaks it before login."""

from collections.abc import Iterator
from functools import cache

from fuzz.clients import REFUSALS, Game
from fuzz.target import Choices, Target
from fuzz.transcripts import inputs
from fuzz.upstreams import log_in
from gatepost.config.build import defaults
from gatepost.protocol.events import Account
from gatepost.protocol.imap.client import ImapClient, ImapRules
from gatepost.protocol.imap.service import rules
from gatepost.protocol.imap.settings import ImapSettings
from gatepost.protocol.machine import UpstreamMachine
from gatepost.protocol.rules import CommonRules
from tests.protocol.imap.client_transcripts import GROUPS

STARTTLS = ("off", "on", "only")
BUFFERS = (4096, 64, 20, 1, 0)
AUTH = (("plain", "login", "cram-md5", "external"), ("plain",))
ERRORS = (5, 1, 100)
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"  # of a tag


def run(data: bytes) -> None:
    choices = Choices(data)
    starttls = STARTTLS[choices.number(3)]
    tls = choices.flag()
    buffer = BUFFERS[choices.number(len(BUFFERS))]
    auth = AUTH[choices.number(2)]
    errors = ERRORS[choices.number(3)]
    answers = [REFUSALS[choices.number(len(REFUSALS))] for _ in range(2)]
    seed = choices.number(256)
    made = of_server(starttls, buffer, auth, errors)
    Game("imap", lambda: ImapClient(made, tls=tls), buffer, answers, behave).check(choices.rest(), seed)


@cache
def of_server(starttls: str, buffer: int, auth: tuple[str, ...], errors: int) -> ImapRules:
    common = CommonRules(
        starttls=starttls, max_errors=errors, proxy_buffer=4096, challenge=lambda: b"<1.2@mail.example>"
    )
    return rules(defaults(ImapSettings, imap_auth=auth, imap_client_buffer=buffer), common)


def behave(upstream: UpstreamMachine, account: Account) -> None:
    """A backend that says what it should hears one command: LOGIN with two literals."""
    said = log_in(upstream, (b"* OK hi\r\n", b"+\r\n", b"+\r\n"))
    user, password = account.user, account.password
    assert password is not None
    tag, verb, size = said[0].split(b" ")
    assert (verb, size) == (b"LOGIN", b"{%d}\r\n" % len(user))
    assert said[1:] == [b"%b {%d}\r\n" % (user, len(password)), password + b"\r\n"]
    assert tag
    assert not tag.translate(None, LETTERS)


def seeds() -> Iterator[bytes]:
    for group in GROUPS.values():
        chosen = group.settings
        head = bytes(
            (
                STARTTLS.index(chosen.starttls),
                chosen.tls,
                BUFFERS.index(chosen.buffer),
                chosen.auth == ("plain",),
                {5: 0, 1: 1, 0: 1, 100: 2}[chosen.max_errors],
                0,
                4,
                7,
            )
        )
        yield from inputs(group.transcripts, head)


TARGET = Target(
    "imap_client",
    run,
    words=(
        *(b"a ", b"tag NOOP", b"CAPABILITY", b"LOGOUT", b"LOGIN ", b"STARTTLS", b"AUTHENTICATE "),
        *(b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL", b"AGpvZQBzZWNyZXQ=", b"am9l", b"am9lIDAx", b"*", b"="),
        *(b'"pa ss"', b'"', b"\\", b"{0}", b"{3}", b"{3+}", b"{+}", b"{70}", b"{99999999999999999999}"),
        *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"~~", b"x" * 30),
        *(b"a LOGIN user pass\r\n", b"a LOGIN {4}\r\nuser {4}\r\npass\r\n", b"a AUTHENTICATE PLAIN\r\n"),
        *(b"a STARTTLS\r\n", b"a AUTHENTICATE LOGIN am9l\r\n"),
    ),
    seeds=seeds,
)
