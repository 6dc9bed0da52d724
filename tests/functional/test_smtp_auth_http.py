"""SMTPS and STARTTLS, an authentication service, Postfix: submission as most sites run it."""

import base64
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import Answer, AuthService, Reply, Request, accept, refuse
from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .letters import BIG_BYTES, RECIPIENT, SENDER, Backend, by_curl, by_smtplib, by_swaks, letter
from .line_client import LineClient

# One server tells Postfix who has logged in, the other logs in at Postfix.
CONFIGURATION = """
    auth_http 127.0.0.1:%d/auth;
    server_name mail.example;
    smtp_capabilities "SIZE 20971520" 8BITMIME PIPELINING;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol smtp;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol smtp;
        starttls only;
        proxy_smtp_auth on;
    }}
    server {{
        listen 127.0.0.1:{2};
        protocol smtp;
        smtp_auth cram-md5;
    }}
    server {{
        listen 127.0.0.1:{3};
        protocol smtp;
        smtp_auth cram-md5;
        proxy_smtp_auth on;
    }}
"""
CLIENT = "127.0.0.3"  # another address than the gateway's own, so that a backend can tell them apart


@pytest.fixture(scope="module")
def service(smtp_backend: Backend) -> Iterator[AuthService]:
    def decide(request: Request) -> Reply:
        if request.headers["Auth-Pass"] == PASSWORD.replace(" ", "%20"):
            return accept(smtp_backend.port)
        if request.headers["Auth-User"] == "patient":
            return refuse("Try again", wait_seconds=1)
        if request.headers["Auth-User"] == "overquota":
            return Answer({"Auth-Status": "Mailbox full", "Auth-Error-Code": "552 5.2.2"})
        if request.headers["Auth-Method"] == "cram-md5":
            return accept(smtp_backend.port)
        return refuse("Invalid login or password")

    with AuthService(decide) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % (service.port, certificates.directives("ecdsa")), ports=4) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway, certificates: Certificates) -> Iterator[LineClient]:
    with LineClient.tls(gateway.ports[0], certificates.client_context()) as connected:
        assert connected.line() == b"220 mail.example ESMTP ready"
        yield connected


@pytest.fixture
def starting(gateway: Gateway) -> Iterator[LineClient]:
    """A client in the clear, where STARTTLS is expected."""
    with LineClient.plain(gateway.ports[1]) as connected:
        assert connected.line() == b"220 mail.example ESMTP ready"
        yield connected


def plain(user: str, password: str) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode())


def test_smtplib_delivers_10_mb_through_smtps(
    gateway: Gateway, certificates: Certificates, smtp_backend: Backend, dovecot: Dovecot
) -> None:
    user = dovecot.fresh_user()
    text = letter("smtplib-smtps", BIG_BYTES)
    context = certificates.client_context()
    with smtplib.SMTP_SSL(
        "localhost", gateway.ports[0], context=context, timeout=60, source_address=(CLIENT, 0)
    ) as client:
        client.login(user, PASSWORD)
        by_smtplib(client, text)
    found = smtp_backend.delivery("smtplib-smtps")
    assert (found.client, found.method, found.login) == (CLIENT, "XCLIENT", user)
    assert found.content.endswith(text)


def test_smtplib_delivers_10_mb_through_starttls(
    gateway: Gateway, certificates: Certificates, smtp_backend: Backend, dovecot: Dovecot
) -> None:
    user = dovecot.fresh_user()
    text = letter("smtplib-starttls", BIG_BYTES)
    with smtplib.SMTP("localhost", gateway.ports[1], timeout=60, source_address=(CLIENT, 0)) as client:
        client.starttls(context=certificates.client_context())
        client.login(user, PASSWORD)
        by_smtplib(client, text)
    found = smtp_backend.delivery("smtplib-starttls")
    assert (found.client, found.method, found.login) == (CLIENT, "PLAIN", user)
    assert found.content.endswith(text)


@pytest.mark.parametrize(("port", "option", "method"), [(0, "--tls-on-connect", "XCLIENT"), (1, "--tls", "PLAIN")])
def test_swaks_delivers_10_mb(
    gateway: Gateway,
    certificates: Certificates,
    smtp_backend: Backend,
    dovecot: Dovecot,
    tmp_path: Path,
    port: int,
    option: str,
    method: str,
) -> None:
    user = dovecot.fresh_user()
    text = letter(f"swaks{port}", BIG_BYTES)
    login = ("--auth", "LOGIN", "--auth-user", user, "--auth-password", PASSWORD)
    sent = by_swaks(gateway.ports[port], certificates, text, tmp_path, option, "--local-interface", CLIENT, *login)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    found = smtp_backend.delivery(f"swaks{port}")
    assert (found.client, found.method, found.login) == (CLIENT, method, user)
    assert found.content.rstrip(b"\n").endswith(text.rstrip(b"\n"))


def test_curl(
    gateway: Gateway, certificates: Certificates, smtp_backend: Backend, dovecot: Dovecot, tmp_path: Path
) -> None:
    for subject, url, more in (
        ("curl-smtps", f"smtps://localhost:{gateway.ports[0]}/curl.client.test", ()),
        ("curl-starttls", f"smtp://localhost:{gateway.ports[1]}/curl.client.test", ("--ssl-reqd",)),
    ):
        text = letter(subject)
        sent = by_curl(url, dovecot.fresh_user(), certificates, text, tmp_path, *more)
        assert sent.returncode == 0, sent.stderr
        assert smtp_backend.delivery(subject).content.endswith(text)


def test_greeting_and_capabilities(client: LineClient) -> None:
    client.send(b"EHLO me\r\n")
    assert client.upto(b"250 ") == [
        b"250-mail.example",
        b"250-SIZE 20971520",
        b"250-8BITMIME",
        b"250-PIPELINING",
        b"250 AUTH PLAIN LOGIN",
    ]
    assert client.command(b"STARTTLS") == b"500 5.5.1 Invalid command"
    assert client.command(b"MAIL FROM:<a@b>") == b"530 5.7.1 Authentication required"
    assert client.command(b"QUIT") == b"221 2.0.0 Bye"
    assert client.rest() == b""


def test_nothing_goes_without_tls(gateway: Gateway, starting: LineClient) -> None:
    starting.send(b"EHLO me\r\n")
    assert starting.upto(b"250 ")[-1] == b"250 STARTTLS"
    assert starting.command(plain("joe", PASSWORD)) == b"500 5.5.1 Invalid command"
    assert starting.command(b"MAIL FROM:<a@b>") == b"530 5.7.0 Must issue a STARTTLS command first"
    gateway.wait_for_log(
        r'\[info\] .*client was rejected: "MAIL FROM:<a@b>__" while in auth state, client: 127\.0\.0\.1, server: '
    )


def test_what_came_before_the_handshake_is_forgotten(starting: LineClient, certificates: Certificates) -> None:
    assert starting.command(b"STARTTLS") == b"220 2.0.0 Start TLS"
    starting.start_tls(certificates.client_context())
    assert starting.command(b"NOOP") == b"250 2.0.0 OK"
    assert starting.command(b"STARTTLS") == b"500 5.5.1 Invalid command"


def test_what_the_service_is_told(service: AuthService, client: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    assert client.command(plain(user, PASSWORD)) == b"235 2.0.0 OK"
    (request,) = [request for request in service.requests if request.headers["Auth-User"] == user]
    told = [name for name in request.headers if name != "Connection"]
    assert told == [
        "Host",
        "Auth-Method",
        "Auth-User",
        "Auth-Pass",
        "Auth-Protocol",
        "Auth-Login-Attempt",
        "Client-IP",
        "Client-Host",
        "Auth-SSL",
        "Auth-SSL-Protocol",
        "Auth-SSL-Cipher",
    ]
    assert request.headers["Auth-Method"] == "plain"
    assert request.headers["Auth-Protocol"] == "smtp"
    assert request.headers["Client-Host"] == "[UNAVAILABLE]"


def test_without_a_password(gateway: Gateway) -> None:
    # Of a digest no password can be made: XCLIENT does without one, AUTH cannot.
    digest = base64.b64encode(b"digest " + b"0" * 32)
    with LineClient.plain(gateway.ports[2]) as client:
        client.line()
        assert client.command(b"AUTH CRAM-MD5").startswith(b"334 ")
        assert client.command(digest) == b"235 2.0.0 OK"
    with LineClient.plain(gateway.ports[3]) as client:
        client.line()
        assert client.command(b"AUTH CRAM-MD5").startswith(b"334 ")
        assert client.command(digest) == b"451 4.3.2 Internal server error"
        assert client.rest() == b""
    gateway.wait_for_log(
        r"\[error\] .*no password available while sending AUTH to upstream, client: 127\.0\.0\.1, "
        r'server: \S+, login: "digest", upstream: '
    )


def test_wrong_password(gateway: Gateway, client: LineClient) -> None:
    assert client.command(plain("mallory", "wrong-password")) == b"535 5.7.0 Invalid login or password"
    assert client.rest() == b""
    gateway.wait_for_log(
        r'\[info\] .*client login failed: "Invalid login or password" while in http auth state, '
        r'client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+, login: "mallory"'
    )
    assert "wrong-password" not in gateway.log()


def test_the_service_chooses_the_code(client: LineClient) -> None:
    assert client.command(plain("overquota", "x")) == b"552 5.2.2 Mailbox full"
    assert client.rest() == b""


def test_wrong_password_with_a_wait(service: AuthService, client: LineClient, dovecot: Dovecot) -> None:
    client.send(plain("patient", "wrong") + b"\r\nNOOP\r\n")
    assert client.line() == b"535 5.7.0 Try again"
    assert client.line() == b"250 2.0.0 OK"
    assert client.command(plain(dovecot.fresh_user(), PASSWORD)) == b"235 2.0.0 OK"
    assert service.requests[-1].headers["Auth-Login-Attempt"] == "2"


def test_what_follows_the_login_reaches_the_backend(client: LineClient, smtp_backend: Backend) -> None:
    # A name that would end XCLIENT's parameter if it were not escaped.
    login = plain("us er+= NAME=x", PASSWORD)
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
    client.send(b"EHLO me\r\n" + login + b"\r\n" + envelope)
    assert client.upto(b"235 ")[-1] == b"235 2.0.0 OK"
    assert [client.line()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    text = letter("pipelined")
    client.send(text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\nQUIT\r\n")
    assert client.rest().startswith(b"250 ")
    found = smtp_backend.delivery("pipelined")
    assert (found.client, found.method, found.login) == ("127.0.0.1", "XCLIENT", "us er+= NAME=x")
    assert found.content.endswith(text)


def test_a_client_cannot_call_itself_somebody_else(
    gateway: Gateway, certificates: Certificates, dovecot: Dovecot
) -> None:
    # Once told where the client is, Postfix allows it what it allows that address.
    context = certificates.client_context()
    with smtplib.SMTP_SSL(
        "localhost", gateway.ports[0], context=context, timeout=60, source_address=(CLIENT, 0)
    ) as client:
        client.login(dovecot.fresh_user(), PASSWORD)
        assert client.docmd("XCLIENT", "LOGIN=postmaster")[0] == 550


def test_log_lines_of_a_session(
    gateway: Gateway, client: LineClient, dovecot: Dovecot, smtp_backend: Backend
) -> None:
    user = dovecot.fresh_user()
    assert client.command(plain(user, PASSWORD)) == b"235 2.0.0 OK"
    client.send(b"QUIT\r\n")
    assert client.rest().startswith(b"221 ")
    client.close()
    tail = (
        rf"client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.ports[0]}, "
        rf'login: "{user}", upstream: 127\.0\.0\.1:{smtp_backend.port}'
    )
    match = gateway.wait_for_log(rf"\[info\] \d+#\d+: (\*\d+) client logged in, {tail}\n")
    gateway.wait_for_log(rf"{re.escape(match[1])} proxied session done, {tail}\n")
