"""Whom we believe about a client's address."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import Address, from_literal, unix
from gatepost.config.directive import Scene
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError, Where
from gatepost.net.proxy_protocol import Proxied
from gatepost.net.real_ip import TRUSTED, Trusted, client_address
from gatepost.session.settings import SessionSettings
from tests.reading import mistake, read

GROUPS = (ListenSettings, SessionSettings)


def _trusted(*values: str) -> tuple[Trusted, list[str]]:
    """What the values of several uses make together, and the warnings."""
    warnings: list[str] = []
    scene = Scene("set_real_ip_from", Where("f", 1), "/", "/", warnings.append)
    found = Trusted()
    for value in values:
        found += TRUSTED.parse([value], scene)
    return found, warnings


def _covers(trusted: Trusted, host: str) -> bool:
    return trusted.covers(unix("") if host == "unix:" else from_literal(host, 1))


@pytest.mark.parametrize(
    ("value", "inside", "outside"),
    [
        ("127.0.0.1", "127.0.0.1 ::ffff:127.0.0.1", "127.0.0.2 ::1 unix:"),
        ("10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3", "9.255.255.255 11.0.0.0 ::10.1.2.3 unix:"),
        ("192.0.2.6/31", "192.0.2.6 192.0.2.7", "192.0.2.5 192.0.2.8"),
        ("192.0.2.6/32", "192.0.2.6", "192.0.2.7"),
        ("0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", ":: ::1 2001:db8::1 unix:"),
        ("::1", "::1", ":: ::2 127.0.0.1 unix:"),
        ("2001:db8::/32", "2001:db8:: 2001:db8:ffff::1", "2001:db9:: 2001:db7:ffff::"),
        ("::/0", ":: 2001:db8::1 ffff::", "127.0.0.1 ::ffff:127.0.0.1 unix:"),
        ("unix:", "unix:", "127.0.0.1 ::1"),
    ],
)
def test_whom_a_value_covers(value: str, inside: str, outside: str) -> None:
    trusted, warnings = _trusted(value)
    assert warnings == []
    assert [host for host in inside.split() if not _covers(trusted, host)] == []
    assert [host for host in outside.split() if _covers(trusted, host)] == []


def test_values_add_up() -> None:
    trusted, _ = _trusted("10.0.0.0/8", "unix:", "::1")
    assert all(_covers(trusted, host) for host in ("10.1.1.1", "unix:", "::1"))
    assert not _covers(trusted, "127.0.0.1")


def test_nobody_is_believed_by_default() -> None:
    assert not any(_covers(Trusted(), host) for host in ("127.0.0.1", "::1", "unix:"))


def test_an_address_of_one_link() -> None:
    trusted, _ = _trusted("fe80::/10")
    assert trusted.covers(Address(socket.AF_INET6, "fe80::1%eth0", 1))


def test_a_host_name_stands_for_its_addresses() -> None:
    trusted, warnings = _trusted("localhost")
    assert warnings == []
    assert _covers(trusted, "127.0.0.1")
    assert not _covers(trusted, "127.0.0.2")


@pytest.mark.parametrize(
    ("value", "covered"),
    [("10.1.2.3/8", "10.9.9.9"), ("2001:db8::1/32", "2001:db8::9"), ("127.0.0.1/0", "1.2.3.4")],
)
def test_low_bits_are_cleared_with_a_warning(value: str, covered: str) -> None:
    trusted, warnings = _trusted(value)
    assert warnings == [f"low address bits of {value} are meaningless"]
    assert _covers(trusted, covered)


@pytest.mark.parametrize(
    "value",
    [
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/8/8",
        "::1/129",
        "[::1]",
        "fe80::1%lo/10",
        "",
        "/8",
        "unix:/run/x",
        "no.such.host.invalid",
        "a b",
        "a" * 300,
        "\0",
        "ü",
        "\udcff",
    ],
)
def test_what_is_neither_network_nor_host(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _trusted(value)
    assert str(caught.value) == f'host not found in set_real_ip_from "{value}"'


def test_the_directive(tmp_path: Path) -> None:
    text = "mail {{ set_real_ip_from 10.0.0.0/8; {} server {{ listen 1; {} }} }}"

    def settings(mail: str, server: str) -> SessionSettings:
        found = read(tmp_path, text.format(mail, server), *GROUPS)
        return found.servers[0][SessionSettings]

    assert settings("", "").set_real_ip_from == _trusted("10.0.0.0/8")[0]
    assert settings("set_real_ip_from unix:;", "").set_real_ip_from == _trusted("10.0.0.0/8", "unix:")[0]
    # The inner level replaces the outer one.
    assert settings("", "set_real_ip_from ::1;").set_real_ip_from == _trusted("::1")[0]
    wrong = "mail {\nset_real_ip_from no.such.host.invalid;\n}"
    assert mistake(tmp_path, wrong, *GROUPS) == 'host not found in set_real_ip_from "no.such.host.invalid" in :2'


@pytest.mark.parametrize(
    ("source", "host"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"2001:DB8:0:0::1", "2001:db8::1"),
        (b"::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        (b"999.1.1.1", None),
        (b"1.2.3", None),
        (b"", None),
        (b":::", None),
        (b"...", None),
        (b"1" * 4000, None),
    ],
)
def test_the_recorded_source(source: bytes, host: str | None) -> None:
    found = client_address(Proxied(source, b"1234", b"x", b"1"))
    if host is None:
        assert found is None
    else:
        assert found == Address(socket.AF_INET6 if ":" in host else socket.AF_INET, host, 1234)


@given(st.text("0123456789abcdefABCDEF:.", max_size=60))
def test_any_recorded_source_is_an_address_or_none(text: str) -> None:
    found = client_address(Proxied(text.encode(), b"65535", b"", b"0"))
    assert found is None or socket.inet_pton(found.family, found.host)
