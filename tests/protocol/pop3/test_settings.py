"""The pop3_* directives."""

from pathlib import Path

import pytest

from gatepost.config.settings import ListenSettings
from gatepost.protocol.pop3.settings import Pop3Settings, word_of
from gatepost.sasl import cram_md5, external, login, plain
from tests.reading import mistake, read


def settings(directory: Path, text: str = "", outer: str = "") -> Pop3Settings:
    found = read(directory, f"mail {{ {outer} server {{ listen 110; {text} }} }}", ListenSettings, Pop3Settings)
    return found.servers[0][Pop3Settings]


def test_defaults(tmp_path: Path) -> None:
    assert settings(tmp_path) == Pop3Settings(pop3_auth=("plain",), pop3_capabilities=(b"TOP", b"USER", b"UIDL"))


def test_values(tmp_path: Path) -> None:
    text = "pop3_auth APOP external Plain cram-md5; pop3_capabilities TOP top 'LOGIN-DELAY 900' TOP;"
    found = settings(tmp_path, text)
    assert set(found.pop3_auth) == {"plain", "apop", "cram-md5", "external"}
    assert found.pop3_capabilities == (b"TOP", b"top", b"LOGIN-DELAY 900", b"TOP")


def test_repeating_adds_and_the_inner_level_replaces(tmp_path: Path) -> None:
    outer = "pop3_auth cram-md5; pop3_capabilities OUTER;"
    text = "pop3_auth plain; pop3_auth apop; pop3_capabilities A B; pop3_capabilities C;"
    found = settings(tmp_path, text, outer)
    assert set(found.pop3_auth) == {"plain", "apop"}
    assert found.pop3_capabilities == (b"A", b"B", b"C")
    inherited = settings(tmp_path, "", outer)
    assert inherited.pop3_auth == ("cram-md5",)
    assert inherited.pop3_capabilities == (b"OUTER",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pop3_auth login;", 'invalid value "login" in :2'),
        ("pop3_auth plain none;", 'invalid value "none" in :2'),
        ("pop3_auth;", 'invalid number of arguments in "pop3_auth" directive in :2'),
        ("pop3_capabilities;", 'invalid number of arguments in "pop3_capabilities" directive in :2'),
        (r"pop3_capabilities A 'B\r\n.';", r"control character in capability 'B\r\n.' in :2"),
        ("pop3_client_buffer 4k;", 'unknown directive "pop3_client_buffer" in :2'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    whole = f"mail {{ server {{ listen 110;\n{text}\n}} }}"
    assert mistake(tmp_path, whole, ListenSettings, Pop3Settings) == message


def test_words_of_mechanisms() -> None:
    found = [word_of(module.MECHANISM) for module in (plain, login, cram_md5, external)]
    assert found == ["plain", "plain", "cram-md5", "external"]
