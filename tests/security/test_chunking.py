"""CHUNKING was offered, and BDAT before the login answered like a command that we do not know, with a 250.

The client then believed that its letter had been taken. Here the capability is the backend's: before the login BDAT
is refused, nothing is ever said to have been stored, and behind the login the chunks arrive. What a refused chunk
holds is thrown away: it is a letter that somebody else may have written, and no commands.
"""

import pytest

from tests.functional.process import memory_kib

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
        if b" 9" in command:
            client.send(b"DATA\r\nAUT")
        SMTP.works(client)
    assert edge.heard(SMTP) == []


def test_a_letter_that_does_not_wait_is_not_taken(edge: Edge) -> None:
    letter = b"Subject: x\r\n\r\nAUTH PLAIN AG1hbGxvcnkAc2VjcmV0\r\n"
    with edge.plain(SMTP) as client:
        client.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT %d LAST\r\n%b" % (len(letter), letter))
        answers = [client.line() for _ in range(3)]
        SMTP.works(client)
    assert [answer[:3] for answer in answers] == [b"530", b"503", b"500"]
    assert edge.service.requests == []


def test_what_a_chunk_holds_costs_no_memory(edge: Edge) -> None:
    (worker,) = edge.gateway.workers
    with edge.plain(SMTP) as client:
        assert client.command(b"BDAT 100000000").startswith(b"50")
        before = memory_kib(worker)
        for _ in range(100):
            client.send(b"NOOP\r\nAUTH PLAIN AG1hbGxvcnkAc2VjcmV0\r\n" * 10_000)
        client.half_close()
        assert client.rest() == b""
        assert memory_kib(worker) - before < 10_000  # of 42 MB that were sent
    assert edge.service.requests == []


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
