"""CVE-2026-28753: CR and LF in a PTR record became lines of their own for authentication service and backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dns_server import PTR, DnsServer, Question, address, encoded, message, record
from tests.functional.auth_service import AuthService, accept
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient

from .backends import RecordingBackend
from .tongues import SMTP

# With XCLIENT, which is what carries the name to the backend.
MAIL = """
    server_name mail.example;
    auth_http 127.0.0.1:{service}/auth;
    resolver {resolver};
    server {{{{ listen 127.0.0.1:{{0}}; protocol smtp; xclient on; }}}}
"""
EVIL = {
    "a header": encoded(b"evil\r\nX-Injected: 1", b"example"),
    "a header, bare LF": encoded(b"evil\nX-Injected: 1", b"example"),
    "a command": encoded(b"evil\r\nRSET\r\nMAIL FROM:<mallory>", b"example"),
    "an attribute": encoded(b"evil LOGIN=admin", b"example"),
    "an end of a string": encoded(b"evil\0", b"example"),
    "a dot inside": encoded(b"trusted.example", b"evil"),
    "an escape": encoded(b"evil\\r", b"example"),
    "eight bits": encoded(b"\xc3\xa4vil", b"example"),
    "one of our words": encoded(b"[UNAVAILABLE]"),
}


@pytest.fixture(scope="module")
def names() -> Iterator[DnsServer]:
    with DnsServer(lambda question: message(question, code=3)) as server:
        yield server


@pytest.fixture(scope="module")
def backend() -> Iterator[RecordingBackend]:
    with RecordingBackend("smtp") as server:
        yield server


@pytest.fixture(scope="module")
def service(backend: RecordingBackend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port)) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(directory: Path, names: DnsServer, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, MAIL.format(service=service.port, resolver=names.place)) as running:
        yield running


@pytest.mark.parametrize("label", EVIL.values(), ids=EVIL)
def test_a_name_that_is_none_is_told_to_nobody(
    gateway: Gateway, names: DnsServer, service: AuthService, backend: RecordingBackend, label: bytes
) -> None:
    def decide(question: Question) -> bytes:
        # Whatever the name is, it leads to the client: only what it is made of can keep it out.
        return message(question, record(PTR, label, 0) if question.kind == PTR else address("127.0.0.1", 0))

    names.decide = decide
    service.requests.clear()
    backend.heard.clear()
    with LineClient.plain(gateway.port) as client:
        assert SMTP.plain(SMTP.greeted(client), b"joe", b"secret").startswith(b"235")
    (request,) = service.requests
    assert request.headers["Client-Host"] in ("[TEMPUNAVAIL]", "[UNAVAILABLE]")
    assert "X-Injected" not in request.headers
    (told,) = [line for line in backend.heard if line.startswith(b"XCLIENT")]
    assert told.count(b"=") == 3  # ADDR, LOGIN and NAME
    assert told.endswith((b" NAME=[TEMPUNAVAIL]", b" NAME=[UNAVAILABLE]"))
    assert not any(b"\n" in line or b"mallory" in line for line in backend.heard)
    assert b"RSET" not in backend.heard
    assert [line for line in gateway.log().splitlines() if not line.startswith("20")] == []
