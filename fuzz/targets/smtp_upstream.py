"""SMTP, as the server behind us speaks it."""

from collections.abc import Iterator

from fuzz.target import Choices, Target
from fuzz.transcripts import inputs
from fuzz.upstreams import Login
from gatepost.protocol.events import Account, LoggedIn
from gatepost.protocol.smtp.upstream import Route, SmtpUpstream, Visit, steps
from tests.protocol.smtp import test_upstream

NAMES = (b"mail.example", b"\xc3\xa4.example")
USERS = (b"us er+=", b"", b"user\r\nRSET", b"us\0er", b"\xff")
LETTERS = (None, (b"MAIL FROM:<a@b> SIZE=1", b"RCPT TO:<c@d>"))
LOGGED_IN = b"235 2.0.0 OK\r\n"
PASSWORD = b"pass\xffword"
REPLY_BYTES = 200


def run(data: bytes) -> None:
    choices = Choices(data)
    letter = LETTERS[choices.number(2)]
    route = Route(NAMES[choices.number(2)], choices.flag(), choices.flag())
    extended = choices.flag()
    helo = (b"me", b"")[choices.number(2)]
    password = (PASSWORD, None)[choices.number(2)]
    who = Account(USERS[choices.number(len(USERS))], password, proven=choices.flag())
    seed = choices.number(256)
    visit = Visit(b"IPV6:2001:db8::1", b"[UNAVAILABLE]", helo, extended, letter)
    todo = steps(route, visit, who)
    script = [step.command for step in todo if step.command is not None]
    for command in script:
        assert command.endswith(b"\r\n")
        assert not set(command[:-2]) & set(b"\r\n\0")
    words = None if letter else LOGGED_IN
    secrets = [command for command in script if command.startswith(b"AUTH")]
    login = Login(lambda: SmtpUpstream(todo, words, REPLY_BYTES), script, REPLY_BYTES, secrets)
    end = login.check(choices.rest(), seed)
    if isinstance(end, LoggedIn):
        assert (end.reply == LOGGED_IN) != bool(letter)


def seeds() -> Iterator[bytes]:
    for name, transcripts in vars(test_upstream).items():
        if (
            isinstance(transcripts, dict)
            and name.isupper()
            and all(isinstance(v, str) for v in transcripts.values())
        ):
            for head in (
                (0, 0, 1, 0, 1, 0, 0, 0, 1, 7),
                (1, 0, 1, 1, 1, 0, 0, 0, 1, 7),
                (0, 0, 0, 1, 0, 1, 0, 0, 0, 7),
            ):
                yield from inputs(transcripts, bytes(head))


TARGET = Target(
    "smtp_upstream",
    run,
    words=(
        *(b"220 hi\r\n", b"220-hi\r\n", b"250 ok\r\n", b"250-ok\r\n", b"250\n", b"235 2.7.0 ok\r\n", b"334 \r\n"),
        *(b"421 bye\r\n", b"500 what\r\n", b"535 5.7.8 no\r\n", b"550 no\r\n", b"354 go\r\n"),
        *(b"\r\n", b"\n", b"\r", b"\0", b"-", b" ", b"x" * 30),
    ),
    seeds=seeds,
)
