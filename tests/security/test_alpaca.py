"""CVE-2021-3618, ALPACA: a browser's HTTPS request, steered to a mail port, was parsed as mail.

Two answers: a handshake for another protocol fails, and of a client that speaks HTTP all the same a few lines are
refused, with nothing of its own in the answers, before the session ends.
"""

import ssl

import pytest

from tests.functional.line_client import LineClient

from .conftest import Edge
from .tongues import TONGUES, Tongue

MAX_ERRORS = 5
REFUSED = "(?i)no.application.protocol"
MALLORY = b"AG1hbGxvcnkAc2VjcmV0"


@pytest.mark.parametrize(
    "offered", [("http/1.1",), ("h2", "http/1.1"), ("ftp",), ("managesieve", "x"), ("IMAP", "POP3")]
)
def test_another_protocol_is_refused(edge: Edge, tongue: Tongue, offered: tuple[str, ...]) -> None:
    context = edge.certificates.client_context()
    context.set_alpn_protocols(list(offered))
    with (
        pytest.raises(ssl.SSLError, match=REFUSED),
        LineClient.tls(edge.tls_port(tongue), context),
    ):
        pass


def test_another_mail_protocol_is_refused(edge: Edge, tongue: Tongue) -> None:
    context = edge.certificates.client_context()
    context.set_alpn_protocols([other.name for other in TONGUES if other is not tongue])
    with (
        pytest.raises(ssl.SSLError, match=REFUSED),
        LineClient.tls(edge.tls_port(tongue), context),
    ):
        pass


@pytest.mark.parametrize("offered", [[], ["http/1.1", "the right one"]])
def test_ours_is_agreed_on(edge: Edge, tongue: Tongue, offered: list[str]) -> None:
    context = edge.certificates.client_context()
    if offered:
        context.set_alpn_protocols([*offered[:1], tongue.name])
    with LineClient.tls(edge.tls_port(tongue), context) as client:
        tongue.works(tongue.greeted(client))


def test_after_starttls_as_well(edge: Edge, tongue: Tongue) -> None:
    context = edge.certificates.client_context()
    context.set_alpn_protocols(["http/1.1"])
    with edge.plain(tongue) as client:
        assert client.command(tongue.starttls).startswith(tongue.go_ahead)
        with pytest.raises(ssl.SSLError, match=REFUSED):
            client.start_tls(context)


REQUEST = b"""POST /upload HTTP/1.1\r
Host: mail.example\r
User-Agent: browser\r
Accept: text/html\r
Content-Type: multipart/form-data; boundary=x\r
Cookie: secret=<script>alert(1)</script>\r
Content-Length: 100\r
\r
--x\r
"""


@pytest.mark.parametrize("verb", [b"POST", b"GET", b"PUT", b"OPTIONS"])
def test_a_request_is_refused_before_its_body(edge: Edge, tongue: Tongue, verb: bytes) -> None:
    body = tongue.auth + b" PLAIN " + MALLORY + b"\r\n"
    with edge.tls(tongue) as client:
        client.send(REQUEST.replace(b"POST", verb) + body + body)
        answers = client.rest()
    lines = answers.split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == MAX_ERRORS, lines
    for line in lines:
        # Nothing of the request comes back: a browser would take it for a page of ours. (IMAP repeats a tag, which
        # may have letters, digits, dots, hyphens and underscores.)
        assert line.startswith((tongue.invalid, b"* BAD ", b"POST BAD ", verb + b" BAD ")), line
        assert b"<" not in line
        assert b"secret" not in line
    assert edge.service.requests == []


def test_a_request_in_the_clear_as_well(edge: Edge, tongue: Tongue) -> None:
    with edge.plain(tongue) as client:
        client.send(REQUEST * 3)
        assert client.rest().count(b"\r\n") == MAX_ERRORS
