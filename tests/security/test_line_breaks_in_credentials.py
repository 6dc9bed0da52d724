"""CR, LF and NUL in decoded credentials: a command of the client's choice in a POP3 backend, past who was asked.

nginx sends what it has decoded to the backend as it is, and shows the authentication service an escaped form.
"""

import base64

import pytest

from tests.functional.auth_service import Raw

from .conftest import Edge
from .tongues import IMAP, POP3, SMTP, TONGUES, Tongue

BREAKS = {"CR LF": b"\r\n", "LF": b"\n", "CR": b"\r", "NUL": b"\0"}


def harmful(broken: bytes) -> list[tuple[bytes, bytes]]:
    """Names and passwords."""
    return [
        (b"joe" + broken + b"DELE 1", b"secret"),
        (b"joe", b"secret" + broken + b"DELE 1"),
        (broken, b"secret"),
        (b"joe", broken),
    ]


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN"])
@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
def test_in_base64(edge: Edge, tongue: Tongue, mechanism: bytes, broken: bytes) -> None:
    for user, password in harmful(broken):
        with edge.plain(tongue) as client:
            tongue.begin(client, mechanism)
            if mechanism == b"PLAIN":
                answer = client.command(base64.b64encode(b"\0%b\0%b" % (user, password)))
                if broken == b"\0" and b"\0" in user:
                    # The first NUL ends the name: what is behind it belongs to the password, which then has one.
                    assert b"\0" in password + b"\0"
            else:
                assert client.command(base64.b64encode(user)).startswith(tongue.prompt)
                answer = client.command(base64.b64encode(password))
            assert answer.startswith(tongue.invalid)
            tongue.works(client)
    assert edge.service.requests == []
    assert edge.heard(tongue) == []


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_in_a_hash(edge: Edge, tongue: Tongue, broken: bytes) -> None:
    with edge.plain(tongue) as client:
        for message in (b"jo" + broken + b"e " + b"0" * 32, b"joe " + b"0" * (32 - len(broken)) + broken):
            tongue.begin(client, b"CRAM-MD5")
            assert client.command(base64.b64encode(message)).startswith(tongue.invalid)
    assert edge.service.requests == []


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_in_literals(edge: Edge, broken: bytes) -> None:
    for user, password in harmful(broken):
        with edge.plain(IMAP) as client:
            client.send(b"a LOGIN {%d+}\r\n%b {%d+}\r\n%b\r\n" % (len(user), user, len(password), password))
            assert client.upto(b"a ")[-1].startswith(b"a BAD")
    assert edge.service.requests == []


@pytest.mark.parametrize("broken", [b"\r", b"\0"], ids=["CR", "NUL"])  # a LF ends the command
def test_in_user_and_pass(edge: Edge, broken: bytes) -> None:
    with edge.plain(POP3) as client:
        for user, password in ((b"joe" + broken + b"x", b"y"), (b"joe", b"y" + broken + b"x")):
            client.command(b"USER " + user)
            assert client.command(b"PASS " + password).startswith(b"-ERR")
    assert edge.service.requests == []


@pytest.mark.parametrize("broken", [b"\0", b"%0D%0ADELE 1"], ids=["NUL", "an escape"])
def test_from_the_service(edge: Edge, broken: bytes) -> None:
    """What the service gives instead is not decoded, and no header can carry CR or LF."""
    port = edge.backends["pop3"].port
    edge.service.decide = lambda _: Raw(
        b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: %d\r\nAuth-User: joe%b\r\n\r\n"
        % (port, broken)
    )
    with edge.plain(POP3) as client:
        client.send(b"AUTH PLAIN " + base64.b64encode(b"\0joe\0secret") + b"\r\n")
        answer = client.line()
    if broken == b"\0":
        assert answer == b"-ERR internal server error"
        assert edge.heard(POP3) == []
    else:
        assert answer.startswith(b"+OK")
        assert edge.heard(POP3) == [b"USER joe%0D%0ADELE 1", b"PASS secret"]


def test_what_is_no_break_arrives_unchanged(edge: Edge) -> None:
    user, password = b"j\xc3\xb6e %0D", b"\x01\x7f \xff%00\\r"
    edge.service.decide = lambda _: Raw(
        b"HTTP/1.0 200 OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: %d\r\n\r\n" % edge.backends["pop3"].port
    )
    with edge.plain(POP3) as client:
        assert POP3.plain(client, user, password).startswith(b"+OK")
    assert edge.heard(POP3) == [b"USER " + user, b"PASS " + password]
    (request,) = edge.service.requests
    assert request.headers["Auth-User"].encode("latin-1") == b"j\xc3\xb6e%20%250D"
    assert request.headers["Auth-Pass"].encode("latin-1") == b"%01\x7f%20\xff%2500\\r"


def test_smtp_in_the_envelope(edge: Edge) -> None:
    with edge.plain(SMTP) as client:
        for said in (b"EHLO a\0b", b"EHLO a\rb", b"HELO a\tb"):
            assert client.command(said)[:2] == b"50"
