"""The words of ``resolver``."""

import socket
from pathlib import Path

import pytest

from gatepost.address import Address
from gatepost.net.name_servers import NameServers
from gatepost.net.settings import ResolverSettings
from tests.reading import mistake, read

LOCAL = Address(socket.AF_INET, "127.0.0.1", 53)


def value(tmp_path: Path, words: str) -> NameServers | None:
    text = f"mail {{ server {{ resolver {words}; }} }}"
    return read(tmp_path, text, ResolverSettings).servers[0][ResolverSettings].resolver


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("127.0.0.1", NameServers((LOCAL,))),
        ("127.0.0.1:53 127.0.0.1", NameServers((LOCAL,))),
        (
            "127.0.0.1:5353 [::1] [fe80::1]:54",
            NameServers(
                (
                    Address(socket.AF_INET, "127.0.0.1", 5353),
                    Address(socket.AF_INET6, "::1", 53),
                    Address(socket.AF_INET6, "fe80::1", 54),
                )
            ),
        ),
        ("127.0.0.1 valid=1h30m", NameServers((LOCAL,), valid_seconds=5400)),
        ("valid=10 127.0.0.1", NameServers((LOCAL,), valid_seconds=10)),
        ("127.0.0.1 valid=1M", NameServers((LOCAL,), valid_seconds=30 * 86400)),
        ("127.0.0.1 ipv6=off", NameServers((LOCAL,), ipv6=False)),
        ("ipv4=off 127.0.0.1 ipv6=on", NameServers((LOCAL,), ipv4=False)),
        ("off", None),
    ],
)
def test_values(tmp_path: Path, words: str, expected: NameServers | None) -> None:
    assert value(tmp_path, words) == expected


def test_a_host_name_stands_for_its_addresses(tmp_path: Path) -> None:
    found = value(tmp_path, "localhost:5353")
    assert found is not None
    assert Address(socket.AF_INET, "127.0.0.1", 5353) in found.addresses


def test_words_behind_off_are_said_to_be_ignored(tmp_path: Path) -> None:
    warnings: list[str] = []
    read(tmp_path, "mail { server { resolver off 127.0.0.1; } }", ResolverSettings, warn=warnings.append)
    assert len(warnings) == 1
    assert warnings[0].startswith('what follows "off" in "resolver" is ignored in ')


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("no-such-host.invalid", 'host not found in resolver "no-such-host.invalid"'),
        ("OFF.invalid", 'host not found in resolver "OFF.invalid"'),
        ("127.0.0.1:0", 'invalid port in resolver "127.0.0.1:0"'),
        ("127.0.0.1:dns", 'invalid port in resolver "127.0.0.1:dns"'),
        ("::1", 'invalid port in resolver "::1"'),
        (":53", 'no host in resolver ":53"'),
        ("[::1", 'invalid host in resolver "[::1"'),
        ("[::x]", 'invalid IPv6 address in resolver "[::x]"'),
        ("127.0.0.1/dns", 'invalid host in resolver "127.0.0.1/dns"'),
        ("127.0.0.1:53/dns", 'invalid host in resolver "127.0.0.1:53/dns"'),
        ("unix:/run/dns", 'invalid host in resolver "unix:/run/dns"'),
        ("127.0.0.1 valid=x", "invalid parameter: valid=x"),
        ("127.0.0.1 valid=", "invalid parameter: valid="),
        ("127.0.0.1 valid=5ms", "invalid parameter: valid=5ms"),
        ("127.0.0.1 ipv4=ON", "invalid parameter: ipv4=ON"),
        ("127.0.0.1 ipv6=", "invalid parameter: ipv6="),
        ("127.0.0.1 ipv4=off ipv6=off", '"ipv4" and "ipv6" cannot both be "off"'),
        ("valid=5s", "no name servers defined"),
    ],
)
def test_bad_words(tmp_path: Path, words: str, message: str) -> None:
    text = f"mail {{ server {{\nresolver {words}; }} }}"
    assert mistake(tmp_path, text, ResolverSettings) == f"{message} in :2"
