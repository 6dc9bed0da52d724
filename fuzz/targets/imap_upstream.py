"""IMAP, as the server behind us speaks it."""

from collections.abc import Iterator

from fuzz.target import Choices, Target
from fuzz.transcripts import inputs
from fuzz.upstreams import Login, account
from gatepost.protocol.events import LoggedIn
from gatepost.protocol.imap.upstream import ImapUpstream
from tests.protocol.imap.test_upstream import TRANSCRIPTS

USERS = (b"user", b"", b'us"er', b"{5}", b"x" * 300)
PASSWORDS = (b"pa ss", b"", b"a OK", b"\xff}", b"y" * 300)
TAG = b"a"
REPLY_BYTES = 200


def run(data: bytes) -> None:
    choices = Choices(data)
    user = USERS[choices.number(len(USERS))]
    password = PASSWORDS[choices.number(len(PASSWORDS))]
    seed = choices.number(256)
    script = (
        b"%b LOGIN {%d}\r\n" % (TAG, len(user)),
        b"%b {%d}\r\n" % (user, len(password)),
        password + b"\r\n",
    )
    at_once = b"%b LOGIN {%d+}\r\n%b {%d+}\r\n%b\r\n" % (TAG, len(user), user, len(password), password)
    login = Login(
        lambda: ImapUpstream(TAG, account(user, password), REPLY_BYTES), script, REPLY_BYTES, [password], (at_once,)
    )
    end = login.check(choices.rest(), seed)
    if isinstance(end, LoggedIn):
        assert end.reply.split(b"\n")[-2].upper().startswith(b"A OK")


def seeds() -> Iterator[bytes]:
    yield from inputs(TRANSCRIPTS, bytes((0, 0, 7)))


TARGET = Target(
    "imap_upstream",
    run,
    words=(
        *(b"* OK hi\r\n", b"* OK", b"* NO", b"* BAD", b"* BYE", b"* PREAUTH", b"+ \r\n", b"+\r\n", b"+ go\r\n"),
        *(b"a OK done\r\n", b"a NO no\r\n", b"a BAD", b"b OK", b"* CAPABILITY IMAP4rev1\r\n", b"* LIST {9}\r\n"),
        *(b"{9}\r\n", b"{9+}\r\n", b"{0}\r\n", b"{99999999999999999999}\r\n", b"[CAPABILITY IMAP4rev1]"),
        *(b"* OK [CAPABILITY LITERAL+]\r\n", b"* OK [CAPABILITY IMAP4rev1 LITERAL-] hi\r\n"),
        *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"x" * 30),
    ),
    seeds=seeds,
)
