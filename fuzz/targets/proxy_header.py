"""PROXY headers, versions 1 and 2, as a proxy in front sends them; and back."""

import socket
from collections.abc import Iterator

from fuzz.target import Choices, Target, is_one_line, padded
from gatepost.address import Address
from gatepost.net.proxy_protocol import (
    MAX_HEADER_BYTES,
    SIGNATURE,
    Header,
    HeaderError,
    broken,
    parse,
    version_1,
    version_2,
)
from gatepost.net.real_ip import client_address

DESTINATIONS = (Address(socket.AF_INET, "192.0.2.9", 993), Address(socket.AF_INET6, "2001:db8::9", 993))


def run(data: bytes) -> None:
    choices = Choices(data)
    destination = DESTINATIONS[choices.number(2)]
    stream = padded(choices.rest(), MAX_HEADER_BYTES - 100)
    whole = outcome(stream)
    assert is_one_line(str(broken(stream)))
    if whole is None:
        assert len(stream) < MAX_HEADER_BYTES
    if isinstance(whole, Header):
        assert 0 < whole.size <= min(len(stream), MAX_HEADER_BYTES)
        assert outcome(stream[: whole.size]) == whole
        check_addresses(whole, destination)
    # A beginning is either not complete or says the same.
    for end in {*range(min(len(stream), 300)), len(stream) - 1}:
        early = outcome(stream[: max(end, 0)])
        if isinstance(early, Header):
            assert early == whole
        elif isinstance(early, str):
            assert isinstance(whole, str)


def outcome(data: bytes) -> Header | str | None:
    try:
        return parse(data)
    except HeaderError as error:
        assert is_one_line(str(error))
        return "error"


def check_addresses(header: Header, destination: Address) -> None:
    proxied = header.proxied
    if proxied is None:
        return
    everything = proxied.source + proxied.source_port + proxied.destination + proxied.destination_port
    assert not set(everything) - set(b"0123456789abcdefABCDEF:.")
    assert 0 <= int(proxied.source_port) <= 65535
    assert 0 <= int(proxied.destination_port) <= 65535
    client = client_address(proxied)
    if client is None:
        return
    for written in (version_1(client, destination), version_2(client, destination)):
        again = parse(written)
        assert again is not None
        assert again.size == len(written)
        assert again.proxied is not None
        read = client_address(again.proxied)
        assert read is not None
        assert (packed(read), read.port) == (packed(client), client.port)


def packed(address: Address) -> bytes:
    """16 bytes; IPv4 as IPv6 writes it."""
    found = socket.inet_pton(address.family, address.host)
    return found if len(found) == 16 else b"\0" * 10 + b"\xff\xff" + found


def seeds() -> Iterator[bytes]:
    sources = (Address(socket.AF_INET, "192.0.2.1", 40000), Address(socket.AF_INET6, "2001:db8::1", 1))
    headers = [write(source, to) for write in (version_1, version_2) for source in sources for to in DESTINATIONS]
    headers += [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ~x~\r\n",
        b"PROXY TCP4 999.1.1.1 : 00001 65535\r\n",
        SIGNATURE + b"\x20\x00\x00\x00",
        SIGNATURE + b"\x21\x11\x00\x00",
        SIGNATURE + b"\x21\x31\x00\x04abcd",
        SIGNATURE + b"\x31\x11\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x21\x11\xff\xff",
        b"a LOGIN user secret\r\n",
        b"\x16\x03\x01",
    ]
    for header in headers:
        yield b"\0" + header
        yield b"\1" + header + b"\x16\x03\x01rest"


TARGET = Target(
    "proxy_header",
    run,
    words=(
        *(b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN", b"192.0.2.1", b"2001:db8::1", b" 65535", b" 0"),
        *(SIGNATURE, b"\x21\x11\x00\x0c", b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"\r\n", b"\r", b"\n", b" "),
        *(b"~x~", b"\x20\x00\x05\x01\x00\x00\x00\x00", b"\x03\x00\x04abcd"),
    ),
    seeds=seeds,
)
