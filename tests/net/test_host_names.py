"""Names of hosts: which are believed, and what is asked for."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.net.host_names import is_host_name, packed, raw, reverse_name

LONGEST = b".".join([b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61])


@pytest.mark.parametrize("name", [b"a", b"mail.example.com", b"A-1.b", b"10.0.0.1", LONGEST])
def test_believed(name: bytes) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"a b",
        b"a_b",
        b"a\r\nb",
        b"a\n",
        b"\n",
        b"a\0b",
        b"a\\013b",
        b"a\\.b",
        b"[UNAVAILABLE]",
        b"a\xff",
        b"a;b",
        b"a=b",
        LONGEST + b"e",
    ],
)
def test_not_believed(name: bytes) -> None:
    assert not is_host_name(name)


@given(st.binary(max_size=300))
def test_what_is_believed_can_stand_in_a_line(name: bytes) -> None:
    if is_host_name(name):
        assert name.isascii()
        assert name.decode().isprintable()
        assert not set(name) & set(b" \"'%[]\\=<>")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain.example", b"plain.example"),
        (b"a\\013\\010b.ex", b"a\r\nb.ex"),
        (b"a\\000b", b"a\0b"),
        (b"a\\.b\\\\\\(", b"a.b\\("),
        (b"\\255", b"\xff"),
    ],
)
def test_the_bytes_behind_the_presentation(name: bytes, shown: bytes) -> None:
    assert raw(name) == shown


def test_packed() -> None:
    assert packed("127.0.0.1") == b"\x7f\0\0\1"
    assert packed("::1") == bytes(15) + b"\1"
    assert packed("fe80::1%eth0") == packed("fe80::1")
    assert packed("::ffff:127.0.0.1") != packed("127.0.0.1")
    with pytest.raises(OSError, match="illegal IP address"):
        packed("mail.example.com")


@given(st.ip_addresses())
def test_reverse_names_are_those_of_the_standard_library(
    address: "ipaddress.IPv4Address | ipaddress.IPv6Address",
) -> None:
    assert reverse_name(address.packed) == address.reverse_pointer
