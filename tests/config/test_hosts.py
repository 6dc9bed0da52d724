"""Hosts and ports of a configuration."""

import socket

import pytest

from gatepost.address import Address
from gatepost.config.hosts import HostError, addresses_of, host_and_port


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail", ("mail", 53)),
        ("mail:1", ("mail", 1)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[::1]", ("[::1]", 53)),
        ("[::1]:80", ("[::1]", 80)),
    ],
)
def test_parts(text: str, found: tuple[str, int]) -> None:
    assert host_and_port(text, 53) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mail:", "invalid port"),
        ("mail:0", "invalid port"),
        ("mail:65536", "invalid port"),
        ("mail:1a", "invalid port"),
        ("mail:٣", "invalid port"),
        ("mail:000000001", "invalid port"),
        ("::1", "invalid port"),
        (":53", "no host"),
        ("", "no host"),
        ("[::1", "invalid host"),
        ("[::1]53", "invalid host"),
    ],
)
def test_bad_parts(text: str, reason: str) -> None:
    with pytest.raises(HostError) as caught:
        host_and_port(text, 53)
    assert caught.value.message == reason


@pytest.mark.parametrize(
    ("host", "family", "numeric"),
    [("10.0.0.1", socket.AF_INET, "10.0.0.1"), ("[::0:1]", socket.AF_INET6, "::1")],
)
def test_literals(host: str, family: socket.AddressFamily, numeric: str) -> None:
    assert addresses_of(host, 7) == (Address(family, numeric, 7),)


def test_names_give_all_their_addresses_ipv4_first() -> None:
    found = addresses_of("localhost", 7)
    assert Address(socket.AF_INET, "127.0.0.1", 7) in found
    assert list(found) == sorted(set(found), key=lambda address: address.family is not socket.AF_INET)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("[10.0.0.1]", "invalid IPv6 address"),
        ("[x]", "invalid IPv6 address"),
        ("a/b", "invalid host"),
        ("a b", "host not found"),
        ("a\nb", "invalid host"),
        ("mäil", "host not found"),
        ("no-such-host.invalid", "host not found"),
    ],
)
def test_bad_hosts(host: str, reason: str) -> None:
    with pytest.raises(HostError) as caught:
        addresses_of(host, 7)
    assert caught.value.message == reason
