"""Every form of ``listen``: IPv6, unix sockets, port ranges, wildcards, and what belongs to a socket."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .auth_service import Answer, AuthService
from .certificates import Certificates
from .gateway import Gateway
from .line_client import LineClient
from .ports import claim_ports_in_a_row
from .scripted_backend import ScriptedBackend, imap_login
from .waiting import LIMIT_SECONDS, wait_until

CONFIGURATION = """
    %s
    auth_http [::1]:%d;
    server {{
        protocol imap;
        listen [::1]:{0};
        listen [::1]:{1} ssl;
        listen unix:{directory}/imap.sock;
        listen unix:{directory}/imaps.sock ssl;
        listen 127.0.0.1:{row};
    }}
    server {{
        # The wildcard's socket serves the address of the next server, too.
        protocol imap;
        listen {2};
        listen *:{3} backlog=5 rcvbuf=16k sndbuf=16k so_keepalive=300:30:3;
        listen [::]:{2};
        imap_capabilities WILDCARD;
    }}
    server {{
        protocol imap;
        listen 127.0.0.2:{2} ssl;
        imap_capabilities SPECIAL;
    }}
    server {{
        protocol imap;
        listen [::]:{4} ipv6only=off;
        listen 127.0.0.1:{5} multipath;
        listen 127.0.0.9:{5} bind;
        imap_capabilities DUAL;
    }}
"""


def serve(conversation: LineClient) -> None:
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    conversation.line()


@pytest.fixture(scope="module")
def open_directory(directory: Path) -> Path:
    directory.chmod(0o777)
    return directory


@pytest.fixture(scope="module")
def service(open_directory: Path) -> Iterator[AuthService]:
    """On IPv6. The password says which backend: one on IPv6, one on IPv4 or one at a unix socket."""
    path = f"{open_directory}/backend.sock"
    with ScriptedBackend(serve, "::1") as v6, ScriptedBackend(serve) as v4, ScriptedBackend(serve, path):
        places = {
            "v6": {"Auth-Server": "::1", "Auth-Port": str(v6.port)},
            "v4": {"Auth-Server": "127.0.0.1", "Auth-Port": str(v4.port)},
            "unix": {"Auth-Server": f"unix:{path}"},
        }
        answers = {word: Answer({"Auth-Status": "OK", **place}) for word, place in places.items()}
        with AuthService(lambda request: answers[request.headers["Auth-Pass"]], host="::1") as running:
            yield running


@pytest.fixture(scope="module")
def row() -> tuple[int, ...]:
    return claim_ports_in_a_row(3)


@pytest.fixture(scope="module")
def gateway(
    open_directory: Path, certificates: Certificates, service: AuthService, row: tuple[int, ...]
) -> Iterator[Gateway]:
    mail = CONFIGURATION % (certificates.directives("ecdsa"), service.port)
    mail = mail.replace("{directory}", str(open_directory)).replace("{row}", f"{row[0]}-{row[-1]}")
    with Gateway(open_directory, mail, ports=6) as running:
        yield running


def connect(host: str, port: int) -> LineClient:
    return LineClient(socket.create_connection((host, port), LIMIT_SECONDS))


Connect = Callable[[Gateway], LineClient]


@pytest.mark.parametrize("backend", ["v6", "v4", "unix"])
@pytest.mark.parametrize(
    ("way", "tls", "client_ip"),
    [
        (lambda gateway: connect("::1", gateway.ports[0]), False, "::1"),
        (lambda gateway: connect("::1", gateway.ports[1]), True, "::1"),
        (lambda gateway: LineClient.unix(gateway.directory / "imap.sock"), False, "unix:"),
        (lambda gateway: LineClient.unix(gateway.directory / "imaps.sock"), True, "unix:"),
    ],
    ids=["IPv6", "IPv6 TLS", "unix", "unix TLS"],
)
def test_every_kind_of_socket_on_every_side(
    gateway: Gateway,
    service: AuthService,
    certificates: Certificates,
    request: pytest.FixtureRequest,
    way: Connect,
    tls: bool,
    client_ip: str,
    backend: str,
) -> None:
    user = request.node.name.partition("[")[2][:-1].replace(" ", "-")
    with way(gateway) as client:
        if tls:
            client.start_tls(certificates.client_context())
        assert client.line() == b"* OK IMAP4 ready"
        assert client.command(f"a LOGIN {user} {backend}".encode()) == b"a OK in"
    (told,) = [told for told in service.requests if told.headers["Auth-User"] == user]
    assert told.headers["Client-IP"] == client_ip


def test_log_lines_of_other_families(gateway: Gateway) -> None:
    with connect("::1", gateway.ports[0]) as client:
        client.line()
        assert client.command(b"a LOGIN logged v6") == b"a OK in"
    gateway.wait_for_log(rf"\[info\] .* \*\d+ client \[::1\]:\d+ connected to \[::1\]:{gateway.ports[0]}\n")
    gateway.wait_for_log(
        rf'client logged in, client: ::1, server: \[::1\]:{gateway.ports[0]}, login: "logged", upstream: ::1:\d+\n'
    )
    with LineClient.unix(gateway.directory / "imap.sock") as client:
        client.line()
        assert client.command(b"a LOGIN unix-logged unix") == b"a OK in"
    path = rf"unix:{gateway.directory}"
    gateway.wait_for_log(rf"\*\d+ client unix: connected to {path}/imap\.sock\n")
    gateway.wait_for_log(
        rf'client: unix:, server: {path}/imap\.sock, login: "unix-logged", upstream: {path}/backend\.sock\n'
    )


def test_every_port_of_a_range(gateway: Gateway, row: tuple[int, ...]) -> None:
    for port in row:
        with LineClient.plain(port) as client:
            assert client.line() == b"* OK IMAP4 ready"
        gateway.wait_for_log(rf"connected to 127\.0\.0\.1:{port}\n")


def capability(client: LineClient) -> str:
    assert client.line() == b"* OK IMAP4 ready"
    return client.command(b"a CAPABILITY").decode().split()[2]


def test_the_local_address_picks_the_server(gateway: Gateway, certificates: Certificates) -> None:
    port = gateway.ports[2]
    for host in ("127.0.0.1", "127.0.0.3", "::1"):
        with connect(host, port) as client:
            assert capability(client) == "WILDCARD"
    with connect("127.0.0.2", port) as client:
        client.start_tls(certificates.client_context())
        assert capability(client) == "SPECIAL"
    gateway.wait_for_log(rf"connected to 127\.0\.0\.2:{port}\n")
    gateway.wait_for_log(rf"connected to 0\.0\.0\.0:{port}\n")
    gateway.wait_for_log(rf"connected to \[::\]:{port}\n")


def test_one_socket_for_both_families(gateway: Gateway, service: AuthService) -> None:
    for host, shown in (("::1", "::1"), ("127.0.0.1", "::ffff:127.0.0.1")):
        with connect(host, gateway.ports[4]) as client:
            assert capability(client) == "DUAL"
            client.line()
            assert client.command(f"b LOGIN dual-{len(shown)} v4".encode()) == b"b OK in"
        (told,) = [told for told in service.requests if told.headers["Auth-User"] == f"dual-{len(shown)}"]
        assert told.headers["Client-IP"] == shown


def test_sockets_of_their_own(gateway: Gateway) -> None:
    for host in ("127.0.0.1", "127.0.0.9"):
        with connect(host, gateway.ports[5]) as client:
            assert capability(client) == "DUAL"


def test_files_of_sockets_come_and_go(open_directory: Path, service: AuthService) -> None:
    path = open_directory / "fleeting.sock"
    mail = f"auth_http [::1]:{service.port}; server {{{{ listen unix:{path}; protocol imap; }}}}"
    with Gateway(open_directory / "fleeting", mail):
        assert path.is_socket()
        assert path.stat().st_mode & 0o777 == 0o666
    wait_until(lambda: not path.exists(), "the socket's file to be gone")
    # A file that a crash has left behind is no obstacle.
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with Gateway(open_directory / "fleeting", mail), LineClient.unix(path) as client:
        assert client.line() == b"* OK IMAP4 ready"
