"""CVE-2014-3616, CVE-2025-23419: a TLS session of one server was good for another, past its client certificates.

The servers share one zone and one certificate; they differ in whom they let in. Each TLS version, with tickets and
with the cache alone.
"""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.certificates import Certificates
from tests.functional.gateway import Gateway
from tests.functional.waiting import LIMIT_SECONDS
from tests.tls import client_pki
from tests.tls.client_pki import ClientPki

GREETING = b"* OK IMAP4 ready\r\n"
MISSING = b"* BYE No required SSL certificate\r\n"

# Whom the servers let in; what each is made of is in ``servers``.
OPEN, STRICT, FOREIGN, SAME_NAME, OPTIONAL, REVOKING, UNVERIFIED = range(7)
MAIL = """
    auth_http 127.0.0.1:9/;
    {certificates}
    ssl_session_cache shared:SSL:1m;
    ssl_session_tickets {tickets};
    {servers}
"""


@pytest.fixture(scope="module")
def pki(directory: Path) -> ClientPki:
    files = directory / "clients"
    files.mkdir()
    return client_pki.make(files)


@pytest.fixture(scope="module")
def impostor(directory: Path) -> ClientPki:
    """Another authority of the same names: only its keys are others."""
    files = directory / "impostor"
    files.mkdir()
    return client_pki.make(files)


def servers(pki: ClientPki, impostor: ClientPki) -> str:
    asked = {
        OPEN: "",
        STRICT: f"ssl_verify_client on; ssl_client_certificate {pki.root};",
        FOREIGN: f"ssl_verify_client on; ssl_client_certificate {pki.foreign_root};",
        SAME_NAME: f"ssl_verify_client on; ssl_client_certificate {impostor.root};",
        OPTIONAL: f"ssl_verify_client optional; ssl_client_certificate {impostor.root};",
        REVOKING: f"ssl_verify_client on; ssl_client_certificate {pki.root}; ssl_crl {pki.root_crl};",
        UNVERIFIED: f"ssl_verify_client optional_no_ca; ssl_client_certificate {pki.root};",
    }
    return "".join(
        f"server {{{{ listen 127.0.0.1:{{{number}}} ssl; protocol imap; {settings} }}}}\n"
        for number, settings in asked.items()
    )


@pytest.fixture(scope="module", params=["on", "off"], ids=["tickets", "cache"])
def gateway(
    directory: Path,
    certificates: Certificates,
    pki: ClientPki,
    impostor: ClientPki,
    request: pytest.FixtureRequest,
) -> Iterator[Gateway]:
    mail = MAIL.format(
        certificates=certificates.directives("ecdsa"), tickets=request.param, servers=servers(pki, impostor)
    )
    with Gateway(directory / str(request.param), mail, ports=7) as running:
        yield running


class Returning:
    """A client that keeps its session. ``certificate``: a file, or nothing."""

    def __init__(self, certificates: Certificates, version: ssl.TLSVersion, certificate: str = "") -> None:
        self._context = certificates.client_context()
        self._context.minimum_version = self._context.maximum_version = version
        if certificate:
            self._context.load_cert_chain(certificate)
        self._session: ssl.SSLSession | None = None

    def connect(self, port: int) -> tuple[bool, bytes]:
        """Whether the session was resumed, and the first line. The session is kept if there is none yet."""
        with (
            socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as plain,
            self._context.wrap_socket(plain, server_hostname="localhost", session=self._session) as client,
        ):
            line = client.recv(200)
            if self._session is None:
                self._session = client.session
            return bool(client.session_reused), line


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@VERSIONS
@pytest.mark.parametrize("target", [STRICT, FOREIGN, SAME_NAME, OPTIONAL, REVOKING, UNVERIFIED])
def test_a_session_of_an_open_server_opens_no_other(
    gateway: Gateway, certificates: Certificates, version: ssl.TLSVersion, target: int
) -> None:
    client = Returning(certificates, version)
    assert client.connect(gateway.ports[OPEN]) == (False, GREETING)
    assert client.connect(gateway.ports[OPEN]) == (True, GREETING), "sessions work at all"
    expected = GREETING if target in (OPTIONAL, UNVERIFIED) else MISSING
    assert client.connect(gateway.ports[target]) == (False, expected)


@VERSIONS
@pytest.mark.parametrize("target", [OPEN, FOREIGN, SAME_NAME, OPTIONAL, REVOKING])
def test_a_session_with_a_certificate_is_for_the_authority_that_checked_it(
    gateway: Gateway, certificates: Certificates, pki: ClientPki, version: ssl.TLSVersion, target: int
) -> None:
    client = Returning(certificates, version, pki.by_root)
    assert client.connect(gateway.ports[STRICT]) == (False, GREETING)
    assert client.connect(gateway.ports[STRICT]) == (True, GREETING), "sessions work at all"
    resumed, line = client.connect(gateway.ports[target])
    assert not resumed
    assert (line == GREETING) == (target in (OPEN, REVOKING))


@VERSIONS
def test_a_session_of_an_unverified_certificate_is_not_one_of_a_verified(
    gateway: Gateway, certificates: Certificates, pki: ClientPki, version: ssl.TLSVersion
) -> None:
    client = Returning(certificates, version, pki.self_signed)
    assert client.connect(gateway.ports[UNVERIFIED]) == (False, GREETING)
    assert client.connect(gateway.ports[UNVERIFIED]) == (True, GREETING), "sessions work at all"
    assert client.connect(gateway.ports[STRICT])[1].startswith(b"* BYE SSL certificate error")


@VERSIONS
def test_a_client_that_was_refused_is_refused_again_with_its_session(
    gateway: Gateway, certificates: Certificates, pki: ClientPki, version: ssl.TLSVersion
) -> None:
    client = Returning(certificates, version, pki.revoked)
    for _ in range(3):
        # With TLS 1.2 it got a ticket before anybody looked at its certificate.
        assert client.connect(gateway.ports[REVOKING])[1].startswith(b"* BYE SSL certificate error")
