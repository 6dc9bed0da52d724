"""The imap_* directives."""

from pathlib import Path

import pytest

from gatepost.config.settings import ListenSettings
from gatepost.protocol.imap.settings import ImapSettings
from tests.reading import mistake, read


def settings(directory: Path, text: str = "", outer: str = "") -> ImapSettings:
    found = read(directory, f"mail {{ {outer} server {{ listen 143; {text} }} }}", ListenSettings, ImapSettings)
    return found.servers[0][ImapSettings]


def test_defaults(tmp_path: Path) -> None:
    assert settings(tmp_path) == ImapSettings(
        imap_client_buffer=4096,
        imap_auth=("plain",),
        imap_capabilities=(b"IMAP4", b"IMAP4rev1", b"UIDPLUS"),
    )


def test_values(tmp_path: Path) -> None:
    text = (
        "imap_client_buffer 16k; imap_auth EXTERNAL plain; imap_capabilities IMAP4rev1 imap4rev1 'A B' IMAP4rev1;"
    )
    assert settings(tmp_path, text) == ImapSettings(
        imap_client_buffer=16384,
        imap_auth=("plain", "external"),
        imap_capabilities=(b"IMAP4rev1", b"imap4rev1", b"A B", b"IMAP4rev1"),
    )


def test_repeating_adds_and_the_inner_level_replaces(tmp_path: Path) -> None:
    outer = "imap_auth cram-md5; imap_capabilities OUTER;"
    text = "imap_auth plain; imap_auth login; imap_capabilities A B; imap_capabilities C;"
    found = settings(tmp_path, text, outer)
    assert found.imap_auth == ("plain", "login")
    assert found.imap_capabilities == (b"A", b"B", b"C")
    inherited = settings(tmp_path, "", outer)
    assert inherited.imap_auth == ("cram-md5",)
    assert inherited.imap_capabilities == (b"OUTER",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imap_auth apop;", 'invalid value "apop" in :2'),
        ("imap_auth plain none;", 'invalid value "none" in :2'),
        ("imap_auth;", 'invalid number of arguments in "imap_auth" directive in :2'),
        ("imap_client_buffer many;", '"imap_client_buffer" directive invalid value in :2'),
        ("imap_client_buffer 4k; imap_client_buffer 4k;", '"imap_client_buffer" directive is duplicate in :2'),
        ("imap_capabilities;", 'invalid number of arguments in "imap_capabilities" directive in :2'),
        (r"imap_capabilities A 'B\r\n* BYE';", r"control character in capability 'B\r\n* BYE' in :2"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    whole = f"mail {{ server {{ listen 143;\n{text}\n}} }}"
    assert mistake(tmp_path, whole, ListenSettings, ImapSettings) == message
