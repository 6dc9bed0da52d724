"""POP3, as the server behind us speaks it; and names and passwords as an authentication service may give them."""

from collections.abc import Iterator

from fuzz.target import Choices, Target
from fuzz.transcripts import inputs
from fuzz.upstreams import Login, account
from gatepost.protocol.events import LoggedIn
from gatepost.protocol.pop3.upstream import Pop3Upstream
from tests.protocol.pop3.test_upstream import TRANSCRIPTS

USERS = (b"user", b"", b"us er", b"user\r\nDELE 1", b"user\nDELE 1", b"us\0er", b"x" * 300)
PASSWORDS = (b"pa ss", b"", b"+OK", b"pw\r\nDELE 1", b"pw\rDELE 1", b"p\0w", b"y" * 300)
REPLY_BYTES = 100


def run(data: bytes) -> None:
    choices = Choices(data)
    user = USERS[choices.number(len(USERS))]
    password = PASSWORDS[choices.number(len(PASSWORDS))]
    seed = choices.number(256)
    harmful = set(user + password) & set(b"\r\n\0")
    script = () if harmful else (b"USER %b\r\n" % user, b"PASS %b\r\n" % password)
    login = Login(lambda: Pop3Upstream(account(user, password), REPLY_BYTES), script, REPLY_BYTES, [password])
    end = login.check(choices.rest(), seed)
    if isinstance(end, LoggedIn):
        assert not harmful
        assert end.reply.startswith(b"+OK")
        assert end.reply.count(b"\n") == 1


def seeds() -> Iterator[bytes]:
    for user, password in ((0, 0), (3, 0), (0, 3)):
        yield from inputs(TRANSCRIPTS, bytes((user, password, 7)))


TARGET = Target(
    "pop3_upstream",
    run,
    words=(
        b"+OK hi\r\n",
        b"+OK\r\n",
        b"+OK",
        b"-ERR no\r\n",
        b"-ERR",
        b"+ ",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"x" * 30,
    ),
    seeds=seeds,
)
