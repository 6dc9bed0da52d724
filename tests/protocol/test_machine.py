"""What every protocol must offer so that the driver need not know it."""

import dataclasses
from pathlib import Path

import pytest

from gatepost.address import from_literal
from gatepost.config.build import Server
from gatepost.config.directive import rows
from gatepost.config.settings import ListenSettings
from gatepost.protocol import protocols
from gatepost.protocol.events import ClientNamed, Close, Effect, Note, ResolveClient, Send
from gatepost.protocol.machine import ClientMachine, Protocol
from gatepost.protocol.settings import ProtocolSettings
from gatepost.tls.settings import TlsSettings
from tests.reading import read


def server(directory: Path, protocol: Protocol) -> Server:
    text = f"mail {{ server {{ listen 1; protocol {protocol.name}; }} }}"
    return read(directory, text, ListenSettings, ProtocolSettings, TlsSettings, protocol.settings).servers[0]


def greeting(client: ClientMachine) -> list[Effect]:
    """What a machine says first; it is told the client's name if it asks."""
    effects = client.start()
    return client.tell(ClientNamed(b"[UNAVAILABLE]")) if effects == [ResolveClient()] else effects


@pytest.mark.parametrize("protocol", protocols().values(), ids=lambda protocol: protocol.name)
class TestContract:
    def test_last_words_are_whole_lines(self, protocol: Protocol) -> None:
        for words in dataclasses.astuple(protocol.last_words):
            assert words.endswith(b"\r\n")
            assert words.count(b"\n") == 1

    def test_names_and_ports(self, protocol: Protocol) -> None:
        assert protocol.name.islower()
        assert protocol.alpn == protocol.name.encode()
        assert protocol.upstream_port in protocol.ports
        assert all(0 < port < 65536 for port in protocol.ports)

    def test_a_directive_lists_its_mechanisms(self, protocol: Protocol) -> None:
        # What may not be offered with ``proxy_pass`` is looked for there.
        name = f"{protocol.name}_auth"
        assert rows(protocol.settings)[name].name == name

    @pytest.mark.parametrize("tls", [False, True])
    def test_serves_clients(self, protocol: Protocol, tls: bool, tmp_path: Path) -> None:
        service = protocol.serve(server(tmp_path, protocol))
        client = service.client(tls=tls, address=from_literal("192.0.2.1", 4711))
        (first,) = greeting(client)
        assert isinstance(first, Send)
        assert first.data.endswith(b"\r\n")
        assert client.receive(b"early") == []
        assert client.rest() == b"early"

    def test_clients_do_not_share_anything_that_changes(self, protocol: Protocol, tmp_path: Path) -> None:
        service = protocol.serve(server(tmp_path, protocol))
        address = from_literal("::1", 4711)
        first, second = (service.client(tls=False, address=address) for _ in range(2))
        first.receive(b"half a li")
        assert second.rest() == b""

    def test_garbage_ends_in_a_close(self, protocol: Protocol, tmp_path: Path) -> None:
        client = protocol.serve(server(tmp_path, protocol)).client(tls=False, address=from_literal("::1", 4711))
        greeting(client)
        effects = client.receive(b"\xff\r\n" * 1000)
        assert effects[-1] == Close()
        assert all(isinstance(effect, Send | Note) for effect in effects[:-1])
