"""PROXY headers byte by byte, hostile, trusted and not; and those that backends get."""

import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .certificates import Certificates
from .gateway import Gateway
from .line_client import LineClient
from .ports import claim_port
from .scripted_backend import ScriptedBackend, imap_login

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    set_real_ip_from 10.0.0.0/8;
    set_real_ip_from 127.0.0.0/8;
    %s
    server {{
        protocol imap;
        listen 127.0.0.1:{0} proxy_protocol;
        listen unix:{directory}/proxied.sock proxy_protocol;
        set_real_ip_from 127.0.0.1;
        set_real_ip_from unix:;
        proxy_protocol on;
        starttls on;
    }}
    server {{
        protocol imap;
        listen 127.0.0.1:{1} ssl proxy_protocol;
        listen unix:{directory}/plain.sock;
        proxy_protocol v2;
    }}
    server {{
        protocol imap;
        listen 127.0.0.1:{2} proxy_protocol;
        set_real_ip_from 192.0.2.0/24;
    }}
    server {{
        protocol imap;
        listen 127.0.0.1:{3} proxy_protocol;
        timeout 1s;
    }}
"""

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 993\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BINARY = SIGNATURE + bytes.fromhex("2111 000C C0000201 C6336402 04D2 03E1")
IPV6 = SIGNATURE + bytes.fromhex("2121 0024" + "20010DB8" + "00" * 11 + "01" + "00" * 15 + "01" + "04D2 03E1")
GREETING = b"* OK IMAP4 ready"


class Told:
    """A backend that wants a PROXY header. ``headers`` keeps it by the user who then logged in."""

    def __init__(self) -> None:
        self.headers: dict[str, bytes] = {}

    def __call__(self, conversation: LineClient) -> None:
        header = conversation.take(5)
        if header == b"PROXY":
            header += conversation.line() + b"\r\n"
        else:
            header += conversation.take(11)
            header += conversation.take(int.from_bytes(header[14:16], "big"))
        tag, user, _ = imap_login(conversation)
        self.headers[user.decode()] = header
        conversation.send(tag + b" OK in\r\n")
        conversation.line()


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def service(told: Told) -> Iterator[AuthService]:
    def plain(conversation: LineClient) -> None:
        tag, _, _ = imap_login(conversation)
        conversation.send(tag + b" OK in\r\n")
        conversation.line()

    with ScriptedBackend(told) as wants, ScriptedBackend(plain) as wants_none:
        ports = {"header": wants.port, "none": wants_none.port}
        with AuthService(lambda request: accept(ports[request.headers["Auth-Pass"]])) as running:
            yield running


@pytest.fixture(scope="module")
def gateway(open_directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    mail = CONFIGURATION % (service.port, certificates.directives("ecdsa"))
    with Gateway(open_directory, mail.replace("{directory}", str(open_directory)), ports=4) as running:
        yield running


@pytest.fixture(scope="module")
def open_directory(directory: Path) -> Path:
    directory.chmod(0o777)
    return directory


def request_of(service: AuthService, user: str) -> dict[str, str]:
    (request,) = [request for request in service.requests if request.headers["Auth-User"] == user]
    return dict(request.headers)


def proxy_lines(headers: dict[str, str]) -> list[str]:
    return [value for name, value in headers.items() if name.startswith("Proxy-Protocol-")]


# Headers in


@pytest.mark.parametrize(
    ("header", "client", "lines"),
    [
        (LINE, "192.0.2.1", ["192.0.2.1", "1234", "198.51.100.2", "993"]),
        (BINARY, "192.0.2.1", ["192.0.2.1", "1234", "198.51.100.2", "993"]),
        (IPV6, "2001:db8::1", ["2001:db8::1", "1234", "::1", "993"]),
        (b"PROXY TCP6 2001:DB8::1 ::f:1.2.3.4 1 2\r\n", "2001:db8::1", ["2001:DB8::1", "1", "::f:1.2.3.4", "2"]),
        (b"PROXY TCP4 999.1.1.1 ... 1 2\r\n", "127.0.0.1", ["999.1.1.1", "1", "...", "2"]),
        (b"PROXY UNKNOWN and whatever\r\n", "127.0.0.1", []),
        (SIGNATURE + bytes.fromhex("2000 0000"), "127.0.0.1", []),
        (SIGNATURE + bytes.fromhex("2131 00D8") + b"/a".ljust(216, b"\0"), "127.0.0.1", []),
        (SIGNATURE + bytes.fromhex("2111 0014 C0000201 C6336402 04D2 03E1 E0 0005 6869206865"), "192.0.2.1",
         ["192.0.2.1", "1234", "198.51.100.2", "993"]),
    ],
    ids=["line", "binary", "ipv6", "verbatim", "no address", "unknown", "local", "unix", "with items"],
)  # fmt: skip
@pytest.mark.parametrize("way", ["together", "split", "bytes"])
def test_in_the_clear(
    gateway: Gateway,
    service: AuthService,
    told: Told,
    header: bytes,
    client: str,
    lines: list[str],
    way: str,
    request: pytest.FixtureRequest,
) -> None:
    user = re.sub(r"\W", "-", request.node.name)
    command = b"a LOGIN %s header\r\n" % user.encode()
    with LineClient.plain(gateway.port) as connection:
        if way == "together":
            connection.send(header + command)
        elif way == "split":
            connection.send(header[: len(header) // 2])
            connection.send(header[len(header) // 2 :])
            connection.send(command)
        else:
            for byte in header:
                connection.send(bytes([byte]))
            connection.send(command)
        assert connection.line() == GREETING
        assert connection.line() == b"a OK in"
    headers = request_of(service, user)
    assert headers["Client-IP"] == client
    assert proxy_lines(headers) == lines
    assert told.headers[user].startswith(b"PROXY TCP")
    gateway.wait_for_log(
        rf'client logged in, client: {re.escape(client)}, server: 127\.0\.0\.1:\d+, login: "{user}"'
    )


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["line", "binary"])
@pytest.mark.parametrize("cut", [0, 5, 20])
def test_a_handshake_right_behind_the_header(
    gateway: Gateway, service: AuthService, told: Told, certificates: Certificates, header: bytes, cut: int
) -> None:
    user = f"tls-{header[:1].hex()}-{cut}"
    raw = socket.create_connection(("127.0.0.1", gateway.ports[1]), 30)
    with LineClient(raw) as connection:
        raw.send(header[:cut])
        raw.send(header[cut:], socket.MSG_MORE)  # held back until the ClientHello goes with it
        connection.start_tls(certificates.client_context())
        assert connection.line() == GREETING
        assert connection.command(f"a LOGIN {user} header".encode()) == b"a OK in"
    headers = request_of(service, user)
    assert headers["Client-IP"] == "192.0.2.1"
    assert headers["Auth-SSL"] == "on"
    assert told.headers[user].startswith(SIGNATURE)


def test_a_proxy_that_is_not_trusted(gateway: Gateway, service: AuthService) -> None:
    with LineClient.plain(gateway.ports[2]) as connection:
        connection.send(LINE)
        assert connection.line() == GREETING
        assert connection.command(b"a LOGIN untrusted none") == b"a OK in"
    headers = request_of(service, "untrusted")
    assert headers["Client-IP"] == "127.0.0.1"
    assert proxy_lines(headers) == ["192.0.2.1", "1234", "198.51.100.2", "993"]
    gateway.wait_for_log(r'client logged in, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+, login: "untrusted"')


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a LOGIN joe secret\r\n", 'broken header: "a..."'),
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", 'broken header: "GET..."'),
        (b"PROXY TCP4 \x1b[2 \x00\"\\\xff\n[emerg] x\r\n", r'broken header: "PROXY TCP4 \x1B[2 \x00\x22\x5C\xFF"'),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", 'broken header: "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536"'),
        (b"PROXY TCP4 " + b"1" * 8192, 'broken header: "PROXY TCP4 ' + "1" * 1013 + '..."'),
        (SIGNATURE + b"\x31\x11\0\0", "unknown PROXY protocol version: 3"),
        (SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 5000, "header is too large"),
        (SIGNATURE + b"\x21\x21\0\x0c" + b"x" * 12, "header is too short"),
    ],
    ids=["command", "HTTP", "escaped", "port", "endless", "version", "large", "short"],
)  # fmt: skip
def test_what_is_no_header(gateway: Gateway, data: bytes, text: str) -> None:
    with LineClient.plain(gateway.port) as connection:
        connection.send(data)
        assert connection.rest() == b""
    gateway.wait_for_log(
        rf"\[error\] [\d#]+: \*\d+ {re.escape(text)} while reading PROXY protocol, client: 127\.0\.0\.1, "
        rf"server: 127\.0\.0\.1:{gateway.port}\n"
    )


@pytest.mark.parametrize(("start", "shown"), [(b"", ""), (LINE[:20], "PROXY TCP4 192.0.2.1"), (BINARY[:20], "")])
def test_an_end_before_the_header_is_complete(gateway: Gateway, start: bytes, shown: str) -> None:
    with LineClient.plain(gateway.port) as connection:
        connection.send(start)
        connection.half_close()
        assert connection.rest() == b""
    gateway.wait_for_log(rf'broken header: "{shown}" while reading PROXY protocol')


@pytest.mark.parametrize("start", [b"", LINE[:-1], BINARY[:-1]], ids=["nothing", "line", "binary"])
def test_silence_in_the_middle_of_a_header(gateway: Gateway, start: bytes) -> None:
    with LineClient.plain(gateway.ports[3]) as connection:
        connection.send(start)
        assert connection.rest() == b""
    gateway.wait_for_log(
        r"\[info\] .*client timed out \(110: Connection timed out\) while reading PROXY protocol, client: 127\.0"
    )


# Headers out, and unix sockets


def test_a_line_for_the_backend(gateway: Gateway, told: Told) -> None:
    with LineClient.plain(gateway.port) as connection:
        connection.send(LINE)
        connection.line()
        assert connection.command(b"a LOGIN line-out header") == b"a OK in"
    # The destination is the gateway's own end of the connection, not what the header in front said.
    assert told.headers["line-out"] == b"PROXY TCP4 192.0.2.1 127.0.0.1 1234 %d\r\n" % gateway.port


def test_families_are_mixed(gateway: Gateway, told: Told) -> None:
    with LineClient.plain(gateway.port) as connection:
        connection.send(IPV6)
        connection.line()
        assert connection.command(b"a LOGIN mixed header") == b"a OK in"
    assert told.headers["mixed"] == b"PROXY TCP6 2001:db8::1 127.0.0.1 1234 %d\r\n" % gateway.port


def items(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        kind, size = struct.unpack_from("!BH", data)
        found[kind] = data[3 : 3 + size]
        data = data[3 + size :]
    return found


def test_a_binary_header_for_the_backend(gateway: Gateway, told: Told, certificates: Certificates) -> None:
    context = certificates.client_context()
    context.set_alpn_protocols(["imap"])
    with LineClient.plain(gateway.ports[1]) as connection:
        connection.send(LINE)
        connection.start_tls(context)
        connection.line()
        assert connection.command(b"a LOGIN binary-out header") == b"a OK in"
    header = told.headers["binary-out"]
    ours = (
        socket.inet_aton("192.0.2.1") + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 1234, gateway.ports[1])
    )
    assert header[12:14] + header[16:28] == b"\x21\x11" + ours
    found = items(header[28:])
    assert list(found) == [0x02, 0x01, 0x20, 0x03]
    assert (found[0x02], found[0x01]) == (b"localhost", b"imap")
    assert found[0x20][:5] == bytes.fromhex("01 00000001")
    assert items(found[0x20][5:]) == {
        0x21: b"TLSv1.3",
        0x23: b"TLS_AES_256_GCM_SHA384",
        0x24: b"ecdsa-with-SHA256",
        0x25: b"EC256",
    }


def test_a_unix_client(gateway: Gateway, told: Told, service: AuthService) -> None:
    with LineClient.unix(gateway.directory / "plain.sock") as connection:
        assert connection.line() == GREETING
        assert connection.command(b"a LOGIN unix-plain header") == b"a OK in"
    assert told.headers["unix-plain"][12:19] == bytes.fromhex("20 00 0007 03 0004")
    assert request_of(service, "unix-plain")["Client-IP"] == "unix:"
    gateway.wait_for_log(r'client logged in, client: unix:, server: unix:/\S+/plain\.sock, login: "unix-plain"')


def test_a_unix_client_that_is_trusted(gateway: Gateway, told: Told, service: AuthService) -> None:
    with LineClient.unix(gateway.directory / "proxied.sock") as connection:
        connection.send(LINE + b"a LOGIN unix-proxied header\r\n")
        assert connection.line() == GREETING
        assert connection.line() == b"a OK in"
    # A unix socket is no destination in a network, but the client keeps its name.
    assert told.headers["unix-proxied"] == b"PROXY TCP4 192.0.2.1 0.0.0.0 1234 0\r\n"
    assert request_of(service, "unix-proxied")["Client-IP"] == "192.0.2.1"


def test_a_unix_client_that_its_proxy_does_not_know(gateway: Gateway, told: Told, service: AuthService) -> None:
    with LineClient.unix(gateway.directory / "proxied.sock") as connection:
        connection.send(b"PROXY UNKNOWN\r\na LOGIN unix-unknown header\r\n")
        assert connection.line() == GREETING
        assert connection.line() == b"a OK in"
    assert told.headers["unix-unknown"] == b"PROXY UNKNOWN\r\n"
    assert request_of(service, "unix-unknown")["Client-IP"] == "unix:"


# What else hangs on the client's address


def test_a_backend_that_refuses_the_connection(directory: Path) -> None:
    closed = claim_port()
    mail = "auth_http 127.0.0.1:%d; server {{ listen 127.0.0.1:{0}; protocol imap; proxy_protocol on; }}"
    with (
        AuthService(lambda _: accept(closed)) as service,
        Gateway(directory / "refused", mail % service.port) as gateway,
        LineClient.plain(gateway.port) as connection,
    ):
        connection.line()
        assert connection.command(b"a LOGIN joe secret") == b"* BAD internal server error"
        assert connection.rest() == b""
        gateway.wait_for_log(
            r"\[error\] .*failed \(111: Connection refused\) while sending PROXY protocol header to upstream, "
        )


def test_xclient_names_whom_the_header_named(directory: Path) -> None:
    heard: list[bytes] = []

    def backend(conversation: LineClient) -> None:
        conversation.send(b"220 ready\r\n")
        for _ in range(2):
            heard.append(conversation.line())
            conversation.send(b"250 fine\r\n")
        conversation.line()

    mail = """
        auth_http 127.0.0.1:%d;
        set_real_ip_from 127.0.0.1;
        server {{ listen 127.0.0.1:{0} proxy_protocol; protocol smtp; server_name edge; }}
    """
    with (
        ScriptedBackend(backend) as smtp,
        AuthService(lambda _: accept(smtp.port)) as service,
        Gateway(directory / "xclient", mail % service.port) as gateway,
        LineClient.plain(gateway.port) as connection,
    ):
        connection.send(IPV6)
        assert connection.line() == b"220 edge ESMTP ready"
        # NUL joe NUL secret
        assert connection.command(b"AUTH PLAIN AGpvZQBzZWNyZXQ=") == b"235 2.0.0 OK"
    assert heard == [b"EHLO edge", b"XCLIENT ADDR=IPV6:2001:db8::1 LOGIN=joe NAME=[UNAVAILABLE]"]
    (request,) = service.requests
    assert request.headers["Client-Host"] == "[UNAVAILABLE]"
    names = list(request.headers)
    assert names[names.index("Client-Host") + 1] == "Proxy-Protocol-Addr"
