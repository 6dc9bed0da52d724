"""POP3 over TLS and with STLS, an authentication service, Dovecot."""

import base64
import hashlib
import hmac
import poplib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, Reply, Request, accept, refuse
from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .maildrop import Door, curl_fetches, fetch_10_mb, login

CONFIGURATION = """
    auth_http 127.0.0.1:%d/auth;
    server_name post.example;
    pop3_auth plain apop cram-md5;
    pop3_capabilities TOP USER UIDL "LOGIN-DELAY 900";
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol pop3;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol pop3;
        starttls only;
    }}
"""


def knows_the_password(request: Request) -> bool:
    """As an authentication service does it: by the method, with the challenge that we sent the client."""
    given = request.headers["Auth-Pass"]
    if request.headers["Auth-Method"] == "plain":
        return given == PASSWORD.replace(" ", "%20")
    salt = request.headers["Auth-Salt"].encode()
    if request.headers["Auth-Method"] == "apop":
        return given == hashlib.md5(salt + PASSWORD.encode()).hexdigest()
    return given == hmac.new(PASSWORD.encode(), salt, "md5").hexdigest()


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    def decide(request: Request) -> Reply:
        if knows_the_password(request):
            return accept(dovecot.pop3_port, Auth_Pass=PASSWORD)
        if request.headers["Auth-User"] == "patient":
            return refuse("Try again", wait_seconds=1)
        return refuse("Invalid login or password")

    with AuthService(decide) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    mail = CONFIGURATION % (service.port, certificates.directives("ecdsa"))
    with Gateway(directory, mail, ports=2) as running:
        yield running


def test_poplib_fetches_10_mb(door: Door, dovecot: Dovecot) -> None:
    fetch_10_mb(door.poplib(), dovecot, dovecot.fresh_user())


@pytest.mark.parametrize(
    ("options", "method"),
    [("AUTH=+APOP", "apop"), ("AUTH=PLAIN", "plain"), ("AUTH=LOGIN", "plain"), ("AUTH=CRAM-MD5", "cram-md5")],
)
def test_curl(door: Door, dovecot: Dovecot, service: AuthService, options: str, method: str) -> None:
    user = dovecot.fresh_user()
    curl_fetches(door, dovecot, user, "--login-options", options)
    (request,) = [request for request in service.requests if request.headers["Auth-User"] == user]
    assert request.headers["Auth-Method"] == method


def test_curl_takes_what_it_likes_best(door: Door, dovecot: Dovecot) -> None:
    curl_fetches(door, dovecot, dovecot.fresh_user())


def test_poplib_knows_apop(door: Door, dovecot: Dovecot) -> None:
    session = door.poplib()
    assert re.fullmatch(rb"\+OK POP3 ready <\d+\.\d+@post\.example>", session.welcome)
    session.apop(dovecot.fresh_user(), PASSWORD)
    assert session.stat() == (0, 0)
    session.quit()


def test_the_capabilities(door: Door) -> None:
    session = door.poplib()
    assert session.capa() == {
        "TOP": [],
        "USER": [],
        "UIDL": [],
        "LOGIN-DELAY": ["900"],
        "SASL": ["PLAIN", "LOGIN", "CRAM-MD5"],
    }
    session.quit()


def test_an_initial_response_longer_than_nginx_would_take(inside: LineClient, service: AuthService) -> None:
    token = base64.b64encode(b"\0longest\0" + b"t" * 2900)
    assert inside.command(b"AUTH PLAIN " + token) == b"-ERR Invalid login or password"
    assert any(request.headers["Auth-Pass"] == "t" * 2900 for request in service.requests)


def test_a_wrong_password(gateway: Gateway, door: Door, inside: LineClient) -> None:
    assert inside.command(b"USER mallory") == b"+OK"
    assert inside.command(b"PASS wrong-password") == b"-ERR Invalid login or password"
    assert inside.rest() == b""
    how = " using starttls" if door.stls else ""
    gateway.wait_for_log(
        r'\[info\] .*client login failed: "Invalid login or password" while in http auth state, '
        rf'client: 127\.0\.0\.1{how}, server: 127\.0\.0\.1:{door.port}, login: "mallory"'
    )
    assert "wrong-password" not in gateway.log()


def test_a_wrong_password_with_a_wait(inside: LineClient, dovecot: Dovecot) -> None:
    inside.send(b"USER patient\r\nPASS wrong\r\nNOOP\r\n")
    assert inside.line() == b"+OK"
    assert inside.line() == b"-ERR Try again"
    assert inside.line() == b"+OK"
    login(inside, dovecot.fresh_user())


def test_a_command_cannot_be_smuggled_to_the_backend(inside: LineClient, service: AuthService) -> None:
    asked = len(service.requests)
    smuggled = base64.b64encode(b"\0smuggler\0" + PASSWORD.encode() + b"\r\nDELE 1")
    assert inside.command(b"AUTH PLAIN " + smuggled) == b"-ERR invalid command"
    assert inside.command(b"NOOP") == b"+OK"
    assert not [request for request in service.requests[asked:] if request.headers["Auth-User"] == "smuggler"]


def test_what_is_pipelined_behind_the_login_reaches_the_backend(inside: LineClient, dovecot: Dovecot) -> None:
    inside.send(f"USER {dovecot.fresh_user()}\r\nPASS {PASSWORD}\r\nSTAT\r\nQUIT\r\n".encode())
    assert inside.line() == b"+OK"
    assert inside.line().startswith(b"+OK")
    assert inside.line() == b"+OK 0 0"
    assert inside.line().startswith(b"+OK")


def test_log_lines_of_a_session(gateway: Gateway, door: Door, inside: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    login(inside, user)
    assert inside.command(b"QUIT").startswith(b"+OK")
    inside.close()
    how = " using starttls" if door.stls else ""
    tail = (
        rf"client: 127\.0\.0\.1{how}, server: 127\.0\.0\.1:{door.port}, "
        rf'login: "{user}", upstream: 127\.0\.0\.1:{dovecot.pop3_port}'
    )
    match = gateway.wait_for_log(rf"\[info\] \d+#\d+: (\*\d+) client logged in, {tail}\n")
    gateway.wait_for_log(rf"{re.escape(match[1])} proxied session done, {tail}\n")


def test_what_the_service_is_told(service: AuthService, inside: LineClient, dovecot: Dovecot) -> None:
    user = dovecot.fresh_user()
    login(inside, user)
    (request,) = [request for request in service.requests if request.headers["Auth-User"] == user]
    assert request.headers["Auth-Protocol"] == "pop3"
    assert request.headers["Auth-Login-Attempt"] == "1"
    assert request.headers["Auth-SSL"] == "on"
    assert "Auth-Salt" not in request.headers


def test_nothing_but_tls_in_the_clear(gateway: Gateway, service: AuthService) -> None:
    session = poplib.POP3("localhost", gateway.ports[1], timeout=60)
    assert session.capa() == {"TOP": [], "UIDL": [], "LOGIN-DELAY": ["900"], "STLS": []}
    with pytest.raises(poplib.error_proto, match="-ERR invalid command"):
        session.user("early")
    with pytest.raises(poplib.error_proto, match="-ERR invalid command"):
        session.apop("early", PASSWORD)
    session.quit()
    assert not [request for request in service.requests if request.headers["Auth-User"] == "early"]


def test_what_came_in_the_clear_is_forgotten(
    gateway: Gateway, service: AuthService, certificates: Certificates, dovecot: Dovecot
) -> None:
    # CVE-2011-0411: commands injected behind STLS must run neither before nor after the handshake.
    with LineClient.plain(gateway.ports[1]) as client:
        client.line()
        client.send(b"STLS\r\nUSER injected\r\nPASS secret\r\n")
        assert client.line() == b"+OK"
        client.start_tls(certificates.client_context())
        assert client.command(b"NOOP") == b"+OK"
        login(client, dovecot.fresh_user())
    assert not [request for request in service.requests if request.headers["Auth-User"] == "injected"]


def test_a_line_without_end(gateway: Gateway, inside: LineClient) -> None:
    inside.send(b"USER " + b"x" * 5000)
    assert inside.line() == b"-ERR invalid command"
    assert inside.rest() == b""
    gateway.wait_for_log(r'client sent too long command "USER\.\.\." while in auth state')
