"""HAProxy in front: the authentication service and the backends see the real client, on every kind of port."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .certificates import Certificates
from .dovecot import Dovecot
from .gateway import Gateway
from .haproxy import Haproxy
from .line_client import LineClient
from .mailbox import login
from .waiting import LIMIT_SECONDS, wait_until

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    set_real_ip_from 127.0.0.1/32;
    %s
    server {{
        listen 127.0.0.1:{0} proxy_protocol;
        protocol imap;
        starttls on;
        proxy_protocol on;
        auth_http_header X-Backend dovecot;
    }}
    server {{
        listen 127.0.0.1:{1} ssl proxy_protocol;
        protocol imap;
        proxy_protocol v2;
        auth_http_header X-Backend dovecot;
    }}
    server {{
        listen 127.0.0.1:{2} ssl proxy_protocol;
        protocol imap;
        proxy_protocol v2;
        auth_http_header X-Backend haproxy;
    }}
"""

# By the number of the port: the word that makes HAProxy tell who its client is.
FRONT = """
listen clear
    bind 127.0.0.1:{0}
    server gateway 127.0.0.1:%d send-proxy
listen tls
    bind 127.0.0.1:{1}
    server gateway 127.0.0.1:%d send-proxy-v2
listen tls-with-items
    bind 127.0.0.1:{2}
    server gateway 127.0.0.1:%d send-proxy-v2-ssl-cn
"""

# Takes a header only if it is whole and its checksum is right.
BEHIND = """
frontend imap
    bind 127.0.0.1:{0} accept-proxy
    log-format "told %%ci:%%cp %%fi:%%fp %%[fc_pp_authority]"
    default_backend dovecot
backend dovecot
    server dovecot 127.0.0.1:%d
"""


@pytest.fixture(scope="module")
def behind(directory: Path, dovecot: Dovecot) -> Iterator[Haproxy]:
    running = Haproxy(directory / "behind", BEHIND % dovecot.port)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def service(dovecot: Dovecot, behind: Haproxy) -> Iterator[AuthService]:
    ports = {"dovecot": dovecot.proxied_port, "haproxy": behind.ports[0]}
    with AuthService(lambda request: accept(ports[request.headers["X-Backend"]])) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    mail = CONFIGURATION % (service.port, certificates.directives("rsa"))
    with Gateway(directory, mail, ports=3) as running:
        yield running


@pytest.fixture(scope="module")
def front(directory: Path, gateway: Gateway) -> Iterator[Haproxy]:
    running = Haproxy(directory / "front", FRONT % tuple(gateway.ports), ports=3)
    yield running
    running.stop()


def connect(port: int, host: str) -> tuple[LineClient, int]:
    """A client whose address is ``host``, and its port."""
    raw = socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS, source_address=(host, 0))
    return LineClient(raw), raw.getsockname()[1]


def was_told(service: AuthService, user: str, client: str, client_port: int, server_port: int) -> None:
    (request,) = [request for request in service.requests if request.headers["Auth-User"] == user]
    assert request.headers["Client-IP"] == client
    assert request.headers["Proxy-Protocol-Addr"] == client
    assert request.headers["Proxy-Protocol-Port"] == str(client_port)
    assert request.headers["Proxy-Protocol-Server-Addr"] == "127.0.0.1"
    assert request.headers["Proxy-Protocol-Server-Port"] == str(server_port)


@pytest.mark.parametrize("starttls", [False, True], ids=["clear", "starttls"])
def test_in_the_clear_and_starttls(
    gateway: Gateway,
    front: Haproxy,
    service: AuthService,
    dovecot: Dovecot,
    certificates: Certificates,
    starttls: bool,
) -> None:
    user = dovecot.fresh_user()
    client, port = connect(front.ports[0], "127.0.0.2")
    with client:
        assert client.line() == b"* OK IMAP4 ready"
        if starttls:
            assert client.command(b"a STARTTLS") == b"a OK completed"
            client.start_tls(certificates.client_context())
        login(client, user)
    was_told(service, user, "127.0.0.2", port, front.ports[0])
    wait_until(lambda: re.search(rf"Login: user=<{user}>.* rip=127\.0\.0\.2,", dovecot.log()), "Dovecot's log line")
    using = " using starttls" if starttls else ""
    gateway.wait_for_log(
        rf'client logged in, client: 127\.0\.0\.2{using}, server: 127\.0\.0\.1:\d+, login: "{user}"'
    )


def test_tls_right_behind_the_header(
    front: Haproxy, service: AuthService, dovecot: Dovecot, certificates: Certificates
) -> None:
    user = dovecot.fresh_user()
    client, port = connect(front.ports[1], "127.0.0.3")
    with client:
        client.start_tls(certificates.client_context())
        assert client.line() == b"* OK IMAP4 ready"
        login(client, user)
    was_told(service, user, "127.0.0.3", port, front.ports[1])
    wait_until(lambda: re.search(rf"Login: user=<{user}>.* rip=127\.0\.0\.3,", dovecot.log()), "Dovecot's log line")


def test_a_header_with_items_in_and_one_with_a_checksum_out(
    gateway: Gateway,
    front: Haproxy,
    behind: Haproxy,
    service: AuthService,
    dovecot: Dovecot,
    certificates: Certificates,
) -> None:
    user = dovecot.fresh_user()
    client, port = connect(front.ports[2], "127.0.0.4")
    with client:
        client.start_tls(certificates.client_context())
        assert client.line() == b"* OK IMAP4 ready"
        login(client, user)
        client.send(b"z LOGOUT\r\n")
        assert b"z OK" in client.rest()
    was_told(service, user, "127.0.0.4", port, front.ports[2])
    # The destination is the gateway's own end, not what a header in front said.
    line = f"told 127.0.0.4:{port} 127.0.0.1:{gateway.ports[2]} localhost\n"
    wait_until(lambda: line in behind.process.text(), f"HAProxy to say {line}")
