"""What is worked out once per server."""

from pathlib import Path

import pytest

from gatepost.address import from_literal
from gatepost.config.build import defaults
from gatepost.config.settings import ListenSettings
from gatepost.protocol.events import Send
from gatepost.protocol.imap.client import ImapRules
from gatepost.protocol.imap.service import MIN_REPLY_BYTES, rules, serve
from gatepost.protocol.imap.settings import ImapSettings
from gatepost.protocol.rules import CommonRules
from gatepost.protocol.settings import ProtocolSettings
from gatepost.tls.settings import TlsSettings
from tests.reading import read


def ruled(
    starttls: str = "off",
    auth: tuple[str, ...] = ("plain",),
    capabilities: tuple[bytes, ...] = (b"IMAP4", b"IMAP4rev1", b"UIDPLUS"),
    proxy_buffer: int = 4096,
) -> ImapRules:
    settings = defaults(ImapSettings, imap_auth=auth, imap_capabilities=capabilities)
    common = CommonRules(
        starttls=starttls, max_errors=5, proxy_buffer=proxy_buffer, challenge=lambda: b"<1.2@host>"
    )
    return rules(settings, common)


@pytest.mark.parametrize(
    ("starttls", "clear"),
    [
        ("off", b"* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN\r\n"),
        ("on", b"* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN STARTTLS\r\n"),
        ("only", b"* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS STARTTLS LOGINDISABLED\r\n"),
    ],
)
def test_capability_lines(starttls: str, clear: bytes) -> None:
    assert ruled(starttls).capability_clear == clear
    assert ruled(starttls).capability_tls == b"* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN\r\n"


def test_capabilities_are_copied_and_mechanisms_ordered() -> None:
    found = ruled(auth=("external", "login", "plain"), capabilities=(b"A", b"a", b"A", b"B C"))
    assert found.capability_clear == b"* CAPABILITY A a A B C AUTH=PLAIN AUTH=LOGIN AUTH=EXTERNAL\r\n"


def test_no_capabilities_and_no_mechanism() -> None:
    assert ruled("only", (), ()).capability_tls == b"* CAPABILITY\r\n"
    assert ruled("only", (), ()).capability_clear == b"* CAPABILITY STARTTLS LOGINDISABLED\r\n"


def test_mechanisms_that_may_be_used() -> None:
    assert list(ruled(auth=("external",)).mechanisms) == [b"PLAIN", b"LOGIN", b"EXTERNAL"]


def test_room_for_replies() -> None:
    assert ruled(proxy_buffer=4096).reply_bytes == MIN_REPLY_BYTES
    assert ruled(proxy_buffer=1 << 20).reply_bytes == 1 << 20


def test_serve_takes_the_settings_of_the_server(tmp_path: Path) -> None:
    text = """mail { server {
        listen 143; server_name post.example; max_errors 7; proxy_buffer 128k;
        imap_client_buffer 1k; imap_auth cram-md5; imap_capabilities X;
    } }"""
    groups = (ListenSettings, ProtocolSettings, TlsSettings, ImapSettings)
    service = serve(read(tmp_path, text, *groups).servers[0])
    found = service.rules
    assert found.buffer_bytes == 1024
    assert found.common.max_errors == 7
    assert found.reply_bytes == 128 * 1024
    assert found.capability_clear == b"* CAPABILITY X AUTH=CRAM-MD5\r\n"
    assert found.common.challenge().endswith(b"@post.example>")
    client = service.client(tls=True, address=from_literal("192.0.2.1", 4711))
    assert client.receive(b"a CAPABILITY\r\n") == [Send(b"* CAPABILITY X AUTH=CRAM-MD5\r\na OK completed\r\n")]
