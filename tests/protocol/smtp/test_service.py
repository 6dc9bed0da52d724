"""What is worked out once per server."""

from pathlib import Path

import pytest

from gatepost.address import from_literal
from gatepost.config.build import defaults
from gatepost.config.settings import ListenSettings
from gatepost.protocol.events import ClientNamed, Send
from gatepost.protocol.rules import CommonRules
from gatepost.protocol.settings import ProtocolSettings
from gatepost.protocol.smtp.client import SmtpRules
from gatepost.protocol.smtp.service import MIN_REPLY_BYTES, rules, serve
from gatepost.protocol.smtp.settings import SmtpSettings
from gatepost.protocol.smtp.upstream import Route
from gatepost.tls.settings import TlsSettings
from tests.reading import read

ALL = ("plain", "login", "cram-md5", "external")


def ruled(
    starttls: str = "off",
    auth: tuple[str, ...] = ("plain", "login"),
    capabilities: tuple[bytes, ...] = (b"SIZE 10485760",),
    proxy_buffer: int = 4096,
) -> SmtpRules:
    settings = defaults(SmtpSettings, smtp_auth=auth, smtp_capabilities=capabilities)
    common = CommonRules(
        starttls=starttls, max_errors=5, proxy_buffer=proxy_buffer, challenge=lambda: b"<1.2@host>"
    )
    return rules(settings, common, b"mail.example")


IN_TLS = b"250-mail.example\r\n250-SIZE 10485760\r\n250 AUTH PLAIN LOGIN\r\n"


@pytest.mark.parametrize(
    ("starttls", "clear"),
    [
        ("off", IN_TLS),
        ("on", b"250-mail.example\r\n250-SIZE 10485760\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n"),
        ("only", b"250-mail.example\r\n250-SIZE 10485760\r\n250 STARTTLS\r\n"),
    ],
)
def test_the_answer_to_ehlo(starttls: str, clear: bytes) -> None:
    assert ruled(starttls).ehlo_clear == clear
    assert ruled(starttls).ehlo_tls == IN_TLS


def test_mechanisms_come_in_their_order() -> None:
    found = ruled(auth=("external", "none", "cram-md5", "plain"), capabilities=())
    assert found.ehlo_tls == b"250-mail.example\r\n250 AUTH PLAIN CRAM-MD5 EXTERNAL\r\n"


def test_no_capabilities_and_no_mechanism() -> None:
    found = ruled("only", ("none",), ())
    assert found.ehlo_tls == b"250 mail.example\r\n"
    assert found.ehlo_clear == b"250-mail.example\r\n250 STARTTLS\r\n"
    assert ruled("off", ("none",), ()).ehlo_clear == b"250 mail.example\r\n"


def test_mechanisms_that_may_be_used() -> None:
    assert list(ruled(auth=("none",)).mechanisms) == [b"PLAIN", b"LOGIN"]
    assert list(ruled(auth=("external",)).mechanisms) == [b"PLAIN", b"LOGIN", b"EXTERNAL"]
    assert list(ruled(auth=ALL).mechanisms) == [b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL"]


def test_mail_without_a_login() -> None:
    assert ruled(auth=("none",)).unauthenticated
    assert not ruled().unauthenticated


def test_room_for_replies() -> None:
    assert ruled(proxy_buffer=4096).reply_bytes == MIN_REPLY_BYTES
    assert ruled(proxy_buffer=1 << 20).reply_bytes == 1 << 20


def test_serve_takes_the_settings_of_the_server(tmp_path: Path) -> None:
    text = """mail { server {
        listen 25; server_name post.example; max_errors 7; proxy_buffer 128k; smtp_greeting_delay 3s;
        smtp_client_buffer 1k; smtp_auth cram-md5; smtp_capabilities X; xclient off; proxy_smtp_auth on;
    } }"""
    groups = (ListenSettings, ProtocolSettings, TlsSettings, SmtpSettings)
    service = serve(read(tmp_path, text, *groups).servers[0])
    found = service.rules
    assert found.buffer_bytes == 1024
    assert found.common.max_errors == 7
    assert found.reply_bytes == 128 * 1024
    assert found.delay_seconds == 3
    assert found.greeting == b"220 post.example ESMTP ready\r\n"
    assert found.helo == b"250 post.example\r\n"
    assert found.ehlo_clear == b"250-post.example\r\n250-X\r\n250 AUTH CRAM-MD5\r\n"
    assert found.common.challenge().endswith(b"@post.example>")
    assert found.route == Route(b"post.example", xclient=False, auth=True)


def test_a_client(tmp_path: Path) -> None:
    groups = (ListenSettings, ProtocolSettings, TlsSettings, SmtpSettings)
    text = "mail { server { listen 25; server_name post.example; } }"
    service = serve(read(tmp_path, text, *groups).servers[0])
    client = service.client(tls=True, address=from_literal("192.0.2.1", 4711))
    client.tell(ClientNamed(b"[UNAVAILABLE]"))
    assert client.receive(b"EHLO me\r\n") == [Send(b"250-post.example\r\n250 AUTH PLAIN LOGIN\r\n")]
