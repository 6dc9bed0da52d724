"""What is worked out once per server."""

from pathlib import Path

import pytest

from gatepost.address import from_literal
from gatepost.config.build import defaults
from gatepost.config.settings import ListenSettings
from gatepost.protocol.events import Send
from gatepost.protocol.pop3.client import Pop3Rules
from gatepost.protocol.pop3.service import MAX_LINE_BYTES, rules, serve
from gatepost.protocol.pop3.settings import Pop3Settings
from gatepost.protocol.rules import CommonRules
from gatepost.protocol.settings import ProtocolSettings
from gatepost.tls.settings import TlsSettings
from tests.reading import read

ALL = ("plain", "apop", "cram-md5", "external")
DEFAULTS = (b"TOP", b"USER", b"UIDL")


def ruled(
    starttls: str = "off", auth: tuple[str, ...] = ("plain",), capabilities: tuple[bytes, ...] = DEFAULTS
) -> Pop3Rules:
    common = CommonRules(starttls=starttls, max_errors=5, proxy_buffer=5000, challenge=lambda: b"<1.2@host>")
    return rules(defaults(Pop3Settings, pop3_auth=auth, pop3_capabilities=capabilities), common)


def lines(answer: bytes) -> list[bytes]:
    """What lies between the first line and the end of a list."""
    assert answer.startswith(b"+OK ")
    assert answer.endswith(b"\r\n.\r\n")
    return answer.split(b"\r\n")[1:-2]


@pytest.mark.parametrize(
    ("starttls", "clear"),
    [
        ("off", [*DEFAULTS, b"SASL PLAIN LOGIN"]),
        ("on", [*DEFAULTS, b"SASL PLAIN LOGIN", b"STLS"]),
        ("only", [b"TOP", b"UIDL", b"STLS"]),
    ],
)
def test_capabilities(starttls: str, clear: list[bytes]) -> None:
    assert lines(ruled(starttls).capa_clear) == clear
    assert lines(ruled(starttls).capa_tls) == [*DEFAULTS, b"SASL PLAIN LOGIN"]


def test_capabilities_are_copied() -> None:
    words = (b"user", b"A", b"USER", b"a", b"User", b"LOGIN-DELAY 900", b"USERS", b"A")
    assert lines(ruled(capabilities=words).capa_clear) == [*words, b"SASL PLAIN LOGIN"]
    assert lines(ruled("only", capabilities=words).capa_clear) == [
        *(b"A", b"a", b"LOGIN-DELAY 900", b"USERS", b"A"),
        b"STLS",
    ]


@pytest.mark.parametrize(
    ("auth", "names", "usable"),
    [
        ((), [], [b"PLAIN", b"LOGIN"]),
        (("apop",), [], [b"PLAIN", b"LOGIN"]),
        (("external",), [b"EXTERNAL"], [b"PLAIN", b"LOGIN", b"EXTERNAL"]),
        (("plain", "cram-md5"), [b"PLAIN", b"LOGIN", b"CRAM-MD5"], [b"PLAIN", b"LOGIN", b"CRAM-MD5"]),
        (ALL, [b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL"], [b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL"]),
    ],
)
def test_mechanisms(auth: tuple[str, ...], names: list[bytes], usable: list[bytes]) -> None:
    found = ruled(auth=auth)
    assert lines(found.capa_tls)[-1] == b" ".join([b"SASL", *names])
    assert lines(found.methods) == names
    assert list(found.mechanisms) == usable


@pytest.mark.parametrize(
    ("auth", "greets", "apop"),
    [
        (("plain",), False, False),
        (("plain", "external"), False, False),
        (("cram-md5",), True, False),
        (("apop",), True, True),
        (ALL, True, True),
    ],
)
def test_challenges(auth: tuple[str, ...], greets: bool, apop: bool) -> None:
    assert ruled(auth=auth).greets_with_challenge is greets
    assert ruled(auth=auth).apop is apop


def test_limits() -> None:
    assert ruled().buffer_bytes == MAX_LINE_BYTES
    assert ruled().reply_bytes == 5000


def test_serve_takes_the_settings_of_the_server(tmp_path: Path) -> None:
    text = """mail { server {
        listen 110; server_name post.example; max_errors 7; proxy_buffer 8k; pop3_auth apop; pop3_capabilities X;
    } }"""
    groups = (ListenSettings, ProtocolSettings, TlsSettings, Pop3Settings)
    service = serve(read(tmp_path, text, *groups).servers[0])
    assert service.rules.common.max_errors == 7
    assert service.rules.reply_bytes == 8192
    client = service.client(tls=True, address=from_literal("192.0.2.1", 4711))
    (greeting,) = client.start()
    assert isinstance(greeting, Send)
    assert greeting.data.endswith(b"@post.example>\r\n")
    assert client.receive(b"CAPA\r\n") == [Send(b"+OK Capability list follows\r\nX\r\nSASL\r\n.\r\n")]
