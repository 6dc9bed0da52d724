"""Directives that every mail protocol obeys."""

import os
from pathlib import Path

import pytest

from gatepost.config.directive import Scene
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError
from gatepost.protocol import protocol_of, protocols
from gatepost.protocol.settings import CAPABILITIES, MIN_PROXY_BUFFER, SETTINGS, ProtocolSettings
from tests.reading import mistake, read

GROUPS = (ListenSettings, *SETTINGS)
HOST = os.uname().nodename.lower()


def _server(tmp_path: Path, mail: str, server: str = "listen 143;") -> ProtocolSettings:
    return read(tmp_path, f"mail {{ {mail} server {{ {server} }} }}", *GROUPS).servers[0][ProtocolSettings]


def test_defaults(tmp_path: Path) -> None:
    found = _server(tmp_path, "")
    assert found == ProtocolSettings(protocol=None, server_name=HOST, max_errors=5, proxy_buffer=4096)


def test_values(tmp_path: Path) -> None:
    found = _server(tmp_path, "server_name Mail; max_errors 0;", "listen 1; protocol imap; proxy_buffer 512;")
    assert found == ProtocolSettings(protocol="imap", server_name="Mail", max_errors=0, proxy_buffer=512)


def test_an_empty_name_hides_the_outer_one(tmp_path: Path) -> None:
    assert _server(tmp_path, "server_name outer;", 'listen 143; server_name "";').server_name == HOST
    assert _server(tmp_path, "server_name outer;").server_name == "outer"


def test_the_last_protocol_counts(tmp_path: Path) -> None:
    assert _server(tmp_path, "", "listen 110; protocol imap; protocol imap;").protocol == "imap"


@pytest.mark.parametrize("listens", ["listen 993 ssl;", "listen unix:/a; listen 1; listen 143-150;"])
def test_the_first_known_port_tells_the_protocol(tmp_path: Path, listens: str) -> None:
    (server,) = read(tmp_path, f"mail {{ server {{ {listens} }} }}", *GROUPS).servers
    assert protocol_of(server) is protocols()["imap"]


@pytest.mark.parametrize("listens", ["listen 1;", "listen unix:/a;", "listen 142-144;"])
def test_no_known_port(tmp_path: Path, listens: str) -> None:
    text = f"mail {{\n\nserver {{ {listens} }}\n}}"
    assert mistake(tmp_path, text, *GROUPS) == "unknown mail protocol for server in :3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("protocol IMAP;", 'unknown protocol "IMAP" in :1'),
        ("protocol foo;", 'unknown protocol "foo" in :1'),
        ("max_errors -1;", '"max_errors" directive invalid number in :1'),
        ("max_errors 1; max_errors 1;", '"max_errors" directive is duplicate in :1'),
        ("server_name a; server_name b;", '"server_name" directive is duplicate in :1'),
        ("server_name 'a b';", "space or control character in server name 'a b' in :1"),
        (r"server_name 'a\r\nb';", r"space or control character in server name 'a\r\nb' in :1"),
        ("proxy_buffer x;", '"proxy_buffer" directive invalid value in :1'),
        (
            f"proxy_buffer {MIN_PROXY_BUFFER - 1};",
            f'"proxy_buffer" must be at least {MIN_PROXY_BUFFER} bytes in :1',
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert mistake(tmp_path, f"mail {{ server {{ {text} }} }}", *GROUPS) == message


@pytest.mark.parametrize("word", ["B\r\n* BYE", "\n", "B\0"])
def test_a_capability_stays_in_its_line(word: str) -> None:
    scene = Scene("x_capabilities", None, "/", "/", print)
    with pytest.raises(ConfigError, match=r"^control character in capability '"):
        CAPABILITIES.parse(["A", word], scene)
    assert CAPABILITIES.parse(["A", "b c", "\udcff"], scene) == (b"A", b"b c", b"\xff")
