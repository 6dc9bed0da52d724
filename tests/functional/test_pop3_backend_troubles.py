"""A POP3 backend that is busy, refuses or talks nonsense: what the client sees and what the log says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .gateway import Gateway
from .line_client import LineClient
from .scripted_backend import ScriptedBackend

INTERNAL_ERROR = b"-ERR internal server error\r\n"

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    pop3_auth plain apop;
    server {{
        listen 127.0.0.1:{0};
        protocol pop3;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol pop3;
        proxy_pass_error_message on;
    }}
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(lambda _: None) as running:
        yield running


@pytest.fixture(scope="module")
def service(backend: ScriptedBackend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port, Auth_User="box 7", Auth_Pass="pa ss")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % service.port, ports=2) as running:
        yield running


def outcome(port: int) -> bytes:
    """All that a client hears behind the greeting, who logs in and goes."""
    with LineClient.plain(port) as client:
        assert client.line().startswith(b"+OK POP3 ready <")
        client.send(b"APOP joe c4c9334bac560ecc979e58001b3e22fb\r\nQUIT\r\n")
        return client.rest()


def test_the_dialogue_as_the_backend_sees_it(backend: ScriptedBackend, gateway: Gateway) -> None:
    seen: list[bytes] = []

    def script(conversation: LineClient) -> None:
        for reply in (b"+OK ready\r\n", b"+OK\r\n", b"+OK 3 messages\r\n", b"+OK bye\r\n"):
            conversation.send(reply)
            if not reply.endswith(b"bye\r\n"):
                seen.append(conversation.line())

    backend.script = script
    assert outcome(gateway.ports[0]) == b"+OK 3 messages\r\n+OK bye\r\n"
    assert seen == [b"USER box 7", b"PASS pa ss", b"QUIT"]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([b"-ERR busy\r\n"], b"-ERR busy"),
        ([b"* OK IMAP4rev1\r\n"], b"* OK IMAP4rev1"),
        ([b"+OK\r\n", b"-ERR who\r\n"], b"-ERR who"),
        ([b"+OK\r\n", b"+OK\r\n", b"-ERR [IN-USE] locked\r\n"], b"-ERR [IN-USE] locked"),
    ],
)
def test_a_login_that_fails(backend: ScriptedBackend, gateway: Gateway, replies: list[bytes], said: bytes) -> None:
    def script(conversation: LineClient) -> None:
        conversation.send(replies[0])
        for reply in replies[1:]:
            conversation.line()
            conversation.send(reply)
        conversation.rest()

    backend.script = script
    assert outcome(gateway.ports[0]) == INTERNAL_ERROR
    assert outcome(gateway.ports[1]) == said + b"\r\n"
    text = re.escape(said.decode())
    for level, port in (("error", gateway.ports[0]), ("info", gateway.ports[1])):
        gateway.wait_for_log(
            rf'\[{level}\] .*upstream sent invalid response: "{text}" while reading response from upstream, '
            rf'client: 127\.0\.0\.1, server: 127\.0\.0\.1:{port}, login: "box 7"'
        )


def test_a_reply_without_an_end(backend: ScriptedBackend, gateway: Gateway) -> None:
    def script(conversation: LineClient) -> None:
        conversation.send(b"+OK " + b"x" * 8192)
        conversation.rest()

    backend.script = script
    assert outcome(gateway.ports[1]) == INTERNAL_ERROR
    gateway.wait_for_log(r'\[error\] .*upstream sent too long response line: "\+OK x+')


def test_a_backend_that_goes_away(backend: ScriptedBackend, gateway: Gateway) -> None:
    def script(conversation: LineClient) -> None:
        conversation.send(b"+OK\r\n")
        conversation.line()

    backend.script = script
    assert outcome(gateway.ports[0]) == INTERNAL_ERROR
