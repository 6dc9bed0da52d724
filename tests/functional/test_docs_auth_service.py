"""The service that docs/auth-service.md shows, as it is, in front of gatepost."""

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.scene import GREETING, echo

from .gateway import Gateway
from .line_client import LineClient
from .ports import claim_port
from .process import Process
from .scripted_backend import ScriptedBackend
from .waiting import wait_until

PAGE = Path(__file__).parent.parent.parent / "docs" / "auth-service.md"


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def gateway(open_path: Path) -> Iterator[Gateway]:
    match = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert match
    text = match[1]
    port = claim_port()
    with ScriptedBackend(echo) as backend:
        for shown, real in (("9000", str(port)), ('"143"', f'"{backend.port}"'), ('"3"', '"1"')):
            assert text.count(shown) == 1
            text = text.replace(shown, real)
        script = open_path / "service.py"
        script.write_text(text)
        mail = f"auth_http 127.0.0.1:{port}/auth; server {{{{ listen 127.0.0.1:{{0}}; protocol imap; }}}}"
        with (
            Process([sys.executable, "-W", "error", str(script)], open_path / "service.output") as service,
            Gateway(open_path, mail) as running,
        ):
            wait_until(lambda: listening(port), "the service to listen")
            yield running
            assert service.status is None
            assert service.text() == ""


def test_it_lets_its_own_users_in_and_others_try_again(gateway: Gateway) -> None:
    with LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        client.send(b"a LOGIN mallory secret\r\n")
        assert client.line() == b"a NO Invalid login or password"
        client.send(b'b LOGIN "joe smith@example.com" secret\r\n')
        assert client.line() == b"b OK in"
        client.send(b"to the backend\r\n")
        assert client.line() == b"to the backend"
    gateway.wait_for_log('client logged in, .* login: "joe smith@example.com"')
