"""Addresses as values."""

import socket
from pathlib import Path

import pytest

from gatepost.address import Address, from_literal, unix


@pytest.mark.parametrize(
    ("host", "family", "kept", "shown"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1", "127.0.0.1:143"),
        ("::1", socket.AF_INET6, "::1", "[::1]:143"),
        ("[::1]", socket.AF_INET6, "::1", "[::1]:143"),
        ("2001:DB8:0:0::0001", socket.AF_INET6, "2001:db8::1", "[2001:db8::1]:143"),
        ("0.0.0.0", socket.AF_INET, "0.0.0.0", "0.0.0.0:143"),
    ],
)
def test_literals(host: str, family: socket.AddressFamily, kept: str, shown: str) -> None:
    address = from_literal(host, 143)
    assert address == Address(family, kept, 143)
    assert address.sockaddr == (kept, 143)
    assert str(address) == shown


@pytest.mark.parametrize(
    "host", ["localhost", "", "127.0.0", "127.0.0.1.", "1.2.3.256", "[::1", "::1]", "[]", "::g"]
)
def test_names_and_nonsense_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        from_literal(host, 143)


def test_unix_sockets_have_a_path_and_no_port() -> None:
    address = unix("/run/imap")
    assert (address.family, address.port, address.sockaddr) == (socket.AF_UNIX, 0, "/run/imap")
    assert str(address) == "unix:/run/imap"


def test_equal_addresses_are_one_key() -> None:
    assert (
        len({from_literal("[::1]", 1), from_literal("0::1", 1), from_literal("::1", 2), unix("/x"), unix("/x")})
        == 3
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_socket_takes_it(host: str) -> None:
    address = from_literal(host, 0)
    with socket.socket(address.family) as listener:
        listener.bind(address.sockaddr)
        listener.listen()
        there = from_literal(host, listener.getsockname()[1])
        with socket.socket(there.family) as client:
            client.connect(there.sockaddr)


def test_a_socket_takes_a_path(tmp_path: Path) -> None:
    address = unix(str(tmp_path / "s"))
    with socket.socket(address.family) as listener:
        listener.bind(address.sockaddr)
        assert listener.getsockname() == address.host
