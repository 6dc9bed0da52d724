"""CHUNKING was offered, and BDAT before the login answered like a command that we do not know, with a 250.

The client then believed that its letter had been taken. Here the capability is the backend's: before the login BDAT
is refused, nothing is ever said to have been stored, and behind the login the chunks arrive.
"""

import pytest

from .conftest import Edge
from .tongues import SMTP


def test_it_is_offered(edge: Edge) -> None:
    with edge.plain(SMTP) as client:
        client.send(b"EHLO client\r\n")
        assert b"250-CHUNKING" in client.upto(b"250 ")


@pytest.mark.parametrize(
    "command", [b"BDAT 9 LAST", b"BDAT 9", b"BDAT", b"bdat 0 LAST", b"DATA", b"BURL x", b"XYZZY"]
)
def test_before_the_login_it_is_refused(edge: Edge, command: bytes) -> None:
    with edge.plain(SMTP) as client:
        assert client.command(command).startswith(b"50")
        SMTP.works(client)
    assert edge.heard(SMTP) == []


def test_a_letter_that_does_not_wait_is_not_taken(edge: Edge) -> None:
    letter = b"Subject: x\r\n\r\nAUTH PLAIN AG1hbGxvcnkAc2VjcmV0\r\n"
    with edge.plain(SMTP) as client:
        client.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT %d LAST\r\n%b" % (len(letter), letter))
        answers = [client.line() for _ in range(3)]
    assert [answer[:3] for answer in answers] == [b"530", b"503", b"500"]


def test_what_a_chunk_holds_is_at_most_a_few_commands(edge: Edge) -> None:
    # A chunk that was refused cannot be told from commands: the client sends it all the same (RFC 3030 section 2).
    # What it can do is what its sender could do anyway, until it has made too many mistakes.
    letter = b"".join(b"line %d of a letter\r\n" % number for number in range(100))
    with edge.plain(SMTP) as client:
        client.send(b"BDAT %d LAST\r\n%b" % (len(letter), letter))
        answers = client.rest().splitlines()
    assert len(answers) == 5
    assert not any(answer.startswith(b"2") for answer in answers)


def test_behind_the_login_chunks_arrive_even_if_they_do_not_wait(edge: Edge) -> None:
    chunk = b"Subject: x\r\n\r\n\r\n.\r\nQUIT\r\n\0\n\r\xff"
    with edge.plain(SMTP) as client:
        client.send(
            b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
            b"BDAT %d\r\n%bBDAT 0 LAST\r\n" % (len(chunk), chunk)
        )
        assert client.line().startswith(b"235")
        assert [client.line() for _ in range(4)] == [b"250 backend"] * 4
    assert edge.heard(SMTP)[1:] == [
        b"MAIL FROM:<a@b>",
        b"RCPT TO:<c@d>",
        b"BDAT %d" % len(chunk),
        chunk,
        b"BDAT 0 LAST",
        b"",
    ]
