"""SMTP smuggling: two servers that disagree about where a line ends see two different letters.

Before the login we read lines, and take a bare LF for an end as nginx does; so whatever goes on from there is
written anew, with CR LF, one command for each that we have understood. A bare CR is refused. From the login on we
read nothing: bytes go through as they are, and where a letter ends is between client and backend alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.auth_service import AuthService, accept
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient

from .backends import RecordingBackend
from .conftest import Edge
from .tongues import IMAP, POP3, SMTP

MAIL = """
    server_name mail.example;
    auth_http 127.0.0.1:{service}/auth;
    smtp_auth none;
    server {{{{ listen 127.0.0.1:{{0}}; protocol smtp; xclient on; }}}}
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[RecordingBackend]:
    with RecordingBackend("smtp") as server:
        yield server


@pytest.fixture(scope="module")
def service(backend: RecordingBackend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port)) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(directory: Path, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, MAIL.format(service=service.port)) as running:
        yield running


@pytest.fixture
def sender(gateway: Gateway, backend: RecordingBackend, service: AuthService) -> Iterator[LineClient]:
    backend.heard.clear()
    service.requests.clear()
    with LineClient.plain(gateway.port) as client:
        client.line()
        yield client


class TestMailWithoutLogin:
    """Here a MAIL and a RCPT are ours to repeat."""

    def test_bare_line_feeds_end_lines_and_are_written_anew(
        self, sender: LineClient, backend: RecordingBackend, service: AuthService
    ) -> None:
        sender.send(b"EHLO client\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\n")
        sender.upto(b"250 2.0.0 OK")
        assert sender.line() == b"250 backend"
        hello, told, again, mail, recipient = backend.heard
        assert (hello, again) == (b"EHLO mail.example", b"EHLO client")
        assert told.startswith(b"XCLIENT ADDR=127.0.0.1 ")
        assert (mail, recipient) == (b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>")
        assert service.requests[0].headers["Auth-SMTP-To"] == "RCPT TO:<c@d>"

    @pytest.mark.parametrize("inside", [b"\r", b"\r\r", b"\0", b"\rRCPT TO:<mallory>\r"])
    def test_what_is_no_end_to_us_is_refused(
        self, sender: LineClient, backend: RecordingBackend, inside: bytes
    ) -> None:
        sender.send(b"EHLO client\r\nMAIL FROM:<a@b>" + inside + b"SIZE=1\r\n")
        sender.upto(b"250 ")
        assert sender.line()[:2] == b"50"
        assert sender.command(b"RCPT TO:<c@d>").startswith(b"503")
        assert backend.heard == []

    @pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\n", b"\r\n\0.\r\n"])
    def test_a_letter_goes_through_byte_by_byte(
        self, sender: LineClient, backend: RecordingBackend, end: bytes
    ) -> None:
        sender.send(b"EHLO client\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        sender.upto(b"250 2.0.0 OK")
        assert sender.line() == b"250 backend"
        assert sender.command(b"DATA").startswith(b"354")
        letter = b"Subject: x\r\n\r\nbody" + end + b"MAIL FROM:<mallory>\r\nRCPT TO:<e@f>\r\nDATA\r\nsmuggled"
        sender.send(letter + b"\r\n.\r\n")
        assert sender.line() == b"250 backend"
        data = backend.heard.index(b"DATA")
        assert b"\r\n".join(backend.heard[data + 1 :]) == letter + b"\r\n."


def test_smtp_logins(edge: Edge) -> None:
    with LineClient.plain(edge.gateway.ports[4]) as client:
        client.line()
        client.send(b"EHLO client\nAUTH PLAIN AGpvZQBzZWNyZXQ=\n")
        assert client.upto(b"235")
    assert edge.heard(SMTP) == [b"EHLO mail.example"]


def test_imap_logins(edge: Edge) -> None:
    with edge.plain(IMAP) as client:
        client.send(b"a LOGIN joe {6+}\nsecret\n")
        assert client.line().startswith(b"a OK")
    assert edge.heard(IMAP) == [b"a LOGIN {3}", b"joe", b" {5}", b"given", b""]


def test_pop3_logins(edge: Edge) -> None:
    with edge.plain(POP3) as client:
        client.send(b"USER joe\nPASS se cret\n")
        assert client.line() == b"+OK"
        assert client.line().startswith(b"+OK")
    assert edge.heard(POP3) == [b"USER joe", b"PASS given"]


@pytest.mark.parametrize("said", [b"NOOP\rNOOP", b"NO\rOP", b"\rNOOP"])
def test_a_bare_carriage_return_is_no_end_anywhere(edge: Edge, said: bytes) -> None:
    for tongue in (IMAP, POP3, SMTP):
        with edge.plain(tongue) as client:
            answer = client.command((b"a " if tongue is IMAP else b"") + said)
            assert answer.startswith((tongue.invalid, b"* BAD")) or (tongue, said) == (IMAP, b"NOOP\rNOOP")
            client.send(tongue.noop + b"\r\n")
            assert client.line() == tongue.noop_reply
