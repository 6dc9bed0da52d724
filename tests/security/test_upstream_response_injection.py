"""CVE-2021-38371 and its like on our way to a backend: lines behind a reply were taken for later, or passed on.

That way is in the clear, so whoever sits on it can say anything. What is promised: nothing that comes before the
login has succeeded reaches a client as if its server had said it, a yes that comes too early is none where it can
be told, and a refused login leaves nothing behind.
"""

from collections.abc import Callable

import pytest

from tests.functional.auth_service import accept
from tests.functional.line_client import LineClient
from tests.functional.scripted_backend import ScriptedBackend

from .conftest import Edge
from .tongues import IMAP, POP3, SMTP, Tongue


def behind_the_greeting(tongue: Tongue, injected: bytes) -> Callable[[LineClient], None]:
    """A backend that says ``injected`` together with its greeting, and then waits for what never comes."""

    def script(client: LineClient) -> None:
        client.send({"imap": b"* OK hi\r\n", "pop3": b"+OK hi\r\n", "smtp": b"220 hi\r\n"}[tongue.name] + injected)
        while True:
            client.line()

    return script


LAST_WORDS = {
    IMAP: b"* BAD internal server error\r\n",
    POP3: b"-ERR internal server error\r\n",
    SMTP: b"451 4.3.2 Internal server error\r\n",
}


@pytest.mark.parametrize(
    ("tongue", "injected"),
    [
        (IMAP, b"a OK injected\r\n"),
        (IMAP, b"* 1 EXISTS\r\na OK injected\r\n"),
        (IMAP, b"* X {14}\r\na OK injected\r\n"),  # a literal whose end is a yes
        (IMAP, b"+ go\r\na OK injected\r\n"),
        (IMAP, b"+ go\r\n* BYE injected\r\n"),
        (IMAP, b"a NO injected\r\n"),
        (IMAP, b"* BYE injected\r\n"),
        (POP3, b"-ERR injected\r\n"),
        (POP3, b"+OK go\r\n-ERR injected\r\n"),
        (POP3, b"+ injected\r\n"),
        (SMTP, b"500 injected\r\n"),
        (SMTP, b"235 injected\r\n"),
        (SMTP, b"354 injected\r\n"),
    ],
)
def test_what_comes_before_the_login_goes_nowhere(edge: Edge, tongue: Tongue, injected: bytes) -> None:
    if injected.startswith(b"* X {14}"):
        injected = injected.replace(b"{14}", b"{%d}" % (len(b"a OK injected\r\n") - 2)) + b"a NO injected\r\n"
    with ScriptedBackend(behind_the_greeting(tongue, injected)) as backend:
        edge.service.decide = lambda _: accept(backend.port)
        with edge.plain(tongue) as client:
            client.send(tongue.auth + b" PLAIN AGpvZQBzZWNyZXQ=\r\n")
            assert client.rest() == LAST_WORDS[tongue]


def test_lines_before_the_verdict_are_dropped_and_behind_it_belong_to_the_session(edge: Edge) -> None:
    def script(client: LineClient) -> None:
        client.send(b"* OK hi\r\n* OK [ALERT] early\r\n")
        client.line()
        client.send(b"* NO early\r\n+ go\r\n")
        client.line()
        client.send(b"* OK early\r\n+ go\r\n")
        client.line()
        client.send(b"* CAPABILITY IMAP4rev1\r\na OK in\r\n* 1 EXISTS\r\n")
        while True:
            client.line()

    with ScriptedBackend(script) as backend:
        edge.service.decide = lambda _: accept(backend.port)
        with edge.plain(IMAP) as client:
            client.send(b"a LOGIN joe secret\r\n")
            assert [client.line() for _ in range(3)] == [b"* CAPABILITY IMAP4rev1", b"a OK in", b"* 1 EXISTS"]


def test_nothing_of_one_login_is_left_for_the_next(edge: Edge) -> None:
    # Each login has a connection of its own: what a backend says behind a refusal has no reader.
    def script(client: LineClient) -> None:
        client.send(b"+OK hi\r\n-ERR no\r\n+OK injected\r\n+OK injected\r\n")
        while True:
            client.line()

    with ScriptedBackend(script) as backend:
        edge.service.decide = lambda _: accept(backend.port)
        for _ in range(2):
            with edge.plain(POP3) as client:
                assert client.command(b"USER joe") == b"+OK"
                client.send(b"PASS secret\r\n")
                assert client.rest() == LAST_WORDS[POP3]
        assert backend.connections == 2
