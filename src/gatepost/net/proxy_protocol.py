"""The PROXY protocol, versions 1 and 2: a proxy in front says who its client is. Headers <-> values; pure.

Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, and nginx where the two differ: what it takes
from others is taken here (any text of address characters, no limit of 107 bytes), what it sends is sent.

Theory of operation. ``parse`` is given what has arrived. While it answers None, everything so far belongs to the
header; when it answers a ``Header``, the first ``size`` bytes do. So a reader can take exactly the header out of
the socket, however it is cut, and leave the TLS handshake behind it where it is.
"""

import re
import socket
import struct
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gatepost.address import Address
from gatepost.errors import ClientError
from gatepost.log import Level, quoted
from gatepost.tls.handover import Handover

MAX_HEADER_BYTES = 4096  # nginx's; one of HAProxy's with every TLV has about 300

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED_BYTES = 16  # of version 2: signature, version and command, family and transport, length

_LOCAL, _PROXY = 0x20, 0x21  # version and command
_STREAM = 1
_IPV4, _IPV6 = 1, 2
_FORMATS = {  # of an address block
    _IPV4: (socket.AF_INET, struct.Struct("!4s4sHH")),
    _IPV6: (socket.AF_INET6, struct.Struct("!16s16sHH")),
}

_ALPN, _AUTHORITY, _CRC32C, _SSL = 0x01, 0x02, 0x03, 0x20
_SSL_VERSION, _SSL_CN, _SSL_CIPHER, _SSL_SIG_ALG, _SSL_KEY_ALG = 0x21, 0x22, 0x23, 0x24, 0x25
_CLIENT_SSL, _CLIENT_CERT_CONN, _CLIENT_CERT_SESS = 0x01, 0x02, 0x04
_MAPPED = b"\0" * 10 + b"\xff\xff"  # RFC 4291 section 2.5.5.2: an IPv4 address follows

_ADDRESS = rb"[0-9A-Fa-f:.]*"
_LINE = re.compile(
    rb"PROXY (?:TCP[46] (%b) (%b) ([0-9]+) ([0-9]+)|UNKNOWN.*?)\r\n" % (_ADDRESS, _ADDRESS), re.DOTALL
)
_LINE_BEGUN = re.compile(
    rb"PROXY (?:TCP[46] %b(?: %b(?: (?:[0-9]*|[0-9]+ (?:[0-9]*|[0-9]+\r)))?)?|UNKNOWN.*)" % (_ADDRESS, _ADDRESS),
    re.DOTALL,
)
_LINE_STARTS = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")


class HeaderError(ClientError):
    """What arrived is not a PROXY header that we understand."""

    default_level = Level.ERROR  # whoever sends headers is ours to mend


@dataclass(frozen=True, slots=True)
class Proxied:
    """Addresses as a header recorded them. Version 1 can record any address characters: perhaps no address."""

    source: bytes
    source_port: bytes
    destination: bytes
    destination_port: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """``size`` in bytes. ``proxied`` is None where the header records no addresses of a TCP connection."""

    size: int
    proxied: Proxied | None


# Reading


def parse(data: bytes) -> Header | None:
    """The header that ``data`` begins with, or None while it is not complete. Raises HeaderError."""
    if data.startswith(SIGNATURE):
        return _binary(data)
    found = None if SIGNATURE.startswith(data) else _line(data[:MAX_HEADER_BYTES])
    if found is None and len(data) >= MAX_HEADER_BYTES:
        raise broken(data)
    return found


def broken(data: bytes) -> HeaderError:
    """The error for what is no header, or ends before it is complete.

    Shows the first line only, as nginx does, and of a line that does not even begin like a header only the first
    word: it is a client's that came without the proxy, and may hold a password.
    """
    line = data[:MAX_HEADER_BYTES].replace(b"\r", b"\n").partition(b"\n")[0]
    word, space, _ = line.partition(b" ")
    text = quoted(line) if word == b"PROXY" or not space else f"{quoted(word)}..."
    return HeaderError(f'broken header: "{text}"')


def _line(data: bytes) -> Header | None:
    match = _LINE.match(data)
    if match is None:
        if _LINE_BEGUN.fullmatch(data) or any(start.startswith(data) for start in _LINE_STARTS):
            return None
        raise broken(data)
    source, destination, *ports = match.groups()
    if source is None:
        return Header(match.end(), None)
    source_port, destination_port = (_port(digits, data) for digits in ports)
    return Header(match.end(), Proxied(source, source_port, destination, destination_port))


def _port(digits: bytes, data: bytes) -> bytes:
    plain = digits.lstrip(b"0") or b"0"
    if len(plain) > 5 or int(plain) > 65535:
        raise broken(data)
    return plain


def _binary(data: bytes) -> Header | None:
    if len(data) < _FIXED_BYTES:
        return None
    version, command = data[12] >> 4, data[12] & 15
    family, transport = data[13] >> 4, data[13] & 15
    size = _FIXED_BYTES + int.from_bytes(data[14:16], "big")
    if version != 2:
        raise HeaderError(f"unknown PROXY protocol version: {version}")
    if size > MAX_HEADER_BYTES:
        raise HeaderError("header is too large")
    if len(data) < size:
        return None
    if command != _PROXY & 15 or transport != _STREAM or family not in _FORMATS:
        return Header(size, None)
    kind, block = _FORMATS[family]
    if size < _FIXED_BYTES + block.size:
        raise HeaderError("header is too short")  # nginx closes without a word
    source, destination, source_port, destination_port = block.unpack_from(data, _FIXED_BYTES)
    return Header(
        size,
        Proxied(
            socket.inet_ntop(kind, source).encode(),
            b"%d" % source_port,
            socket.inet_ntop(kind, destination).encode(),
            b"%d" % destination_port,
        ),
    )


# Writing


class Encrypted(typing.Protocol):
    """A TLS connection that can tell about itself (``tls.connection.Connection``)."""

    @property
    def handover(self) -> Handover: ...


def version_1(source: Address, destination: Address, _tls: Encrypted | None = None) -> bytes:
    """The family is that of ``source``; ``destination`` is written as what it is, as nginx does."""
    if source.family is socket.AF_UNIX:
        return b"PROXY UNKNOWN\r\n"
    destination = _of_a_network(destination, source.family)
    family = 6 if source.family is socket.AF_INET6 else 4
    return f"PROXY TCP{family} {_plain(source)} {_plain(destination)} {source.port} {destination.port}\r\n".encode()


def version_2(source: Address, destination: Address, tls: Encrypted | None = None) -> bytes:
    """With all that is known about the client's TLS, and a checksum."""
    if source.family is socket.AF_UNIX:
        command, family, block = _LOCAL, 0, b""
    else:
        command = _PROXY
        destination = _of_a_network(destination, source.family)
        ends = _packed(source), _packed(destination)
        kind = _IPV6
        if all(end.startswith(_MAPPED) for end in ends):
            kind, ends = _IPV4, (ends[0][12:], ends[1][12:])
        family = kind << 4 | _STREAM
        block = _FORMATS[kind][1].pack(*ends, source.port, destination.port)
    body = block + (_tls_items(tls.handover) if tls is not None else b"")
    head = SIGNATURE + struct.pack("!BBH", command, family, len(body) + _CHECKSUM_BYTES) + body
    checksum = crc32c(head + _item(_CRC32C, b"\0\0\0\0"))
    return head + _item(_CRC32C, checksum.to_bytes(4, "big"))


Writer: TypeAlias = Callable[[Address, Address, Encrypted | None], bytes]

# By the word of the directive ``proxy_protocol``.
WRITERS: Mapping[str, Writer] = {"on": version_1, "v2": version_2}


def _of_a_network(destination: Address, family: socket.AddressFamily) -> Address:
    """A unix socket has no place beside an address of the network (a client known by ``set_real_ip_from``)."""
    if destination.family is not socket.AF_UNIX:
        return destination
    return Address(family, "::" if family is socket.AF_INET6 else "0.0.0.0", 0)


def _plain(address: Address) -> str:
    """Without the zone that an IPv6 address of one link has: it means nothing elsewhere."""
    return address.host.partition("%")[0]


def _packed(address: Address) -> bytes:
    """16 bytes; IPv4 as IPv6 writes it."""
    packed = socket.inet_pton(address.family, _plain(address))
    return packed if address.family is socket.AF_INET6 else _MAPPED + packed


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


_CHECKSUM_BYTES = len(_item(_CRC32C, b"\0\0\0\0"))


def _tls_items(tls: Handover) -> bytes:
    """Type, length and value of everything, in nginx's order; what is not known is left out."""
    flags = _CLIENT_SSL
    if tls.has_certificate:
        flags |= _CLIENT_CERT_SESS if tls.is_resumed else _CLIENT_CERT_SESS | _CLIENT_CERT_CONN
    known = (
        (_SSL_VERSION, tls.protocol),
        (_SSL_CN, tls.client_name),
        (_SSL_CIPHER, tls.cipher),
        (_SSL_SIG_ALG, tls.signature),
        (_SSL_KEY_ALG, tls.key),
    )
    verify = tls.verify if tls.has_certificate else 1
    ssl = struct.pack("!BI", flags, verify) + b"".join(_item(kind, value) for kind, value in known if value)
    names = ((_AUTHORITY, tls.sni), (_ALPN, tls.alpn))
    return b"".join(_item(kind, value) for kind, value in names if value) + _item(_SSL, ssl)


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # RFC 3720 section 12.1, reflected
        table.append(value)
    return tuple(table)


_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3720 section 12.1 (Castagnoli); zlib's is another one."""
    table = _TABLE
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
