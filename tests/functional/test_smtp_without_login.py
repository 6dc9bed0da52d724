"""Mail that comes in without a login (``smtp_auth none``), and clients that do not wait for the greeting."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import Answer, AuthService, Reply, Request, accept, refuse
from .certificates import Certificates
from .gateway import Gateway
from .letters import BIG_BYTES, RECIPIENT, SENDER, Backend, by_smtplib, letter
from .line_client import LineClient
from .scripted_backend import ScriptedBackend

CONFIGURATION = """
    auth_http 127.0.0.1:%d/auth;
    server_name mx.example;
    smtp_auth none;
    smtp_capabilities PIPELINING CHUNKING;
    %s
    server {{
        listen 127.0.0.1:{0};
        protocol smtp;
        starttls on;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol smtp;
        smtp_greeting_delay 1s;
    }}
    server {{
        listen 127.0.0.1:{2} ssl;
        protocol smtp;
        smtp_greeting_delay 1s;
        xclient off;
    }}
    server {{
        listen 127.0.0.1:{3};
        protocol smtp;
        smtp_greeting_delay 3s;
        timeout 500ms;
    }}
"""
CLIENT = "127.0.0.3"
TOO_EARLY = b"503 5.5.0 Improper use of SMTP command pipelining\r\n"


@pytest.fixture(scope="module")
def service(smtp_backend: Backend) -> Iterator[AuthService]:
    def decide(request: Request) -> Reply:
        to = request.headers["Auth-SMTP-To"]
        if "<unknown@" in to:
            return Answer({"Auth-Status": "No such user", "Auth-Error-Code": "550 5.1.1"})
        if "<greylisted@" in to:
            return refuse("Try again", wait_seconds=1)
        return accept(smtp_backend.port)

    with AuthService(decide) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % (service.port, certificates.directives("ecdsa")), ports=4) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[LineClient]:
    with LineClient.plain(gateway.port) as connected:
        assert connected.line() == b"220 mx.example ESMTP ready"
        yield connected


def test_10_mb(gateway: Gateway, certificates: Certificates, smtp_backend: Backend) -> None:
    text = letter("incoming", BIG_BYTES)
    with smtplib.SMTP("localhost", gateway.port, timeout=60, source_address=(CLIENT, 0)) as client:
        client.starttls(context=certificates.client_context())
        by_smtplib(client, text)
    found = smtp_backend.delivery("incoming")
    assert (found.client, found.method, found.login) == (CLIENT, "", "")
    assert found.content.endswith(text)


def test_what_the_service_is_told(service: AuthService, client: LineClient) -> None:
    assert client.command(b"EHLO told.client.test") == b"250-mx.example"
    client.upto(b"250 ")
    assert client.command(b"mail  from:<told@client.test>  SIZE=1 ") == b"250 2.0.0 OK"
    assert client.command(f"RCPT TO:<{RECIPIENT}>".encode()).startswith(b"250 ")
    assert client.command(b"RSET").startswith(b"250 ")
    (request,) = [request for request in service.requests if "told@" in request.headers["Auth-SMTP-From"]]
    told = {name: value for name, value in request.headers.items() if name not in ("Host", "Connection")}
    assert list(told.items()) == [
        ("Auth-Method", "none"),
        ("Auth-User", ""),
        ("Auth-Pass", ""),
        ("Auth-Protocol", "smtp"),
        ("Auth-Login-Attempt", "1"),
        ("Client-IP", "127.0.0.1"),
        ("Client-Host", "[UNAVAILABLE]"),
        ("Auth-SMTP-Helo", "told.client.test"),
        ("Auth-SMTP-From", "mail  from:<told@client.test>  SIZE=1"),
        ("Auth-SMTP-To", f"RCPT TO:<{RECIPIENT}>"),
    ]


def test_a_whole_letter_at_once(client: LineClient, smtp_backend: Backend) -> None:
    text = letter("at-once")
    client.send(
        f"EHLO me\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nRCPT TO:<in2@example.test>\r\n"
        f"DATA\r\n".encode()
    )
    assert client.upto(b"250 2.0.0")[-1] == b"250 2.0.0 OK"
    assert client.line().startswith(b"250 ")  # the backend's, about the first recipient
    assert client.line()[:1] in b"25"
    assert client.line().startswith(b"354 ")
    client.send(text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\nQUIT\r\n")
    assert client.rest().startswith(b"250 ")
    assert smtp_backend.delivery("at-once").content.endswith(text)


def test_the_backend_answers_about_the_recipient(client: LineClient) -> None:
    client.command(b"HELO me")
    client.command(b"MAIL FROM:<a@client.test>")
    assert client.command(b"RCPT TO:<a@elsewhere.test>").startswith(b"554 5.7.1 ")
    assert client.command(f"RCPT TO:<{RECIPIENT}>".encode()).startswith(b"250 ")


def test_refused_recipients(client: LineClient, service: AuthService) -> None:
    client.command(b"HELO me")
    assert client.command(b"MAIL FROM:<grey@client.test>") == b"250 2.0.0 OK"
    assert client.command(b"RCPT TO:<greylisted@example.test>") == b"535 5.7.0 Try again"
    assert client.command(b"MAIL FROM:<b@client.test>") == b"503 5.5.1 Bad sequence of commands"
    assert client.command(b"RCPT TO:<unknown@example.test>") == b"550 5.1.1 No such user"
    assert client.rest() == b""
    attempts = [r.headers["Auth-Login-Attempt"] for r in service.requests if "grey@" in r.headers["Auth-SMTP-From"]]
    assert attempts == ["1", "2"]


@pytest.mark.parametrize("data", [b"DATA", b"BDAT 1 LAST", b"XCLIENT ADDR=192.0.2.1", b"ETRN x", b"GET / HTTP/1.0"])
def test_what_is_unknown_is_never_taken(client: LineClient, data: bytes) -> None:
    assert client.command(b"MAIL FROM:<a@b>") == b"250 2.0.0 OK"
    assert client.command(data) == b"500 5.5.1 Invalid command"


class TestEarlyTalkers:
    def test_in_the_clear(self, gateway: Gateway) -> None:
        with LineClient.plain(gateway.ports[1]) as client:
            client.send(b"EHLO early.client.test\r\nMAIL FROM:<a@b>\r\n")
            assert client.rest() == TOO_EARLY
        gateway.wait_for_log(
            r'\[info\] .*client was rejected before greeting: "EHLO early\.client\.test__" '
            r"while in delay pipelining state, client: 127\.0\.0\.1, server: "
        )

    def test_inside_tls(self, gateway: Gateway, certificates: Certificates) -> None:
        with LineClient.tls(gateway.ports[2], certificates.client_context()) as client:
            client.send(b"EHLO inside.client.test\r\n")
            assert client.rest() == TOO_EARLY

    def test_whoever_waits_is_served(
        self, gateway: Gateway, certificates: Certificates, smtp_backend: Backend
    ) -> None:
        with LineClient.plain(gateway.ports[1]) as client:
            assert client.line() == b"220 mx.example ESMTP ready"
            assert client.command(b"QUIT") == b"221 2.0.0 Bye"
        context = certificates.client_context()
        text = letter("patient")
        with smtplib.SMTP_SSL("localhost", gateway.ports[2], context=context, timeout=60) as patient:
            by_smtplib(patient, text)
        assert smtp_backend.delivery("patient").content.endswith(text)

    def test_the_time_for_a_login_begins_with_the_greeting(self, gateway: Gateway) -> None:
        with LineClient.plain(gateway.ports[3]) as client:
            assert client.line() == b"220 mx.example ESMTP ready"
            assert client.rest() == b""
        gateway.wait_for_log(
            rf"client timed out .* client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.ports[3]}\n"
        )

    def test_whoever_leaves_is_forgotten(self, gateway: Gateway) -> None:
        with LineClient.plain(gateway.ports[1]) as client:
            client.half_close()
            assert client.rest() == b""


class TestTroublesOfTheBackend:
    """What the client hears when the server behind does not play along."""

    def answers(self, directory: Path, replies: list[bytes], more: str = "") -> tuple[bytes, str]:
        """What the gateway says to a RCPT, and its log, when the backend says ``replies`` one by one."""

        def script(conversation: LineClient) -> None:
            for number, reply in enumerate(replies):
                conversation.send(reply)
                if number < len(replies) - 1:
                    conversation.line()
            backend.hold()

        mail = "auth_http 127.0.0.1:%d; smtp_auth none; %s server {{ listen 127.0.0.1:{0}; protocol smtp; }}"
        with (
            ScriptedBackend(script) as backend,
            AuthService(lambda _request: accept(backend.port)) as service,
            Gateway(directory, mail % (service.port, more)) as gateway,
            LineClient.plain(gateway.port) as client,
        ):
            client.line()
            client.send(b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
            client.upto(b"250 2.0.0 OK")
            said = client.rest()
            return said, gateway.log()

    @pytest.mark.parametrize(
        "replies",
        [
            [b"554 go away\r\n"],
            [b"220 hi\r\n", b"502 what\r\n"],
            [b"220 hi\r\n", b"250-x\r\n250 y\r\n", b"550 no XCLIENT\r\n"],
            [b"220 hi\r\n", b"250 x\r\n", b"220 x\r\n", b"250 x\r\n", b"550-no\r\n550 mail\r\n"],
        ],
    )
    @pytest.mark.parametrize("passed_on", [False, True])
    def test_it_refuses(self, open_path: Path, replies: list[bytes], passed_on: bool) -> None:
        more = "proxy_pass_error_message on;" if passed_on else ""
        said, log = self.answers(open_path, replies, more)
        assert said == (replies[-1] if passed_on else b"451 4.3.2 Internal server error\r\n")
        shown = replies[-1].decode().removesuffix("\r\n").replace("\r\n", r"\x0D\x0A")
        level = "info" if passed_on else "error"
        assert f'upstream sent invalid response: "{shown}" while reading response from upstream, client: ' in log
        assert f"[{level}]" in next(line for line in log.splitlines() if "invalid response" in line)
