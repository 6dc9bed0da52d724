"""CVE-2019-3814: a client certificate without the field that holds the name let its owner choose a name.

Who somebody is, is for the authentication service to say, from what is in the certificate. So what is not in it is
told to nobody, and nothing that the client says stands in its place.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.net.proxy_protocol import SIGNATURE
from tests.functional.auth_service import AuthService, Request, accept
from tests.functional.certificates import Certificates
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient
from tests.functional.scripted_backend import ScriptedBackend
from tests.tls import client_pki
from tests.tls.client_pki import SUBJECT_TEXT, ClientPki

from .tongues import TONGUES, Tongue

MAIL = """
    server_name mail.example;
    auth_http 127.0.0.1:{service}/auth;
    imap_auth plain external; pop3_auth plain external; smtp_auth plain external;
    {certificates}
    ssl_verify_client on; ssl_client_certificate {root};
    proxy_protocol {proxy_protocol};
    server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; }}}}
    server {{{{ listen 127.0.0.1:{{1}} ssl; protocol pop3; }}}}
    server {{{{ listen 127.0.0.1:{{2}} ssl; protocol smtp; }}}}
"""
ADMIN = base64.b64encode(b"admin")
COMMON_NAME = 0x22  # type of the item of a PROXY header


class Backend(ScriptedBackend):
    """Keeps the PROXY headers it is sent."""

    def __init__(self) -> None:
        super().__init__(self._talk)
        self.headers: list[bytes] = []

    def _talk(self, client: LineClient) -> None:
        head = client.take(16)
        assert head.startswith(SIGNATURE)
        self.headers.append(head + client.take(int.from_bytes(head[14:16], "big")))


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as server:
        yield server


@pytest.fixture(scope="module")
def service(backend: Backend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port, Auth_Pass="given")) as server:
        yield server


@pytest.fixture(scope="module")
def pki(directory: Path) -> ClientPki:
    return client_pki.make(directory)


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService, pki: ClientPki) -> Iterator[Gateway]:
    mail = MAIL.format(
        service=service.port, certificates=certificates.directives("ecdsa"), root=pki.root, proxy_protocol="v2"
    )
    with Gateway(directory, mail, ports=3) as running:
        yield running


@pytest.fixture
def login(gateway: Gateway, certificates: Certificates, service: AuthService, backend: Backend) -> "Login":
    service.requests.clear()
    backend.headers.clear()
    return Login(gateway, certificates, service, backend)


class Login:
    """EXTERNAL as ``admin`` with some certificate."""

    def __init__(
        self, gateway: Gateway, certificates: Certificates, service: AuthService, backend: Backend
    ) -> None:
        self._gateway, self._certificates = gateway, certificates
        self._service, self._backend = service, backend

    def __call__(self, tongue: Tongue, certificate: str) -> tuple[Request, bytes]:
        """What the service was asked, and the backend's header."""
        context = self._certificates.client_context()
        context.load_cert_chain(certificate)
        with LineClient.tls(self._gateway.ports[TONGUES.index(tongue)], context) as client:
            tongue.greeted(client)
            client.send(tongue.auth + b" EXTERNAL " + ADMIN + b"\r\n")
            client.rest()  # the backend closes behind the header
        (request,), (header,) = self._service.requests, self._backend.headers
        return request, header


def test_no_name_is_told_where_there_is_none(login: Login, pki: ClientPki, tongue: Tongue) -> None:
    request, header = login(tongue, pki.nameless)
    headers = request.headers
    assert headers["Auth-Method"] == "external"
    assert headers["Auth-SSL-Verify"] == "SUCCESS"
    assert "Auth-SSL-Subject" not in headers
    assert headers["Auth-SSL-Issuer"] == "CN=client root"
    # What the client asks to be is marked as that, and is nowhere else.
    assert {name for name, value in headers.items() if "admin" in value} == {"Auth-User"}
    assert b"admin" not in header
    assert COMMON_NAME not in items_of_tls(header)


def test_a_name_is_told_where_there_is_one(login: Login, pki: ClientPki, tongue: Tongue) -> None:
    request, header = login(tongue, pki.by_root)
    assert request.headers["Auth-SSL-Subject"].encode() == SUBJECT_TEXT
    assert items_of_tls(header)[COMMON_NAME] == b"cl1"


def test_names_cannot_speak_for_others(login: Login, pki: ClientPki, tongue: Tongue) -> None:
    request, header = login(tongue, pki.talkative)
    # No common name, though a text in another field looks like one: RFC 4514 escapes it.
    assert request.headers["Auth-SSL-Subject"] == ("OU=CN=admin\\,O=others,O=x\\0D\\0AAuth-SSL-Subject: CN=admin")
    assert COMMON_NAME not in items_of_tls(header)


def items_of_tls(header: bytes) -> dict[int, bytes]:
    """The items inside of the one for TLS, by type."""
    items = _items(header[16 + 12 :])
    return _items(items[0x20][5:])


def _items(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        size = int.from_bytes(data[1:3], "big")
        found[data[0]] = data[3 : 3 + size]
        data = data[3 + size :]
    return found
