"""One daemon with a listener for each protocol and way in; what it asks and hands over to is written down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.functional.auth_service import AuthService, Reply, Request, accept
from tests.functional.certificates import Certificates
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient

from .backends import RecordingBackend
from .tongues import TONGUES, Tongue

MAIL = """
    server_name mail.example;
    auth_http 127.0.0.1:{service}/auth;
    max_errors 5;
    starttls on;
    xclient off;
    imap_auth plain login cram-md5;
    pop3_auth plain apop cram-md5;
    smtp_auth plain login cram-md5;
    smtp_capabilities PIPELINING CHUNKING;
    {certificates}
    server {{{{ listen 127.0.0.1:{{0}}; listen 127.0.0.1:{{1}} ssl; protocol imap; }}}}
    server {{{{ listen 127.0.0.1:{{2}}; listen 127.0.0.1:{{3}} ssl; protocol pop3; }}}}
    server {{{{ listen 127.0.0.1:{{4}}; listen 127.0.0.1:{{5}} ssl; protocol smtp; }}}}
"""


@dataclass(slots=True)
class Edge:
    """The daemon and all round it. ``service.decide`` may be exchanged; each test begins with what accepts."""

    gateway: Gateway
    service: AuthService
    backends: dict[str, RecordingBackend]
    certificates: Certificates

    def plain(self, tongue: Tongue) -> LineClient:
        """A client in the clear, greeted."""
        return tongue.greeted(LineClient.plain(self.gateway.ports[2 * TONGUES.index(tongue)]))

    def tls(self, tongue: Tongue) -> LineClient:
        """A client inside TLS, greeted."""
        return tongue.greeted(LineClient.tls(self.tls_port(tongue), self.certificates.client_context()))

    def tls_port(self, tongue: Tongue) -> int:
        return self.gateway.ports[2 * TONGUES.index(tongue) + 1]

    def accept(self, request: Request) -> Reply:
        """Yes, in the backend of the protocol, with a password that it can be shown."""
        return accept(self.backends[request.headers["Auth-Protocol"]].port, Auth_Pass="given")

    def heard(self, tongue: Tongue) -> list[bytes]:
        return self.backends[tongue.name].heard


@pytest.fixture(scope="session")
def whole(scratch: Path, certificates: Certificates) -> Iterator[Edge]:
    backends = {tongue.name: RecordingBackend(tongue.name) for tongue in TONGUES}
    with AuthService(lambda _: accept(9)) as service:
        mail = MAIL.format(service=service.port, certificates=certificates.directives("ecdsa"))
        with Gateway(scratch / "security", mail, ports=6) as gateway:
            yield Edge(gateway, service, backends, certificates)
    for backend in backends.values():
        backend.__exit__(None, None, None)


@pytest.fixture
def edge(whole: Edge) -> Edge:
    """The daemon, with nothing written down yet and everybody let in."""
    whole.service.decide = whole.accept
    whole.service.requests.clear()
    for backend in whole.backends.values():
        backend.heard.clear()
    return whole


@pytest.fixture(params=TONGUES, ids=[tongue.name for tongue in TONGUES])
def tongue(request: pytest.FixtureRequest) -> Tongue:
    found: Tongue = request.param
    return found
