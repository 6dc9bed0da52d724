"""The smtp_* directives, xclient and proxy_smtp_auth."""

from pathlib import Path

import pytest

from gatepost.auth.settings import AuthSettings
from gatepost.config.settings import ListenSettings
from gatepost.protocol.settings import ProtocolSettings
from gatepost.protocol.smtp.settings import SmtpSettings
from tests.reading import mistake, read


def settings(directory: Path, text: str = "", outer: str = "") -> SmtpSettings:
    found = read(directory, f"mail {{ {outer} server {{ listen 25; {text} }} }}", ListenSettings, SmtpSettings)
    return found.servers[0][SmtpSettings]


def test_defaults(tmp_path: Path) -> None:
    assert settings(tmp_path) == SmtpSettings(
        smtp_client_buffer=4096,
        smtp_auth=("plain", "login"),
        smtp_capabilities=(),
        smtp_greeting_delay=0,
        xclient=True,
        proxy_smtp_auth=False,
    )


def test_values(tmp_path: Path) -> None:
    text = """smtp_client_buffer 16k; smtp_auth NONE external login; smtp_capabilities "SIZE 10485760" PIPELINING;
        smtp_greeting_delay 1500ms; xclient off; proxy_smtp_auth on;"""
    assert settings(tmp_path, text) == SmtpSettings(
        smtp_client_buffer=16384,
        smtp_auth=("login", "external", "none"),
        smtp_capabilities=(b"SIZE 10485760", b"PIPELINING"),
        smtp_greeting_delay=1.5,
        xclient=False,
        proxy_smtp_auth=True,
    )


def test_repeating_adds_and_the_inner_level_replaces(tmp_path: Path) -> None:
    outer = "smtp_auth cram-md5; smtp_capabilities OUTER; xclient off;"
    text = "smtp_auth plain; smtp_auth none; smtp_capabilities A B; smtp_capabilities C; xclient on;"
    found = settings(tmp_path, text, outer)
    assert found.smtp_auth == ("plain", "none")
    assert found.smtp_capabilities == (b"A", b"B", b"C")
    assert found.xclient
    inherited = settings(tmp_path, "", outer)
    assert inherited.smtp_auth == ("cram-md5",)
    assert inherited.smtp_capabilities == (b"OUTER",)
    assert not inherited.xclient


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smtp_auth apop;", 'invalid value "apop" in :2'),
        ("smtp_auth;", 'invalid number of arguments in "smtp_auth" directive in :2'),
        ("smtp_client_buffer many;", '"smtp_client_buffer" directive invalid value in :2'),
        ("smtp_client_buffer 4k; smtp_client_buffer 4k;", '"smtp_client_buffer" directive is duplicate in :2'),
        ("smtp_greeting_delay soon;", '"smtp_greeting_delay" directive invalid value in :2'),
        ("smtp_capabilities;", 'invalid number of arguments in "smtp_capabilities" directive in :2'),
        (r"smtp_capabilities A 'B\r\n250 X';", r"control character in capability 'B\r\n250 X' in :2"),
        ("xclient maybe;", 'invalid value "maybe" in "xclient" directive, it must be "on" or "off" in :2'),
        ("proxy_smtp_auth on; proxy_smtp_auth on;", '"proxy_smtp_auth" directive is duplicate in :2'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    whole = f"mail {{ server {{ listen 25;\n{text}\n}} }}"
    assert mistake(tmp_path, whole, ListenSettings, SmtpSettings) == message


@pytest.mark.parametrize("word", ["none", "cram-md5", "external"])
def test_a_backend_that_decides_needs_passwords(tmp_path: Path, word: str) -> None:
    # ``none`` would make it an open relay: whoever comes would be sent on under our address.
    whole = f"mail {{ server {{ listen 25; proxy_pass 127.0.0.1:25;\nsmtp_auth plain {word};\n}} }}"
    message = mistake(tmp_path, whole, ListenSettings, ProtocolSettings, SmtpSettings, AuthSettings)
    assert message.startswith(f'"{word}" in "smtp_auth" cannot be used with "proxy_pass"')
    assert message.endswith("in :2")
