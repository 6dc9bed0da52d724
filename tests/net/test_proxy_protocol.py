"""The codec of the PROXY protocol: every form of a header, every mistake, any bytes in any cuts."""

import socket
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import Address, from_literal, unix
from gatepost.log import Level
from gatepost.net.proxy_protocol import (
    MAX_HEADER_BYTES,
    SIGNATURE,
    WRITERS,
    Header,
    HeaderError,
    Proxied,
    broken,
    crc32c,
    parse,
    version_1,
    version_2,
)
from gatepost.tls.handover import Handover

SOME = Proxied(b"192.0.2.1", b"1234", b"192.0.2.2", b"993")
BEHIND = b"\x16\x03\x01\x02\x00\x01"  # what a TLS client sends right behind a header


def binary(command: int = 0x21, family: int = 0x11, body: bytes = b"", *, size: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if size is None else size) + body


def ipv4(source: str, destination: str, *ports: int) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!HH", *ports)


def ipv6(source: str, destination: str, *ports: int) -> bytes:
    both = b"".join(socket.inet_pton(socket.AF_INET6, host) for host in (source, destination))
    return both + struct.pack("!HH", *ports)


def outcome(data: bytes, cuts: tuple[int, ...] = ()) -> tuple[Header | str | None, int]:
    """What a reader comes to that gets ``data`` cut at ``cuts``, and how many bytes it had seen by then."""
    for end in (*sorted(cut for cut in cuts if cut < len(data)), len(data)):
        try:
            found = parse(data[:end])
        except HeaderError as error:
            return str(error).partition(":")[0], end
        if found is not None:
            return found, end
    return None, len(data)


# Reading


@pytest.mark.parametrize(
    ("data", "proxied"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 993\r\n", SOME),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 01234 0993\r\n", SOME),
        (b"PROXY TCP4 999.1.1.1 ff:: 0 65535\r\n", Proxied(b"999.1.1.1", b"0", b"ff::", b"65535")),
        (b"PROXY TCP6 2001:DB8::1 ::ffff:1.2.3.4 1 2\r\n", Proxied(b"2001:DB8::1", b"1", b"::ffff:1.2.3.4", b"2")),
        (b"PROXY TCP4   1 2\r\n", Proxied(b"", b"1", b"", b"2")),
        (b"PROXY TCP6 ... ::: 00000000 1\r\n", Proxied(b"...", b"0", b":::", b"1")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
        (b"PROXY UNKNOWNx \0\xff\r\r \n\n\r\n", None),
        (binary(body=ipv4("192.0.2.1", "192.0.2.2", 1234, 993)), SOME),
        (binary(body=ipv4("192.0.2.1", "192.0.2.2", 1234, 993) + b"\3\0\4....\1\0\xffbroken TLV"), SOME),
        (
            binary(family=0x21, body=ipv6("2001:0db8:0::1", "::ffff:1.2.3.4", 1, 65535)),
            Proxied(b"2001:db8::1", b"1", b"::ffff:1.2.3.4", b"65535"),
        ),
        (binary(0x20, 0x00), None),
        (binary(0x20, 0x11, ipv4("192.0.2.1", "192.0.2.2", 1, 2)), None),
        (binary(0x2F, 0x11, b"too short"), None),
        (binary(0x21, 0x12, ipv4("192.0.2.1", "192.0.2.2", 1, 2)), None),  # a datagram
        (binary(0x21, 0x10, b""), None),
        (binary(0x21, 0x31, b"/a".ljust(216, b"\0")), None),
        (binary(0x21, 0x01, b""), None),
        (binary(0x21, 0xF1, b"future"), None),
        (binary(0x20, 0x00, b"x" * (MAX_HEADER_BYTES - 16)), None),
        (b"PROXY UNKNOWN".ljust(MAX_HEADER_BYTES - 2) + b"\r\n", None),
        (b"PROXY TCP4 " + b"1" * 3000 + b" 1 1 1\r\n", Proxied(b"1" * 3000, b"1", b"1", b"1")),
    ],
)
@pytest.mark.parametrize("behind", [b"", BEHIND, b"a NOOP\r\n"], ids=["alone", "TLS", "command"])
def test_good_headers(data: bytes, proxied: Proxied | None, behind: bytes) -> None:
    assert parse(data + behind) == Header(len(data), proxied)
    for end in range(len(data)):
        assert parse(data[:end]) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a LOGIN joe secret\r\n", "a..."),
        (b"GET / HTTP/1.0\r\n\r\n", "GET..."),
        (BEHIND, r"\x16\x03\x01\x02\x00\x01"),
        (b"PROXY\r\n", "PROXY"),
        (b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "proxy..."),
        (b"PROXY  TCP4", "PROXY  TCP4"),
        (b"PROXY TCP5 ", "PROXY TCP5 "),
        (b"PROXY UNIX", "PROXY UNIX"),
        (b"PROXY UNKNOWX", "PROXY UNKNOWX"),
        (b"PROXY TCP4\r\n", "PROXY TCP4"),
        (b"PROXY TCP4 1.1.1.1\t1.1.1.1 1 1\r\n", r"PROXY TCP4 1.1.1.1\x091.1.1.1 1 1"),
        (b"PROXY TCP4 1.1.1.1/8 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1/8 1.1.1.1 1 1"),
        (b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", "PROXY TCP6 fe80::1%eth0 ::1 1 1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1  1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1  1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 \r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 "),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 "),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rx", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 099999\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 099999"),
        (b'PROXY \xff"\\x', r"PROXY \xFF\x22\x5Cx"),
        (b"\r\n\r\n\0\r\nQUIX", ""),
        (b"\r\nPROXY", ""),
        (b"PROXY TCP4 " + b"1" * 5000, "PROXY TCP4 " + "1" * 1013 + "..."),
        (b"PROXY UNKNOWN".ljust(MAX_HEADER_BYTES - 1) + b"\r\n", "PROXY UNKNOWN".ljust(1024) + "..."),
        (
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 " + b"0" * 5000 + b"1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 " + "0" * 995 + "...",
        ),
    ],
)
def test_broken_headers(data: bytes, text: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse(data)
    assert str(caught.value) == f'broken header: "{text}"'
    assert caught.value.level is Level.ERROR


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (binary(0x11), "unknown PROXY protocol version: 1"),
        (binary(0xF1, size=65535), "unknown PROXY protocol version: 15"),
        (binary(size=MAX_HEADER_BYTES - 15), "header is too large"),
        (binary(0x20, 0, size=65535), "header is too large"),
        (binary(body=ipv4("192.0.2.1", "192.0.2.2", 1, 2)[:-1]), "header is too short"),
        (binary(family=0x21, body=ipv4("192.0.2.1", "192.0.2.2", 1, 2)), "header is too short"),
        (binary(), "header is too short"),
    ],
)
def test_broken_binary_headers(data: bytes, text: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse(data)
    assert str(caught.value) == text
    assert caught.value.level is Level.ERROR


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a LOGIN joe open-sesame\r\n", "a..."),
        (b"PASS open-sesame\r\n", "PASS..."),
        (b"AUTH PLAIN AGpvZQBvcGVuLXNlc2FtZQ==\n", "AUTH..."),
        (b"PROXYPASS open-sesame\r\n", "PROXYPASS..."),
        (b" PASS open-sesame\r\n", "..."),
        (b"NOOP\r\nPASS open-sesame\r\n", "NOOP"),
    ],
)
def test_a_client_that_says_its_password_instead_of_a_header(data: bytes, text: str) -> None:
    assert str(broken(data)) == f'broken header: "{text}"'


def test_the_end_of_the_stream_breaks_a_header() -> None:
    assert str(broken(b"")) == 'broken header: ""'
    assert str(broken(b"PROXY TCP4 1.1.1.1")) == 'broken header: "PROXY TCP4 1.1.1.1"'


headers = st.one_of(
    st.from_regex(rb"\APROXY (TCP[46] [0-9a-f:.]{0,9} [0-9a-f:.]{0,9} \d{1,6} \d{1,6}|UNKNOWN[ \r\n.]{0,9})\r\n\Z"),
    st.builds(
        lambda command, family, body: binary(command, family, body),
        st.sampled_from([0x20, 0x21, 0x22, 0x11]),
        st.sampled_from([0x00, 0x11, 0x12, 0x21, 0x31]),
        st.binary(max_size=60),
    ),
)
pieces = st.sampled_from(
    [
        b"PROXY ",
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"1.1.1.1 ",
        b"::1 ",
        b"1 ",
        b"65536 ",
        b"\r\n",
        b"\r",
        b"\n",
        SIGNATURE,
    ]
)
anything = st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=9).map(b"".join)
cuts = st.lists(st.integers(0, 120), max_size=8).map(tuple)


@given(st.one_of(headers, anything, st.tuples(headers, st.binary(max_size=40)).map(b"".join)), cuts)
def test_any_bytes_in_any_cuts(data: bytes, where: tuple[int, ...]) -> None:
    whole, _ = outcome(data)
    cut, seen = outcome(data, where)
    assert cut == whole
    if isinstance(cut, Header):
        assert cut.size <= seen
    elif cut is None:
        assert len(data) < MAX_HEADER_BYTES


@given(st.one_of(pieces, st.binary(max_size=30)), st.integers(MAX_HEADER_BYTES, MAX_HEADER_BYTES + 100))
def test_no_header_is_waited_for_without_end(start: bytes, size: int) -> None:
    for filler in (b"1", b" ", b"\0"):
        assert outcome((start + filler * size)[:size])[0] is not None


# Writing


@dataclass(frozen=True)
class Told:
    """A TLS connection, as far as a header looks at it."""

    handover: Handover


V4 = from_literal("192.0.2.1", 1234)
V4_ALSO = from_literal("192.0.2.2", 993)
V6 = from_literal("2001:db8::1", 1234)
V6_ALSO = from_literal("2001:db8::2", 993)
MAPPED = Address(socket.AF_INET6, "::ffff:192.0.2.1", 1234)
MAPPED_ALSO = Address(socket.AF_INET6, "::ffff:192.0.2.2", 993)
LINK_LOCAL = Address(socket.AF_INET6, "fe80::1%lo", 1234)
UNIX = unix("/run/imap")
CLEAR_IPV4 = "0D0A0D0A000D0A515549540A 21 11 0013 C0000201 C0000202 04D2 03E1 03 0004 6AB980E0"


@pytest.mark.parametrize(
    ("source", "destination", "line"),
    [
        (V4, V4_ALSO, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 993"),
        (V6, V6_ALSO, "PROXY TCP6 2001:db8::1 2001:db8::2 1234 993"),
        (V6, V4_ALSO, "PROXY TCP6 2001:db8::1 192.0.2.2 1234 993"),
        (V4, V6_ALSO, "PROXY TCP4 192.0.2.1 2001:db8::2 1234 993"),
        (MAPPED, MAPPED_ALSO, "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1234 993"),
        (LINK_LOCAL, V6_ALSO, "PROXY TCP6 fe80::1 2001:db8::2 1234 993"),
        (UNIX, UNIX, "PROXY UNKNOWN"),
        (unix(""), V4, "PROXY UNKNOWN"),
        (V4, UNIX, "PROXY TCP4 192.0.2.1 0.0.0.0 1234 0"),
        (V6, UNIX, "PROXY TCP6 2001:db8::1 :: 1234 0"),
    ],
)
def test_version_1(source: Address, destination: Address, line: str) -> None:
    written = version_1(source, destination, Told(Handover(b"TLSv1.3", b"cipher")))
    assert written == line.encode() + b"\r\n"
    parsed = parse(written)
    assert parsed is not None
    assert parsed.size == len(written)


@pytest.mark.parametrize(
    ("source", "destination", "start"),
    [
        (V4, V4_ALSO, "2111 0013 C0000201 C0000202 04D203E1"),
        (V6, V6_ALSO, "2121 002B 20010DB8000000000000000000000001 20010DB8000000000000000000000002 04D203E1"),
        (V6, V4_ALSO, "2121 002B 20010DB8000000000000000000000001 00000000000000000000FFFFC0000202 04D203E1"),
        (V4, V6_ALSO, "2121 002B 00000000000000000000FFFFC0000201 20010DB8000000000000000000000002 04D203E1"),
        (MAPPED, MAPPED_ALSO, "2111 0013 C0000201 C0000202 04D203E1"),
        (MAPPED, V6_ALSO, "2121 002B 00000000000000000000FFFFC0000201 20010DB8000000000000000000000002 04D203E1"),
        (V4, MAPPED_ALSO, "2111 0013 C0000201 C0000202 04D203E1"),
        (
            LINK_LOCAL,
            V6_ALSO,
            "2121 002B FE800000000000000000000000000001 20010DB8000000000000000000000002 04D203E1",
        ),
        (V4, UNIX, "2111 0013 C0000201 00000000 04D20000"),
        (UNIX, UNIX, "2000 0007"),
        (unix(""), V4, "2000 0007"),
    ],
)
def test_version_2(source: Address, destination: Address, start: str) -> None:
    written = version_2(source, destination)
    head = SIGNATURE + bytes.fromhex(start) + bytes.fromhex("03 0004")
    assert written[:-4] == head
    assert int.from_bytes(written[-4:], "big") == crc32c(head + bytes(4))
    parsed = parse(written)
    assert parsed is not None
    assert parsed.size == len(written)
    assert (parsed.proxied is None) == (source.family is socket.AF_UNIX)


def test_a_header_to_the_last_byte() -> None:
    assert version_2(V4, V4_ALSO) == bytes.fromhex(CLEAR_IPV4)


def test_the_checksum_is_castagnolis() -> None:
    # RFC 3720 appendix B.4, read as one number.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


def items(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, size = struct.unpack_from("!BH", data)
        found.append((kind, data[3 : 3 + size]))
        assert len(found[-1][1]) == size
        data = data[3 + size :]
    return found


FULL = Handover(
    b"TLSv1.3",
    b"TLS_AES_256_GCM_SHA384",
    b"mail.example.com",
    b"imap",
    b"RSA-SHA256",
    b"EC256",
    has_certificate=True,
    is_resumed=False,
    verify=18,
    client_name="Jörg".encode(),
)


def test_everything_about_tls_in_its_order() -> None:
    found = items(version_2(V4, V4_ALSO, Told(FULL))[16 + 12 :])
    assert [kind for kind, _ in found] == [0x02, 0x01, 0x20, 0x03]
    assert [value for _, value in found[:2]] == [b"mail.example.com", b"imap"]
    ssl = found[2][1]
    assert ssl[:5] == bytes.fromhex("07 00000012")
    assert items(ssl[5:]) == [
        (0x21, b"TLSv1.3"),
        (0x22, "Jörg".encode()),
        (0x23, b"TLS_AES_256_GCM_SHA384"),
        (0x24, b"RSA-SHA256"),
        (0x25, b"EC256"),
    ]


@pytest.mark.parametrize(
    ("has_certificate", "is_resumed", "verify", "start"),
    [
        (False, False, 0, "01 00000001"),
        (False, True, 0, "01 00000001"),
        (True, False, 0, "07 00000000"),
        (True, True, 0, "05 00000000"),
        (True, False, 10, "07 0000000A"),
    ],
)
def test_flags_and_result_of_a_client_certificate(
    has_certificate: bool, is_resumed: bool, verify: int, start: str
) -> None:
    tls = Handover(b"TLSv1.2", b"X", has_certificate=has_certificate, is_resumed=is_resumed, verify=verify)
    (kind, value), _ = items(version_2(unix(""), UNIX, Told(tls))[16:])
    assert kind == 0x20
    assert value[:5] == bytes.fromhex(start)
    assert items(value[5:]) == [(0x21, b"TLSv1.2"), (0x23, b"X")]


addresses = st.builds(lambda ip, port: from_literal(str(ip), port), st.ip_addresses(), st.integers(0, 65535))
texts = st.binary(max_size=255)
handovers = st.none() | st.builds(
    Handover, texts, texts, texts, texts, texts, texts, st.booleans(), st.booleans(), st.integers(0, 100), texts
)


@given(st.sampled_from(sorted(WRITERS)), addresses, addresses, handovers, st.binary(max_size=20))
def test_what_is_written_can_be_read(
    word: str, source: Address, destination: Address, tls: Handover | None, behind: bytes
) -> None:
    written = WRITERS[word](source, destination, Told(tls) if tls else None)
    assert len(written) <= MAX_HEADER_BYTES
    parsed = parse(written + behind)
    assert parsed is not None
    assert parsed.size == len(written)
    proxied = parsed.proxied
    assert proxied is not None
    assert (int(proxied.source_port), int(proxied.destination_port)) == (source.port, destination.port)
    for text, address in ((proxied.source, source), (proxied.destination, destination)):
        assert _plain(text.decode()) == _plain(address.host)


def _plain(host: str) -> bytes:
    """16 bytes, IPv4 as IPv6 writes it."""
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host)
    return bytes(10) + b"\xff\xff" + socket.inet_aton(host)
