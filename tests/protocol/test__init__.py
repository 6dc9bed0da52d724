"""Which protocols there are, and which one a server speaks."""

from pathlib import Path

import pytest

from gatepost import protocol
from gatepost.config.settings import ListenSettings
from gatepost.protocol import protocol_of, protocols
from gatepost.protocol.settings import ProtocolSettings
from tests.reading import mistake, read


def test_protocols_are_found_by_their_packages() -> None:
    packages = sorted(path.parent.name for path in Path(protocol.__file__).parent.glob("*/__init__.py"))
    assert list(protocols()) == packages
    assert {"imap", "pop3"} <= set(packages)
    assert protocols() is protocols()


def test_ports_and_names_are_told_apart() -> None:
    ports = [port for protocol in protocols().values() for port in protocol.ports]
    assert len(set(ports)) == len(ports)
    assert all(name == protocol.name for name, protocol in protocols().items())


@pytest.mark.parametrize(
    "text",
    [
        "listen 143;",
        "listen 993 ssl;",
        "listen 127.0.0.1:143;",
        "listen 1430; listen unix:/tmp/x; listen [::1]:143; listen 25;",
        "listen 143-150;",
        "listen 1430; protocol imap;",
        "protocol imap; listen unix:/tmp/x;",
    ],
)
def test_imap_by_port_or_word(tmp_path: Path, text: str) -> None:
    (server,) = read(tmp_path, f"mail {{ server {{ {text} }} }}", ListenSettings, ProtocolSettings).servers
    assert protocol_of(server).name == "imap"


@pytest.mark.parametrize("text", ["listen 1430;", "listen unix:/tmp/143;", "listen 142-143;"])
def test_no_protocol_is_known(tmp_path: Path, text: str) -> None:
    whole = f"mail {{\n server {{\n {text}\n }}\n}}"
    assert mistake(tmp_path, whole, ListenSettings, ProtocolSettings) == "unknown mail protocol for server in :2"
