"""An authentication service that is down, slow, or talks garbage: what the client sees and what the log says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import Answer, AuthService, Hold, Raw, Reply, accept
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .ports import claim_port

INTERNAL_ERROR = b"* BAD internal server error\r\n"

CONFIGURATION = """
    auth_http 127.0.0.1:%d/a?b=c;
    auth_http_timeout 1s;
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
"""


@pytest.fixture(scope="module")
def service() -> Iterator[AuthService]:
    with AuthService(lambda _: Hold()) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % service.port) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[LineClient]:
    with LineClient.plain(gateway.port) as connected:
        assert connected.line() == b"* OK IMAP4 ready"
        yield connected


@pytest.mark.parametrize(
    ("name", "reply", "complaint"),
    [
        ("silent", Hold(), r"auth http server 127\.0\.0\.1:%d timed out \(110: Connection timed out\)"),
        (
            "garbage",
            Raw(b"\0\1\2 what?\r\n\r\n"),
            r"auth http server 127\.0\.0\.1:%d sent invalid header in response",
        ),
        (
            "bad-header",
            Raw(b"HTTP/1.0 200 OK\r\nAuth_Status: OK\r\n\r\n"),
            r"auth http server 127\.0\.0\.1:%d sent invalid header in response",
        ),
        (
            "no-server",
            Answer({"Auth-Status": "OK", "Auth-Port": "143"}),
            r"auth http server 127\.0\.0\.1:%d did not send server or port",
        ),
        (
            "no-port",
            Answer({"Auth-Status": "OK", "Auth-Server": "127.0.0.1"}),
            r"auth http server 127\.0\.0\.1:%d did not send server or port",
        ),
        (
            "not-found",
            Raw(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\noops"),
            r"auth http server 127\.0\.0\.1:%d did not send server or port.*",
        ),
        (
            "bad-server",
            Answer({"Auth-Status": "OK", "Auth-Server": "1.2.3", "Auth-Port": "143"}),
            r'auth http server 127\.0\.0\.1:%d sent invalid server address:"1\.2\.3"',
        ),
        (
            "bad-port",
            Answer({"Auth-Status": "OK", "Auth-Server": "127.0.0.1", "Auth-Port": "70000"}),
            r'auth http server 127\.0\.0\.1:%d sent invalid server port:"70000"',
        ),
    ],
)
def test_unusable_answers(
    gateway: Gateway, service: AuthService, client: LineClient, name: str, reply: Reply, complaint: str
) -> None:
    service.decide = lambda _: reply
    assert client.command(b"a NOOP") == b"a OK completed"
    client.send(f"b LOGIN {name} sesame-open\r\n".encode())
    assert client.rest() == INTERNAL_ERROR
    gateway.wait_for_log(
        rf"\[error\] .*\*\d+ {complaint % service.port} while in http auth state, "
        rf'client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.port}, login: "{name}"\n'
    )
    assert "sesame-open" not in gateway.log()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nothing", b""),
        ("half-a-line", b"HTTP/1.0 200 O"),
        ("half-the-headers", b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\n"),
    ],
)
def test_closing_half_way(
    gateway: Gateway, service: AuthService, client: LineClient, name: str, data: bytes
) -> None:
    service.decide = lambda _: Raw(data)
    client.send(f"b LOGIN {name} secret\r\n".encode())
    assert client.rest() == INTERNAL_ERROR
    # nginx says nothing here; an operator needs to know who closed.
    gateway.wait_for_log(rf'\[error\] .*auth http server 127\.0\.0\.1:{service.port} .*login: "{name}"')


def test_a_head_without_end_is_bounded(service: AuthService, client: LineClient) -> None:
    service.decide = lambda _: Raw(b"HTTP/1.0 200 OK\r\n" + b"X-Filler: yes\r\n" * 100_000)
    client.send(b"b LOGIN endless secret\r\n")
    assert client.rest() == INTERNAL_ERROR


def test_a_big_body_is_no_trouble(service: AuthService, client: LineClient, dovecot: Dovecot) -> None:
    head = f"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {dovecot.port}\r\n\r\n"
    service.decide = lambda _: Raw(head.encode() + b"x" * 1_000_000)
    client.send(f'b LOGIN {dovecot.fresh_user()} "{PASSWORD}"\r\n'.encode())
    assert client.upto(b"b ")[-1].startswith(b"b OK")


def test_a_service_that_comes_back(
    gateway: Gateway, service: AuthService, client: LineClient, dovecot: Dovecot
) -> None:
    service.decide = lambda _: Raw(b"")
    with LineClient.plain(gateway.port) as unlucky:
        unlucky.line()
        unlucky.send(b"a LOGIN unlucky secret\r\n")
        assert unlucky.rest() == INTERNAL_ERROR
    service.decide = lambda _: accept(dovecot.port)
    client.send(f'b LOGIN {dovecot.fresh_user()} "{PASSWORD}"\r\n'.encode())
    assert client.upto(b"b ")[-1].startswith(b"b OK")


def test_a_slow_service_delays_nobody_else(
    gateway: Gateway, service: AuthService, client: LineClient, dovecot: Dovecot
) -> None:
    service.decide = lambda request: Hold() if request.headers["Auth-User"] == "stuck" else accept(dovecot.port)
    client.send(b"a LOGIN stuck secret\r\n")
    for _ in range(5):
        with LineClient.plain(gateway.port) as other:
            other.line()
            other.send(f'b LOGIN {dovecot.fresh_user()} "{PASSWORD}"\r\n'.encode())
            assert other.upto(b"b ")[-1].startswith(b"b OK")
    assert client.rest() == INTERNAL_ERROR


def test_a_service_that_is_down(scratch: Path) -> None:
    nobody = claim_port()
    with Gateway(scratch / "auth_service_down", CONFIGURATION % nobody) as gateway:
        with LineClient.plain(gateway.port) as client:
            client.line()
            client.send(b"a LOGIN user secret\r\n")
            assert client.rest() == INTERNAL_ERROR
        gateway.wait_for_log(
            r"\[error\] .*\(111: Connection refused\) while in http auth state, "
            rf'client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.port}, login: "user"\n'
        )
