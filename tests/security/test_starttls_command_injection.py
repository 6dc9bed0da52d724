"""CVE-2011-0411, CVE-2014-3556, CVE-2021-33515: what came in the clear behind STARTTLS was obeyed inside TLS."""

import ssl

import pytest

from tests.functional.line_client import LineClient

from .conftest import Edge
from .tongues import IMAP, POP3, SMTP, Tongue

PLAIN = b"AG1hbGxvcnkAc2VjcmV0"  # of a user called mallory

INJECTED = {
    IMAP: (
        b"a NOOP\r\n",
        b"i NOOP\r\nj CAPABILITY\r\n",
        b"i AUTHENTICATE PLAIN " + PLAIN + b"\r\n",
        b"i AUTHENTICATE PLAIN\r\n",  # so that the client's first line would be taken for its response
        b"i LOGIN {400+}\r\n",  # so that the client's first line would be taken for a name
        b"i LOGIN mallory ",
        b"\r\n" * 50,
    ),
    POP3: (
        b"NOOP\r\n",
        b"CAPA\r\nNOOP\r\n",
        b"AUTH PLAIN " + PLAIN + b"\r\n",
        b"AUTH PLAIN\r\n",
        b"USER mallory\r\n",
        b"USER ",
    ),
    SMTP: (
        b"NOOP\r\n",
        b"EHLO mallory\r\nMAIL FROM:<mallory>\r\n",
        b"AUTH PLAIN " + PLAIN + b"\r\n",
        b"AUTH PLAIN\r\n",
        b"MAIL FROM:<mall",
    ),
}
CASES = [
    pytest.param(tongue, injected, id=f"{tongue.name}, {injected[:24]!r}")
    for tongue, all_of_it in INJECTED.items()
    for injected in all_of_it
]


@pytest.mark.parametrize(("tongue", "injected"), CASES)
def test_what_came_with_the_command_is_forgotten(edge: Edge, tongue: Tongue, injected: bytes) -> None:
    with edge.plain(tongue) as client:
        client.send(tongue.starttls + b"\r\n" + injected)
        assert client.line().startswith(tongue.go_ahead)
        inside_nothing_was_said(edge, tongue, client)


@pytest.mark.parametrize(("tongue", "injected"), CASES)
def test_what_came_in_front_of_it_is_answered_in_the_clear(edge: Edge, tongue: Tongue, injected: bytes) -> None:
    # Pipelining in the clear is nobody's fault, and no different: what is behind STARTTLS is gone.
    with edge.plain(tongue) as client:
        client.send(tongue.noop + b"\r\n" + tongue.starttls + b"\r\n" + injected + tongue.starttls + b"\r\n")
        assert client.line() == tongue.noop_reply
        assert client.line().startswith(tongue.go_ahead)
        inside_nothing_was_said(edge, tongue, client)


def inside_nothing_was_said(edge: Edge, tongue: Tongue, client: LineClient) -> None:
    client.start_tls(edge.certificates.client_context())  # notices what came in the clear behind the reply
    tongue.works(client)
    assert edge.service.requests == []


@pytest.mark.parametrize(("tongue", "injected"), CASES)
def test_what_comes_behind_the_reply_is_no_handshake(edge: Edge, tongue: Tongue, injected: bytes) -> None:
    with edge.plain(tongue) as client:
        assert client.command(tongue.starttls).startswith(tongue.go_ahead)
        client.send(injected)
        try:
            client.start_tls(edge.certificates.client_context())
        except (ssl.SSLError, OSError):
            pass  # as a rule: OpenSSL has read the beginning of a record there
        else:
            tongue.works(client)
    assert edge.service.requests == []


class TestStateOfBefore:
    """What was agreed on in the clear, where anybody may have changed it, is not agreed on inside."""

    def test_the_name_of_a_user(self, edge: Edge) -> None:
        with edge.plain(POP3) as client:
            assert client.command(b"USER mallory") == b"+OK"
            # Not from here: what is behind USER belongs to that login. A refused command forgets the name.
            assert client.command(b"STLS") == b"-ERR invalid command"
            assert client.command(b"STLS") == b"+OK"
            client.start_tls(edge.certificates.client_context())
            assert client.command(b"PASS secret") == b"-ERR invalid command"
        assert edge.service.requests == []

    def test_the_name_of_a_client(self, edge: Edge) -> None:
        with edge.plain(SMTP) as client:
            client.send(b"EHLO mallory.example\r\n")
            client.upto(b"250 ")
            assert client.command(b"STARTTLS").startswith(b"220")
            client.start_tls(edge.certificates.client_context())
            assert SMTP.plain(client, b"joe", b"secret").startswith(b"235")
        assert not any(b"mallory" in line for line in edge.heard(SMTP))

    @pytest.mark.parametrize("tongue", [IMAP, SMTP, POP3], ids=lambda tongue: tongue.name)
    def test_an_exchange(self, edge: Edge, tongue: Tongue) -> None:
        with edge.plain(tongue) as client:
            tongue.begin(client, b"LOGIN")
            assert client.command(b"*").startswith(tongue.invalid)  # else STARTTLS would be a response
            assert client.command(tongue.starttls).startswith(tongue.go_ahead)
            client.start_tls(edge.certificates.client_context())
            assert b"BAD" in client.command(b"am9l") or tongue is not IMAP
            tongue.works(client)
        assert edge.service.requests == []
